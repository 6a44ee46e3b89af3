import type { Database } from "../database/database.ts";
import { migrate, type Migration } from "../database/migrate.ts";
import { openPostgres } from "../database/open_postgres.ts";
import { bootstrapDatabase } from "../database/prepare.ts";
import { withDatabase } from "../database/test_database.ts";
import { executeSchemas, type SchemaFile } from "./schema_files.ts";

/** Makes a new database with what a hosted project has, and hands it to the work. */
export async function makeDatabase(
  server: string,
  name: string,
  work: (database: Database) => Promise<void>,
): Promise<string> {
  await onDatabase(server, (sql) => sql.exec(`create database ${name} template template0`));
  const url = withDatabase(server, name);
  await onDatabase(url, async (database) => {
    await bootstrapDatabase(database);
    await work(database);
  });
  return url;
}

/** Makes a new database from the schema files. */
export async function makeFromSchemas(
  server: string,
  name: string,
  files: readonly SchemaFile[],
): Promise<string> {
  return await makeDatabase(server, name, (database) => executeSchemas(database, files));
}

/** Makes a new database from the migrations, by our own runner. */
export async function makeFromMigrations(
  server: string,
  name: string,
  migrations: readonly Migration[],
): Promise<string> {
  return await makeDatabase(server, name, async (database) => {
    await migrate(database, migrations);
  });
}

/** Makes a new database that is a copy of another one, which nothing may be using meanwhile. */
export async function copyDatabase(server: string, url: string, name: string): Promise<string> {
  const template = new URL(url).pathname.slice(1);
  await onDatabase(server, (sql) => sql.exec(`create database ${name} template ${template}`));
  return withDatabase(server, name);
}

/** Runs work in one session on a database. */
export async function onDatabase<T>(
  url: string,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const database = await openPostgres(url, { connections: 1 });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}
