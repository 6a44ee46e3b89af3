import { DatabaseUnavailable } from "./errors.ts";
import { TimeUp, within } from "./within.ts";

/** How long one transaction may take before the database counts as hung, in milliseconds. */
export const DATABASE_TIMEOUT_MS = 10_000;

/** Bounds of one call to the database. */
export interface DatabaseCallOptions {
  /**
   * Aborting it makes the call fail with `DatabaseUnavailable`. Without one the adapter bounds the
   * call itself.
   */
  readonly signal?: AbortSignal;
}

/**
 * Makes one call to the database within `milliseconds`. A database that hangs is a
 * `DatabaseUnavailable` like one that refuses connections.
 */
export async function callDatabase<T>(
  milliseconds: number,
  call: (options: DatabaseCallOptions) => Promise<T>,
): Promise<T> {
  try {
    return await within(milliseconds, (signal) => call({ signal }));
  } catch (error) {
    throw error instanceof TimeUp ? new DatabaseUnavailable({ cause: error }) : error;
  }
}
