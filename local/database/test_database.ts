import type { ProjectPaths } from "../paths.ts";
import type { Database } from "./database.ts";
import { readMigrations } from "./migrate.ts";
import { openPostgres } from "./open_postgres.ts";
import { preparationHash, prepareDatabase } from "./prepare.ts";

/**
 * A database of its own on a Postgres server, copied from a template that is made once per schema
 * and kept on the server. `close()` drops it. The server's other databases are not touched.
 */
export async function openTestDatabase(url: string, paths: ProjectPaths): Promise<Database> {
  const migrations = await readMigrations(paths.migrations);
  const template = `booking_sync_template_${await preparationHash(migrations)}`;
  const name = `booking_sync_test_${crypto.randomUUID().replaceAll("-", "")}`;
  const server = await openPostgres(url, { connections: 1 });
  try {
    // One at a time: two test files may begin together, and a template must not be in use.
    await server.query("select pg_advisory_lock(hashtext('booking_sync_template'))");
    const found = await server.query("select from pg_database where datname = $1", [template]);
    if (found.length === 0) {
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
    }
    await server.exec(`create database ${name} template ${template}`);
  } finally {
    await server.close();
  }
  const database = await openPostgres(withDatabase(url, name));
  return {
    ...database,
    async close(): Promise<void> {
      await database.close();
      const again = await openPostgres(url, { connections: 1 });
      try {
        await again.exec(`drop database if exists ${name} with (force)`);
      } finally {
        await again.close();
      }
    },
  };
}

/** The same server, another database. */
export function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.toString();
}
