/** Waits for `ms` milliseconds; rejects with the signal's reason if it is aborted. */
export type Sleep = (ms: number, signal: AbortSignal | undefined) => Promise<void>;

/**
 * A function that resolves when the next request may be sent: never two within `minIntervalMs`, in
 * the order of the calls. It holds for one process; several together rely on 429.
 */
export function createPacer(
  options: { readonly minIntervalMs: number; readonly now: () => number; readonly sleep?: Sleep },
): (signal?: AbortSignal) => Promise<void> {
  const { minIntervalMs, now, sleep = abortableSleep } = options;
  let free = -Infinity;
  return async (signal) => {
    const at = Math.max(free, now());
    free = at + minIntervalMs;
    const wait = at - now();
    if (wait > 0) await sleep(wait, signal);
  };
}

function abortableSleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
