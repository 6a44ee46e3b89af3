import { AnswerError, DatabaseUnavailable } from "../errors.ts";
import { callDatabase, DATABASE_TIMEOUT_MS } from "../call_database.ts";
import type { Inbox } from "../inbox/inbox.ts";
import type { Log } from "../log.ts";
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
  /** When the last read must have ended, in milliseconds of `now()`. */
  readonly readsEnd: number;
  /** Reads at once. */
  readonly concurrency: number;
}

/** How long a source may take for one booking here, in milliseconds. */
const READ_MS = 15_000;
/** With less time than this left a read is not begun: it would only cost an attempt. */
export const LEAST_READ_MS = 500;
/**
 * Bytes of answers that a batch may hold before it begins no further read: with what they become
 * while they are decoded and written, a worker has room for little more than twice that.
 */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** What one call of the database needs at most, kept free at the end of the lease. */
const LEASE_RESERVE_MS = DATABASE_TIMEOUT_MS + 2_000;

/**
 * Reads the bookings of a batch, applies them in as few calls as their organizations allow, and ends
 * or gives back every delivery. Returns false when the source is not worth asking at the moment.
 * What goes wrong with one delivery or call stops no other; it is thrown at the end, an
 * `DatabaseUnavailable` before anything else. The lease of a delivery that it was about ends by itself.
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
  // Last: reads that have been paid for must not wait for it, nor be lost by it.
  await giveBack(unread, breaker.retryAfterMs());

  if (faults.length > 0) {
    throw faults.find((error) => error instanceof DatabaseUnavailable) ?? faults[0];
  }
  return !breaker.isOpen();

  /** Whether the answers are too heavy already, those under way taken to be like the others. */
  function isFull(): boolean {
    return held * (1 + reading / Math.max(read.length, 1)) >= MAX_HELD_BYTES;
  }

  /** Work for one delivery. A database that fails is not tried for longer than the lease. */
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
      // What it did is unknown: a delivery that was settled all the same says so when finished.
      const failure = applyFailed(error);
      logFailure(deps.log, error, group.length);
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

  /** Ends the delivery of a booking that could not be imported; counts what became of it. */
  async function end(claimed: ClaimedDelivery, failure: Failure): Promise<void> {
    const state = await finishFailed(deps.inbox, claimed, failure, DATABASE_TIMEOUT_MS);
    countEnd(counters, state?.status ?? "processing");
  }

  /** Without an error: it was never tried, which costs no attempt. */
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

/** `apply_snapshots` has ended these deliveries itself. */
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

function logFailure(log: Log, error: unknown, deliveries: number): void {
  const { name, code } = Object(error) as { readonly name?: unknown; readonly code?: unknown };
  log.error("deliveries not applied", { error: name, error_code: code, deliveries });
}
