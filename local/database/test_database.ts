import type { ProjectPaths } from "../paths.ts";
import type { Database } from "./database.ts";
import { readMigrations } from "./migrate.ts";
import { openPostgres } from "./open_postgres.ts";
import { preparationHash, prepareDatabase } from "./prepare.ts";

/**
 * Makes the template of test databases on a Postgres server, once per schema, and returns its
 * name. It is kept on the server, whose other databases are not touched.
 */
export async function makeTemplate(url: string, paths: ProjectPaths): Promise<string> {
  const migrations = await readMigrations(paths.migrations);
  const template = `booking_sync_template_${await preparationHash(migrations)}`;
  const server = await openPostgres(url, { connections: 1 });
  try {
    // One at a time: two test files may begin together.
    await server.query("select pg_advisory_lock(hashtext('booking_sync_template'))");
    const found = await server.query("select from pg_database where datname = $1", [template]);
    if (found.length > 0) return template;
    const unfinished = `${template}_unfinished`;
    await server.exec(`drop database if exists ${unfinished}`);
    await server.exec(`create database ${unfinished} template template0`);
    const database = await openPostgres(withDatabase(url, unfinished), { connections: 1 });
    try {
      await prepareDatabase(database, migrations);
    } finally {
      await database.close();
    }
    await server.exec(`alter database ${unfinished} rename to ${template}`);
    return template;
  } finally {
    await server.close();
  }
}

/**
 * A new database on a Postgres server, copied from the template in 0.15 s. `close()` drops it,
 * unless the server goes with its databases (`KEEP_TEST_DATABASES` is `true`): dropping one has the
 * server write all of them first.
 */
export async function openTestDatabase(url: string, paths: ProjectPaths): Promise<Database> {
  return await openCopy(url, await makeTemplate(url, paths));
}

/** A new database on a Postgres server without anything in it. `close()` is as above. */
export async function openEmptyDatabase(url: string): Promise<Database> {
  return await openCopy(url, "template0");
}

async function openCopy(url: string, template: string): Promise<Database> {
  const name = `booking_sync_test_${crypto.randomUUID().replaceAll("-", "")}`;
  await onServer(url, `create database ${name} template ${template}`);
  const database = await openPostgres(withDatabase(url, name));
  return {
    ...database,
    async close(): Promise<void> {
      await database.close();
      if (Deno.env.get("KEEP_TEST_DATABASES") === "true") return;
      await onServer(url, `drop database if exists ${name} with (force)`);
    },
  };
}

async function onServer(url: string, sql: string): Promise<void> {
  const server = await openPostgres(url, { connections: 1 });
  try {
    await server.exec(sql);
  } finally {
    await server.close();
  }
}

/** The same server, another database. */
export function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.toString();
}
