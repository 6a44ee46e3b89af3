/**
 * Milliseconds of a clock that only ever goes forward and that nobody sets, for durations: by the
 * wall clock whatever waits would wait for the length of a backward step too. What is stored, or
 * compared with somebody else's time, is told by `Date.now`.
 */
export function monotonicNow(): number {
  return performance.now();
}
