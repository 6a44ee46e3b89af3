import { BOOKING_SOURCES, type BookingSourceName } from "../booking/status.ts";
import { DatabaseError, DatabaseUnavailable } from "../errors.ts";
import { callDatabase, DATABASE_TIMEOUT_MS } from "../call_database.ts";
import { describeFault, type Log } from "../log.ts";
import type { DeliveryQueue } from "./delivery_queue.ts";
import { drainBatch, type DrainBatchDeps, LEAST_READ_MS } from "./drain_batch.ts";
import { createDrainCounters, type DrainCounters } from "./drain_counters.ts";
import { forEachBounded } from "./for_each_bounded.ts";
import { refreshBookings } from "./refresh_bookings.ts";

/** What {@linkcode drain} works with. */
export interface DrainDeps extends DrainBatchDeps {
  readonly queue: DeliveryQueue;
}

/** How much to drain. */
export interface DrainTask {
  /** When the call began, in milliseconds of `now()`. */
  readonly startedAt: number;
  readonly budgetMs: number;
  /** Most deliveries, over all sources. Each source gets what the ones before it left. */
  readonly limit?: number | undefined;
  /** Whether the call has used up its CPU time; then it claims no more. */
  readonly isSpent?: () => boolean;
}

/** What a drain did. */
export interface DrainResult {
  /** Whether no due delivery is left. */
  readonly completed: boolean;
  /**
   * Whether another drain could continue right away; false if a source is down, asks us to wait or
   * failed.
   */
  readonly more: boolean;
  readonly counters: Readonly<DrainCounters>;
}

/**
 * How the turn of a source ended: nothing due, time or CPU used up, no answers from the source, or
 * an error of ours.
 */
type LaneEnd = "empty" | "stopped" | "source_down" | "failed";

/** Deliveries in one claim: they fit the lease, the memory and one transaction easily. */
const MAX_BATCH = 100;
/** How long a batch should take, and when its reads are stopped, in milliseconds. */
const BATCH_MS = 15_000;
const READS_MS = 30_000;
/** Reserved at the end of the budget for applying the last batch, in milliseconds. */
const RESERVE_MS = 5_000;

/** Reads at once, and the estimated milliseconds per delivery before one has been measured. */
const HABITS: Readonly<Record<BookingSourceName, { concurrency: number; paceMs: number }>> = {
  eventflow: { concurrency: 8, paceMs: 150 },
  headout: { concurrency: 2, paceMs: 700 }, // its client stays below 90 a minute
};

/**
 * Processes due deliveries in batches that end well within their lease, until none is left or the
 * budget ends (rule: work is bounded and resumes); then reads bookings that were not read for too
 * long. Each source goes at its own pace: one that is
 * down, slow or fails unexpectedly does not hold up another, and the answer covers what the others
 * did. Deliveries of a source without an API key stay as they are. Throws `DatabaseUnavailable` if
 * the database is unreachable, and the error if no source could be drained; leases that are still
 * held then expire.
 */
export async function drain(deps: DrainDeps, task: DrainTask): Promise<DrainResult> {
  const counters = createDrainCounters();
  const quota = { left: task.limit ?? Infinity };
  const sources = BOOKING_SOURCES.filter((source) => deps.sources[source] !== undefined);
  const ends: LaneEnd[] = [];
  const faults: unknown[] = [];
  // Sources that share a limit take turns. How much of it a source uses is only known once its
  // claims are answered; until then the other source could not tell how much is left.
  const atOnce = task.limit === undefined ? sources.length : 1;
  await forEachBounded(sources, atOnce, async (source) => {
    try {
      ends.push(await drainSource(deps, task, source, quota, counters));
    } catch (error) {
      faults.push(error);
      ends.push("failed");
      if (!(error instanceof DatabaseUnavailable)) logFault(deps.log, source, error);
    }
  });
  const unreachable = faults.find((error) => error instanceof DatabaseUnavailable);
  if (unreachable !== undefined) throw unreachable;
  if (faults.length > 0 && faults.length === sources.length) throw faults[0];
  const completed = ends.every((end) => end === "empty");
  return { completed, more: ends.includes("stopped"), counters };
}

/** Logs the error by name and code. Its message may quote a value. */
function logFault(log: Log, source: BookingSourceName, error: unknown): void {
  const rpc = error instanceof DatabaseError ? { rpc: error.rpc } : {};
  log.error("a source was not drained", { source, ...describeFault(error), ...rpc });
}

async function drainSource(
  deps: DrainDeps,
  task: DrainTask,
  source: BookingSourceName,
  quota: { left: number },
  counters: DrainCounters,
): Promise<LaneEnd> {
  const { startedAt, budgetMs, isSpent = () => false } = task;
  const lastRead = startedAt + budgetMs - Math.min(RESERVE_MS, budgetMs / 4);
  const { concurrency } = HABITS[source];
  let { paceMs } = HABITS[source];
  for (;;) {
    const claimedAt = deps.now();
    const readsEnd = Math.min(claimedAt + READS_MS, lastRead);
    const time = Math.min(BATCH_MS, readsEnd - claimedAt);
    const room = time < LEAST_READ_MS ? 0 : Math.floor(time / paceMs);
    const size = Math.min(MAX_BATCH, room, quota.left);
    if (size < 1 || isSpent()) return "stopped";
    const deliveries = await callDatabase(
      DATABASE_TIMEOUT_MS,
      (options) => deps.queue.claimDeliveries({ source, maxDeliveries: size }, options),
    );
    quota.left -= deliveries.length;
    if (deliveries.length === 0) {
      const stale = await callDatabase(
        DATABASE_TIMEOUT_MS,
        (options) =>
          deps.queue.claimRefreshes(
            { source, maxDeliveries: Math.min(size, concurrency) },
            options,
          ),
      );
      if (stale.length === 0) return "empty";
      quota.left -= stale.length;
      // A few at a time: what has become due meanwhile comes before the next ones.
      const refresh = { bookings: stale, readsEnd, concurrency };
      if (!await refreshBookings(deps, refresh, counters)) return "source_down";
      continue;
    }
    counters.claimed += deliveries.length;
    const batch = { deliveries, claimedAt, readsEnd, concurrency };
    if (!await drainBatch(deps, batch, counters)) return "source_down";
    const measured = (deps.now() - claimedAt) / deliveries.length;
    paceMs = Math.min(Math.max(measured, 1), BATCH_MS);
  }
}
