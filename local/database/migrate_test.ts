import assert from "node:assert/strict";
import { OperatorError } from "../errors.ts";
import type { Database } from "./database.ts";
import { describeFailure, migrate, type Migration } from "./migrate.ts";

const migration: Migration = {
  version: "20260101000000",
  name: "create_thing",
  file: "supabase/migrations/20260101000000_create_thing.sql",
  script: "-- Möbel 🎪\ncreate table a (id int);\n  create tabel b ();\n",
};

Deno.test("describeFailure() names file, line and column and shows the line", () => {
  const position = [..."-- Möbel 🎪\ncreate table a (id int);\n  create "].length + 1;
  const error = Object.assign(new Error('syntax error at or near "tabel"'), { position });
  assert.equal(
    describeFailure(migration, error),
    "Cannot apply supabase/migrations/20260101000000_create_thing.sql:3:10: " +
      'syntax error at or near "tabel"\n  create tabel b ();',
  );
});

Deno.test("describeFailure() names the file alone when Postgres gives no position", () => {
  const error = Object.assign(new Error("boom"), { hint: "Try again." });
  assert.equal(
    describeFailure(migration, error),
    `Cannot apply ${migration.file}: boom\n  Try again.`,
  );
});

Deno.test("migrate() refuses a database that other migrations have made", async () => {
  const executed: string[] = [];
  const database = {
    exec: (sql: string) => Promise.resolve(void executed.push(sql)),
    query: () => Promise.resolve([{ version: "20200101000000", statements: [] }]),
    transaction: () => Promise.reject(new Error("Nothing may be applied.")),
  } as unknown as Database;
  await assert.rejects(
    migrate(database, [migration]),
    (error: unknown) =>
      error instanceof OperatorError && error.message.includes("20200101000000") &&
      error.message.includes("delete .local/pglite"),
  );
  assert.equal(executed.some((sql) => sql.includes("create table a")), false);
});
