import { monotonicNow, type Sleep, sleepFor } from "../clock.ts";

/** How a pacer paces; all times in milliseconds. */
export interface PacerOptions {
  readonly minIntervalMs: number;
  /** Default `monotonicNow`. */
  readonly now?: () => number;
  readonly sleep?: Sleep;
}

/**
 * A function that resolves when the next request may be sent: never two within `minIntervalMs`, in
 * the order of the calls. A turn is only given to who is at the head of the queue and still wants
 * it; who gives up leaves at once and costs the others nothing. It holds for one process; several
 * together rely on 429.
 */
export function createPacer(options: PacerOptions): (signal?: AbortSignal) => Promise<void> {
  const { minIntervalMs, now = monotonicNow, sleep = sleepFor } = options;
  let free = -Infinity;
  let queue: Promise<void> = Promise.resolve();
  return (signal) => {
    const turn = queue.then(async () => {
      signal?.throwIfAborted();
      const wait = Math.ceil(free - now()); // timers cut fractions off, which would be too early
      if (wait > 0) await sleep(wait, signal);
      free = Math.max(free, now()) + minIntervalMs;
    });
    queue = turn.catch(() => {});
    return signal ? orAborted(turn, signal) : turn;
  };
}

/** Rejects with the signal's reason without waiting for the head of the queue to be reached. */
function orAborted(turn: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    turn.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
