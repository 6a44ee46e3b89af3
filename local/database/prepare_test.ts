import assert from "node:assert/strict";
import { OperatorError } from "../errors.ts";
import { migrate, type Migration } from "./migrate.ts";
import { openPglite, type PgliteDatabase } from "./open_pglite.ts";
import { bootstrapDatabase, prepareDatabase } from "./prepare.ts";
import { splitStatements } from "./split_statements.ts";

let database: PgliteDatabase;
const user = "0b6b5f3e-7d0e-4b6e-9d55-0d8c4a1f2e3d";

Deno.test.beforeAll(async () => {
  database = await openPglite();
  await prepareDatabase(database, []);
});
Deno.test.afterAll(() => database.close());

function databaseTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

function migration(version: string, script: string): Migration {
  return { version, name: `m${version}`, file: `supabase/migrations/${version}_m.sql`, script };
}

databaseTest("bootstrap.sql can be run again", () => bootstrapDatabase(database));

databaseTest("bootstrap.sql makes the request roles as hosted Supabase has them", async () => {
  const roles = await database.query(
    `select rolname, rolcanlogin, rolbypassrls from pg_roles
     where rolname in ('anon', 'authenticated', 'service_role') order by rolname`,
  );
  assert.deepEqual(roles, [
    { rolname: "anon", rolcanlogin: false, rolbypassrls: false },
    { rolname: "authenticated", rolcanlogin: false, rolbypassrls: false },
    { rolname: "service_role", rolcanlogin: false, rolbypassrls: true },
  ]);
});

for (
  const [form, setting, value] of [
    ["the claims as JSON", "request.jwt.claims", `{"sub":"${user}"}`],
    ["one setting per claim", "request.jwt.claim.sub", user],
  ] as const
) {
  databaseTest(`auth.uid() reads ${form}`, async () => {
    const rows = await database.transaction(async (sql) => {
      await sql.query("select set_config($1, $2, true)", [setting, value]);
      await sql.exec("set local role authenticated");
      return await sql.query("select auth.uid() as uid");
    });
    assert.deepEqual(rows, [{ uid: user }]);
  });
}

databaseTest("auth.uid() is null for a caller without claims", async () => {
  assert.deepEqual(await database.query("select auth.uid() as uid"), [{ uid: null }]);
});

databaseTest(
  "bootstrap.sql grants new tables to anon by default, as hosted Supabase does",
  async () => {
    await database.exec("create table public.granted (id int)");
    const rows = await database.query(
      `select has_table_privilege('anon', 'public.granted', 'insert') as insert`,
    );
    await database.exec("drop table public.granted");
    assert.deepEqual(rows, [{ insert: true }]);
  },
);

const script = "create table public.once (id int);\n-- and\ncreate index on public.once (id);\n";
const file = migration("20260101000000", script);

databaseTest("migrate() applies each file once and records it as the CLI does", async () => {
  assert.deepEqual((await migrate(database, [file])).applied, [file.file]);
  assert.deepEqual(await migrate(database, [file]), { applied: [], edited: [] });
  const rows = await database.query(
    `select version, name, to_json(statements) as statements
     from supabase_migrations.schema_migrations`,
  );
  assert.deepEqual(rows, [
    { version: file.version, name: file.name, statements: splitStatements(script) },
  ]);
  const edited = { ...file, script: `${script}select 1;` };
  assert.deepEqual((await migrate(database, [edited])).edited, [file.file]);
});

databaseTest("migrate() leaves nothing of a file that fails, and names the place", async () => {
  const bad = migration("20260102000000", "create table public.half (id int);\nselect nope;\n");
  await assert.rejects(
    migrate(database, [file, bad]),
    (error) => error instanceof OperatorError && error.message.includes(`${bad.file}:2:8`),
  );
  const rows = await database.query("select to_regclass('public.half') as half");
  assert.deepEqual(rows, [{ half: null }]);
});

databaseTest("openPglite() leaves the exit code alone when a statement fails", async () => {
  await assert.rejects(database.query("select nope"));
  assert.equal(Deno.exitCode, 0);
});
