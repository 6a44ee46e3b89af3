import { monotonicNow } from "../clock.ts";

/** A bounded number of places; taking one never waits. */
export interface Slots {
  /** Gives back the place that was taken, undefined if there is none. Calling it twice is harmless. */
  readonly take: () => (() => void) | undefined;
}

/** How places behave once they have run out. */
export interface SlotsOptions {
  /** For how long none is given out after that, in milliseconds. Default 0. */
  readonly restMs?: number;
  /** Milliseconds. Default `monotonicNow`. */
  readonly now?: () => number;
}

/**
 * Makes `limit` places, so that one process never runs more work at once (invariant 11). With
 * `restMs` a burst is left to others as a whole: work on its first part would be done again for the
 * rest of it.
 */
export function createSlots(limit: number, options: SlotsOptions = {}): Slots {
  const { restMs = 0, now = monotonicNow } = options;
  let taken = 0;
  let restsUntil = -Infinity;
  return {
    take() {
      if (now() < restsUntil) return undefined;
      if (taken >= limit) {
        restsUntil = now() + restMs;
        return undefined;
      }
      taken += 1;
      let held = true;
      return () => {
        if (held) taken -= 1;
        held = false;
      };
    },
  };
}
