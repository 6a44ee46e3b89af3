import { AnswerError, DatabaseUnavailable } from "../errors.ts";
import { callDatabase, DATABASE_TIMEOUT_MS } from "../call_database.ts";
import type { Inbox } from "../inbox/inbox.ts";
import { describeFault, type Log } from "../log.ts";
import type { BookingStore, Verdict } from "./booking_store.ts";
import { type ClaimedDelivery, LEASE_MS } from "./delivery_queue.ts";
import { countEnd, type DrainCounters } from "./drain_counters.ts";
import { type Failure, finishFailed, refuseVerdict } from "./failures.ts";
import { forEachBounded } from "./for_each_bounded.ts";
import { groupDeliveries, type ReadDelivery } from "./split_work.ts";
import { readBooking, type Sources } from "./read_booking.ts";
import { createSourceBreaker } from "./source_breaker.ts";

/** What {@linkcode drainBatch} works with. */
export interface DrainBatchDeps {
  readonly sources: Sources;
  readonly bookings: BookingStore;
  readonly inbox: Pick<Inbox, "finishDelivery">;
  readonly log: Log;
  /** Milliseconds. */
  readonly now: () => number;
}

/** Deliveries of one source, claimed together. */
export interface Batch {
  readonly deliveries: readonly ClaimedDelivery[];
  /** When they were claimed, in milliseconds of `now()`. */
  readonly claimedAt: number;
  /** When the last read must end, in milliseconds of `now()`. */
  readonly readsEnd: number;
  /** Reads at once. */
  readonly concurrency: number;
}

/** How long a source may take for one booking, in milliseconds. */
export const READ_MS = 15_000;
/** A read with less time left than this is not started, since it would only cost an attempt. */
export const LEAST_READ_MS = 500;
/**
 * Bytes of answers in a batch after which it starts no further read. Decoded and serialized they
 * take several times as much, and a worker has room for little more than twice this.
 */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** The longest call to the database, reserved at the end of the lease, in milliseconds. */
const LEASE_RESERVE_MS = DATABASE_TIMEOUT_MS + 2_000;

/**
 * Reads the bookings of a batch, applies them in as few calls as possible, one or more per
 * organization, and finishes or gives back every delivery. Returns false if the source is not worth
 * asking at the moment. An error with one delivery or call does not stop the others; it is thrown
 * at the end, a `DatabaseUnavailable` first, and the lease of its delivery expires.
 */
export async function drainBatch(
  deps: DrainBatchDeps,
  batch: Batch,
  counters: DrainCounters,
): Promise<boolean> {
  const breaker = createSourceBreaker();
  const read: ReadDelivery[] = [];
  const unread: ClaimedDelivery[] = [];
  const faults: unknown[] = [];
  let held = 0;
  let reading = 0;

  await forEachBounded(batch.deliveries, batch.concurrency, (claimed) =>
    attempt(async () => {
      const left = Math.min(READ_MS, batch.readsEnd - deps.now());
      if (breaker.isOpen() || left < LEAST_READ_MS || isFull()) return void unread.push(claimed);
      counters.source_reads += 1;
      reading += 1;
      const answer = await readBooking(deps.sources, claimed, left).finally(() => reading -= 1);
      if ("error" in answer) {
        breaker.failed(answer);
        return await end(claimed, answer);
      }
      breaker.succeeded();
      held += answer.bytes ?? 0;
      read.push({ claimed, snapshot: answer.snapshot, bytes: answer.bytes });
    }));

  for (const group of groupDeliveries(read)) {
    if (deps.now() > batch.claimedAt + LEASE_MS - LEASE_RESERVE_MS) {
      await giveBack(group.map(({ claimed }) => claimed));
    } else await apply(group);
  }
  // Last, so that it cannot delay or lose bookings that have been read.
  await giveBack(unread, breaker.retryAfterMs());

  if (faults.length > 0) {
    throw faults.find((error) => error instanceof DatabaseUnavailable) ?? faults[0];
  }
  return !breaker.isOpen();

  /** Whether the answers are too large already, assuming that pending ones are like the others. */
  function isFull(): boolean {
    return held * (1 + reading / Math.max(read.length, 1)) >= MAX_HELD_BYTES;
  }

  /** Runs work for one delivery. After a failure it stops trying once the lease is over. */
  async function attempt(work: () => Promise<void>): Promise<void> {
    const over = deps.now() >= Math.min(batch.claimedAt + LEASE_MS, batch.readsEnd + LEASE_MS / 2);
    if (faults.length > 0 && over) return void (counters.lost += 1);
    try {
      await work();
    } catch (error) {
      counters.lost += 1;
      faults.push(error);
    }
  }

  async function apply(group: readonly ReadDelivery[]): Promise<void> {
    const { organizationId, source } = group[0]!.claimed;
    let verdicts: readonly Verdict[];
    try {
      counters.applied_calls += 1;
      verdicts = await callDatabase(DATABASE_TIMEOUT_MS, (options) =>
        deps.bookings.applySnapshots({
          organizationId,
          source,
          snapshots: group.map(({ snapshot }) => snapshot),
          deliveries: group.map(({ claimed }) => claimed),
        }, options));
    } catch (error) {
      // The outcome is unknown. If the delivery was finished after all, finishing it again tells.
      const failure = applyFailed(error);
      deps.log.error("deliveries not applied", {
        ...describeFault(error),
        deliveries: group.length,
      });
      await forEachBounded(
        group,
        batch.concurrency,
        ({ claimed }) => attempt(() => end(claimed, failure)),
      );
      return;
    }
    const byId = new Map(verdicts.map((verdict) => [verdict.externalId, verdict]));
    await forEachBounded(group, batch.concurrency, async ({ claimed }) => {
      const verdict = byId.get(claimed.externalId);
      if (verdict?.verdict === "paused") await giveBack([claimed]);
      else if (verdict?.verdict === "unknown_organization") {
        await attempt(() => end(claimed, refuseVerdict(verdict)!));
      } else countVerdict(counters, verdict);
    });
  }

  /** Finishes the delivery of a booking that could not be imported and counts its new state. */
  async function end(claimed: ClaimedDelivery, failure: Failure): Promise<void> {
    const state = await finishFailed(deps.inbox, claimed, failure, DATABASE_TIMEOUT_MS);
    countEnd(counters, state?.status ?? "processing");
  }

  /** Without an error it counts as not tried, which costs no attempt. */
  async function giveBack(deliveries: readonly ClaimedDelivery[], wait?: number): Promise<void> {
    await forEachBounded(
      deliveries,
      batch.concurrency,
      ({ deliveryId, leaseToken }) =>
        attempt(async () => {
          const leased = { deliveryId, leaseToken, retryAfterMs: wait ?? null } as const;
          const state = await callDatabase(
            DATABASE_TIMEOUT_MS,
            (options) => deps.inbox.finishDelivery({ ...leased, status: "pending" }, options),
          );
          counters[state.finished ? "given_back" : "lost"] += 1;
        }),
    );
  }
}

/** Counts a delivery that `apply_snapshots` has finished. */
function countVerdict(counters: DrainCounters, verdict: Verdict | undefined): void {
  switch (verdict?.verdict) {
    case "created":
    case "updated":
    case "unchanged":
    case "skipped":
      counters.succeeded += 1;
      return;
    case "stale":
    case "held":
      counters[verdict.verdict] += 1;
      return;
    case "invalid":
      counters.dead += 1;
      return;
    default:
      counters.lost += 1;
  }
}

function applyFailed(cause: unknown): Failure {
  const known = cause instanceof AnswerError;
  const error = new AnswerError(
    known ? cause.status : 500,
    known ? cause.code : "internal_error",
    known ? cause.message : "Cannot import: the database refused the call.",
    { cause },
  );
  return { error, end: { status: "pending" } };
}
