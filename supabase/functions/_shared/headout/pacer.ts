import { monotonicNow, type Sleep, sleepFor } from "../clock.ts";

/** Settings of a pacer; all times in milliseconds. */
export interface PacerOptions {
  readonly minIntervalMs: number;
  /** Default `monotonicNow`. */
  readonly now?: () => number;
  readonly sleep?: Sleep;
}

/**
 * Makes a function that resolves when the next request may be sent: in the order of the calls, and
 * never two within `minIntervalMs`. A caller that gives up leaves the queue at once and does not
 * use up a turn. The limit holds for one process; several processes rely on 429.
 */
export function createPacer(options: PacerOptions): (signal?: AbortSignal) => Promise<void> {
  const { minIntervalMs, now = monotonicNow, sleep = sleepFor } = options;
  let free = -Infinity;
  let queue: Promise<void> = Promise.resolve();
  return (signal) => {
    const turn = queue.then(async () => {
      signal?.throwIfAborted();
      const wait = Math.ceil(free - now()); // timers drop fractions, which would be too early
      if (wait > 0) await sleep(wait, signal);
      free = Math.max(free, now()) + minIntervalMs;
    });
    queue = turn.catch(() => {});
    return signal ? orAborted(turn, signal) : turn;
  };
}

/** Rejects with the signal's reason at once, wherever the caller is in the queue. */
function orAborted(turn: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    turn.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
