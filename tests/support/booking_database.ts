import type { Database, Sql } from "../../local/database/database.ts";
import { openDatabase } from "../../local/database/open.ts";
import { openTestDatabase } from "../../local/database/test_database.ts";
import { projectPaths } from "../../local/paths.ts";
import { createTenant, type Tenant, type TenantOptions } from "./tenant.ts";
import { type Mark, markRows, writtenSince } from "./written_rows.ts";

/** A migrated database for the tests of one file, with what they need over and over. */
export interface BookingDatabase extends Sql {
  readonly database: Database;
  /** A fresh organization with its connections, rules and one planner. */
  tenant(options?: TenantOptions): Promise<Tenant>;
  /** Calls a function of the API as `service_role`: named arguments, objects and lists as JSON. */
  rpc<Row = Record<string, unknown>>(
    name: string,
    args: Readonly<Record<string, unknown>>,
  ): Promise<readonly Row[]>;
  /** Remembers which rows there are. */
  mark(): Promise<Mark>;
  /** Rows written since, by table; `{}` if none. */
  writtenSince(mark: Mark): Promise<Record<string, number>>;
}

/**
 * One database for all tests of a file: PGlite in memory, or with `DATABASE_URL` one of its own on
 * that server. Returns what registers a test.
 */
export function useDatabase(): (
  name: string,
  work: (db: BookingDatabase) => Promise<void>,
) => void {
  let db: BookingDatabase | undefined;
  Deno.test.beforeAll(async () => {
    db = await openBookingDatabase();
  });
  Deno.test.afterAll(async () => {
    await db?.database.close();
  });
  return function databaseTest(name, work): void {
    Deno.test({
      name,
      // The database outlives each test.
      sanitizeOps: false,
      sanitizeResources: false,
      async fn(): Promise<void> {
        if (db === undefined) throw new Error("Cannot test: the database has not opened");
        await work(db);
      },
    });
  };
}

/** Opens a database for tests; the caller closes `database`. */
export async function openBookingDatabase(): Promise<BookingDatabase> {
  const paths = projectPaths();
  const url = Deno.env.get("DATABASE_URL")?.trim() ?? "";
  const database = url === ""
    ? await openDatabase({ paths, inMemory: true })
    : await openTestDatabase(url, paths);
  return createBookingDatabase(database);
}

/** The helpers around an open database. */
export function createBookingDatabase(database: Database): BookingDatabase {
  const db: BookingDatabase = {
    database,
    query: (sql, parameters) => database.query(sql, parameters),
    exec: (sql) => database.exec(sql),
    tenant: (options) => createTenant(db, options),
    rpc: <Row>(name: string, args: Readonly<Record<string, unknown>>) =>
      database.transaction(async (sql) => {
        await sql.query("set local role service_role");
        return await callFunction<Row>(sql, name, args);
      }),
    mark: () => markRows(database),
    writtenSince: (mark) => writtenSince(database, mark),
  };
  return db;
}

/** Calls a function of the API in a transaction that is already open, under its role. */
export async function callFunction<Row = Record<string, unknown>>(
  sql: Sql,
  name: string,
  args: Readonly<Record<string, unknown>>,
): Promise<readonly Row[]> {
  const names = Object.keys(args);
  const list = names.map((argument, index) => `${argument} => $${index + 1}`).join(", ");
  const values = Object.values(args).map((value) =>
    typeof value === "object" && value !== null ? JSON.stringify(value) : value
  );
  return await sql.query<Row>(`select * from public.${name}(${list})`, values);
}

/** A list as the text of a Postgres array: numbers and uuids, which need no quotes. */
export function pgArray(values: readonly (number | string)[]): string {
  return `{${values.join(",")}}`;
}
