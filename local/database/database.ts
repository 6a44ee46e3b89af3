import type { Connection } from "@supabase/lite";

/** What runs SQL: the database itself, or a transaction in it. */
export interface Sql {
  /** The rows of one statement. Instants, dates and times come as Postgres' text, JSON parsed. */
  query<Row = Record<string, unknown>>(
    sql: string,
    parameters?: readonly unknown[],
  ): Promise<readonly Row[]>;
  /** Any number of statements, without parameters and without an answer. */
  exec(sql: string): Promise<void>;
}

/** An open database, embedded or not; the rest of the stack cannot tell which. */
export interface Database extends Sql {
  readonly kind: "pglite" | "postgres";
  /** Where it is, fit for the terminal: no password in it. */
  readonly label: string;
  /** What `@supabase/lite` serves the API from. */
  readonly api: Connection;
  /** All or nothing; rolled back when the work throws. Inside, only the given `Sql` may be used. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /**
   * Runs work that uses `api` directly. An embedded database has a single session, so such work
   * takes its turn there; on a real Postgres it runs at once.
   */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
