import { InboxUnavailable } from "../errors.ts";
import { TimeUp, within } from "../within.ts";
import type { InboxCallOptions } from "./inbox.ts";

/** How long one transaction may take before the database counts as hung, in milliseconds. */
export const INBOX_TIMEOUT_MS = 10_000;

/**
 * Calls the inbox for at most `milliseconds`; a hung database is an `InboxUnavailable` like one
 * that refuses connections.
 */
export async function callInbox<T>(
  milliseconds: number,
  call: (options: InboxCallOptions) => Promise<T>,
): Promise<T> {
  try {
    return await within(milliseconds, (signal) => call({ signal }));
  } catch (error) {
    throw error instanceof TimeUp ? new InboxUnavailable({ cause: error }) : error;
  }
}
