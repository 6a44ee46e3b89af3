import type { Failure } from "./failures.ts";

/** Whether a source is worth asking at the moment. */
export interface SourceBreaker {
  readonly succeeded: () => void;
  readonly failed: (failure: Failure) => void;
  /** True: stop reading; what was not read goes back to the inbox untouched. */
  readonly isOpen: () => boolean;
  /** Milliseconds that the source asked us to wait, if it did. */
  readonly retryAfterMs: () => number | undefined;
}

/**
 * Opens when the source itself asks for a pause (Retry-After), or after `limit` passing faults in a
 * row: one booking that always fails does not stop the others, a source that is down does.
 */
export function createSourceBreaker(limit = 8): SourceBreaker {
  let inARow = 0;
  let wait: number | undefined;
  return {
    succeeded() {
      inARow = 0;
    },
    failed({ end }) {
      if (end?.status !== "pending") { // an answer all the same: not found, or one to be refused
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
