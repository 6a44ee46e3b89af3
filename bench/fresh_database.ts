import type { Database } from "../local/database/database.ts";
import { openTestDatabase, withDatabase } from "../local/database/test_database.ts";
import type { BenchmarkContext } from "./benchmark.ts";

/** Runs work on a new database with the checkout's migrations, which is dropped afterwards. */
export async function withFreshDatabase<T>(
  { serverUrl, paths, turn }: BenchmarkContext,
  work: (database: Database, url: string) => Promise<T>,
): Promise<T> {
  const database = await openTestDatabase(serverUrl, paths);
  try {
    const [row] = await database.query<{ name: string }>("select current_database() as name");
    if (row === undefined) throw new Error("Cannot tell the database's name: no row came back");
    const result = await work(database, withDatabase(serverUrl, row.name));
    // Cleaning up must not disturb the last step of the other checkout.
    await turn(() => Promise.resolve());
    return result;
  } finally {
    await database.close();
  }
}
