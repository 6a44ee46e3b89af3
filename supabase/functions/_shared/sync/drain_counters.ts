import type { DeliveryStatus } from "../inbox/inbox.ts";

/**
 * What a drain did, as it is answered. Each claimed delivery counts in one of `succeeded` to
 * `lost`.
 */
export interface DrainCounters {
  claimed: number;
  /** Applied, unchanged, or unknown to the source. */
  succeeded: number;
  stale: number;
  held: number;
  /** Given back after a failed attempt, to be tried again. */
  failed: number;
  dead: number;
  /** Not tried because of the time, the source or the connection; this costs no attempt. */
  given_back: number;
  /** Another worker has it now, or its lease will expire. */
  lost: number;
  /** Bookings read because their last read was too old. */
  refreshed: number;
  source_reads: number;
  applied_calls: number;
}

/** All zero. */
export function createDrainCounters(): DrainCounters {
  return {
    claimed: 0,
    succeeded: 0,
    stale: 0,
    held: 0,
    failed: 0,
    dead: 0,
    given_back: 0,
    lost: 0,
    refreshed: 0,
    source_reads: 0,
    applied_calls: 0,
  };
}

/** Counts a delivery by its state after our attempt. */
export function countEnd(counters: DrainCounters, status: DeliveryStatus): void {
  if (status === "succeeded" || status === "stale" || status === "held" || status === "dead") {
    counters[status] += 1;
  } else if (status === "pending") counters.failed += 1;
  else counters.lost += 1;
}
