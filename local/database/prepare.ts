import { getAuthSchemaSql } from "@supabase/lite";
import type { Database, Sql } from "./database.ts";
import { migrate, type Migration, type MigrationReport } from "./migrate.ts";

const bootstrap = await Deno.readTextFile(new URL("./bootstrap.sql", import.meta.url));

/** Brings any database to what the functions expect: Supabase's own things, then our migrations. */
export async function prepareDatabase(
  database: Database,
  migrations: readonly Migration[],
): Promise<MigrationReport> {
  await bootstrapDatabase(database);
  await createAuthTables(database);
  return await migrate(database, migrations);
}

/** Roles, schemas, helpers and default privileges of a hosted project, where they are missing. */
export async function bootstrapDatabase(database: Sql): Promise<void> {
  await database.exec(bootstrap);
}

/** The tables behind `/auth/v1`, where no auth service has made its own. */
async function createAuthTables(database: Database): Promise<void> {
  const [found] = await database.query<{ present: boolean }>(
    `select to_regclass('auth.users') is not null as present`,
  );
  if (found?.present !== true) await database.exec(getAuthSchemaSql());
}

/** Changes whenever a prepared database would come out differently. */
export async function preparationHash(migrations: readonly Migration[]): Promise<string> {
  const parts = [
    bootstrap,
    getAuthSchemaSql(),
    ...migrations.map((each) => each.file + each.script),
  ];
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest.slice(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
