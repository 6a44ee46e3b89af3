import { monotonicNow } from "../clock.ts";

/** A bounded number of slots; taking one never waits. */
export interface Slots {
  /**
   * Takes a slot and returns the function that frees it, which may be called twice; undefined if
   * none is free.
   */
  readonly take: () => (() => void) | undefined;
}

/** What happens once all slots are taken. */
export interface SlotsOptions {
  /** How long no slot is given out after that, in milliseconds. Default 0. */
  readonly restMs?: number;
  /** Milliseconds. Default `monotonicNow`. */
  readonly now?: () => number;
}

/**
 * Makes `limit` slots, so that one process never does more work at once (rule: work is bounded and
 * resumes). With `restMs` the rest of a burst goes to others as a whole, which costs less than
 * importing the same bookings again and again.
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
