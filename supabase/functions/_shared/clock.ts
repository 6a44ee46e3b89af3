/**
 * Milliseconds of a clock that only goes forward, for durations. The wall clock can be set back, and
 * then every wait would last that much longer. What is stored, or compared with somebody else's
 * time, comes from `Date.now`.
 */
export function monotonicNow(): number {
  return performance.now();
}

/** Waits for `ms` milliseconds; rejects with the signal's reason if it is aborted. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

/** {@linkcode Sleep} by `setTimeout`. */
export function sleepFor(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    function abort(): void {
      clearTimeout(timer);
      reject(signal?.reason);
    }
    signal?.addEventListener("abort", abort, { once: true });
  });
}
