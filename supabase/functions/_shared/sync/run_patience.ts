import { SourceError } from "../booking/source_error.ts";

/** Waits for `ms` milliseconds; rejects with the signal's reason if it is aborted. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

/** Until when and how to wait. */
export interface Patience {
  /** Milliseconds of `now()` after which there is no use in waiting. */
  readonly deadline: number;
  readonly now: () => number;
  readonly sleep: Sleep;
  readonly signal: AbortSignal;
}

/** Times that one page is waited for. */
const WAITS = 5;

/**
 * A read that waits as long as the source asks for (`Retry-After`), if that fits the time, and then
 * tries again. Any other failure is thrown: the client has tried again already.
 */
export async function readPatiently<T>(patience: Patience, read: () => Promise<T>): Promise<T> {
  for (let waits = 0;; waits++) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof SourceError) || error.retryAfterMs === undefined) throw error;
      const wait = Math.max(error.retryAfterMs, 100);
      if (waits === WAITS || patience.now() + wait >= patience.deadline) throw error;
      await patience.sleep(wait, patience.signal);
    }
  }
}

/** {@linkcode Sleep} by the clock. */
export function sleepFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, ms);
    function abort(): void {
      clearTimeout(timer);
      reject(signal.reason);
    }
    signal.addEventListener("abort", abort, { once: true });
  });
}
