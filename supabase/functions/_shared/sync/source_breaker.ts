import type { Failure } from "./failures.ts";

/** Whether a source is worth asking at the moment. */
export interface SourceBreaker {
  readonly succeeded: () => void;
  readonly failed: (failure: Failure) => void;
  /** True to stop reading; unread deliveries go back to the inbox untouched. */
  readonly isOpen: () => boolean;
  /** Milliseconds that the source asked us to wait; undefined if it did not. */
  readonly retryAfterMs: () => number | undefined;
}

/**
 * Makes a breaker that opens when the source asks for a pause (`Retry-After`), or after `limit`
 * temporary faults in a row: one booking that always fails does not stop the others, but a source
 * that is down does.
 */
export function createSourceBreaker(limit = 8): SourceBreaker {
  let inARow = 0;
  let wait: number | undefined;
  return {
    succeeded() {
      inARow = 0;
    },
    failed({ end }) {
      if (end?.status !== "pending") { // an answer after all: not found, or refused
        inARow = 0;
        return;
      }
      inARow += 1;
      const asked = end.retryAfterMs ?? undefined;
      if (asked !== undefined) wait = Math.max(wait ?? 0, asked);
    },
    isOpen: () => wait !== undefined || inARow >= limit,
    retryAfterMs: () => wait,
  };
}
