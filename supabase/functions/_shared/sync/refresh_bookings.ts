import { callDatabase, DATABASE_TIMEOUT_MS } from "../call_database.ts";
import { DatabaseUnavailable } from "../errors.ts";
import { describeFault, type Log } from "../log.ts";
import type { BookingStore } from "./booking_store.ts";
import { LEAST_READ_MS, READ_MS } from "./drain_batch.ts";
import type { DrainCounters } from "./drain_counters.ts";
import { forEachBounded } from "./for_each_bounded.ts";
import { type BookingToRead, readBooking, type Sources } from "./read_booking.ts";
import { createSourceBreaker } from "./source_breaker.ts";

/** What {@linkcode refreshBookings} works with. */
export interface RefreshDeps {
  readonly sources: Sources;
  readonly bookings: BookingStore;
  readonly log: Log;
  /** Milliseconds. */
  readonly now: () => number;
}

/** Bookings of one source whose last read is too old. */
export interface RefreshTask {
  readonly bookings: readonly BookingToRead[];
  /** When the last read must end, in milliseconds of `now()`. */
  readonly readsEnd: number;
  /** Reads at once. */
  readonly concurrency: number;
}

/**
 * Reads each booking alone and applies what its source states, without a delivery (rule: it heals by
 * itself). Whatever fails is due again by itself, since the claim has put it off. Returns false if
 * the source is not worth asking at the moment.
 */
export async function refreshBookings(
  deps: RefreshDeps,
  task: RefreshTask,
  counters: DrainCounters,
): Promise<boolean> {
  const breaker = createSourceBreaker();
  await forEachBounded(task.bookings, task.concurrency, async (booking) => {
    const left = Math.min(READ_MS, task.readsEnd - deps.now());
    if (breaker.isOpen() || left < LEAST_READ_MS) return;
    counters.source_reads += 1;
    const answer = await readBooking(deps.sources, booking, left);
    if ("error" in answer) return breaker.failed(answer);
    breaker.succeeded();
    try {
      const { organizationId, source } = booking;
      counters.applied_calls += 1;
      await callDatabase(DATABASE_TIMEOUT_MS, (options) =>
        deps.bookings.applySnapshots(
          { organizationId, source, snapshots: [answer.snapshot] },
          options,
        ));
      counters.refreshed += 1;
    } catch (error) {
      if (error instanceof DatabaseUnavailable) throw error;
      deps.log.error("a booking was not refreshed", describeFault(error));
    }
  });
  return !breaker.isOpen();
}
