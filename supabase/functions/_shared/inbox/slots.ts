/** A bounded number of places; taking one never waits. */
export interface Slots {
  /** Gives back the place that was taken, undefined if all are taken. Calling it twice is harmless. */
  readonly take: () => (() => void) | undefined;
}

/** Makes `limit` places, so that one process never runs more work at once (invariant 11). */
export function createSlots(limit: number): Slots {
  let taken = 0;
  return {
    take() {
      if (taken >= limit) return undefined;
      taken += 1;
      let held = true;
      return () => {
        if (held) taken -= 1;
        held = false;
      };
    },
  };
}
