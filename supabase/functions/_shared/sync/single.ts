import type { BookingSourceName } from "../booking/status.ts";
import { AnswerError } from "../errors.ts";
import { callInbox, INBOX_TIMEOUT_MS } from "../inbox/call_inbox.ts";
import type { Inbox } from "../inbox/inbox.ts";
import type { BookingStore } from "./booking_store.ts";
import { type Failure, refuseVerdict } from "./failures.ts";
import { finishFailed } from "./finish_failed.ts";
import { readBooking, type Sources } from "./read_booking.ts";

/** What {@linkcode importSingle} works with. */
export interface SingleDeps {
  readonly sources: Sources;
  readonly bookings: BookingStore;
  readonly inbox: Pick<Inbox, "finishDelivery">;
  /** Milliseconds. */
  readonly now: () => number;
}

/** One booking to fetch and apply. */
export interface SingleOrder {
  readonly externalId: string;
  readonly source: BookingSourceName;
  readonly organizationId: string;
  readonly deliveryId: string | null;
  readonly leaseToken: string | null;
  readonly dryRun: boolean;
  readonly force: boolean;
}

/** A booking that was read and decided on. */
export interface SingleResult {
  readonly outcome: "created" | "updated" | "unchanged" | "stale" | "held" | "dry_run";
  readonly changes: unknown;
  readonly warnings: readonly unknown[];
}

/**
 * Reads one booking from its source and applies what it says, before `deadline` (milliseconds of
 * `now()`). A failure throws an `AnswerError` (design §4.3) after the delivery, if there is one, has
 * been finished or given back; `details` then say what became of it under `delivery_id`.
 */
export async function importSingle(
  deps: SingleDeps,
  order: SingleOrder,
  deadline: number,
): Promise<SingleResult> {
  // The database's share of the time is never the source's to take.
  const left = deadline - deps.now();
  const answer = await readBooking(deps.sources, order, left - Math.min(2_000, left / 4));
  if ("error" in answer) throw await settle(deps, order, answer, deadline);
  const [verdict] = await callInbox(
    databaseTime(deps, deadline),
    (options) => deps.bookings.applySnapshots({ ...order, snapshots: [answer.snapshot] }, options),
  );
  if (verdict === undefined) throw new TypeError("Cannot import: no verdict for the snapshot.");
  const failure = refuseVerdict(verdict);
  if (failure) throw await settle(deps, order, failure, deadline);
  const skipped = verdict.verdict === "skipped";
  const outcome = skipped ? "unchanged" : verdict.verdict as SingleResult["outcome"];
  const warnings = ("warnings" in answer ? answer.warnings : answer.snapshot.warnings) ?? [];
  return {
    outcome: order.dryRun ? "dry_run" : outcome,
    changes: verdict.changes ?? (order.dryRun ? [] : {}),
    warnings: skipped ? [...warnings, BEFORE_THE_FIRST_DAY] : warnings,
  };
}

const BEFORE_THE_FIRST_DAY = {
  field: "dates",
  code: "before_first_day",
  message: "Over before the connection's first day and never stored, so it is left to history.",
} as const;

/** Finishes the failed delivery and returns the error that says so. */
async function settle(
  deps: SingleDeps,
  order: SingleOrder,
  failure: Failure,
  deadline: number,
): Promise<AnswerError> {
  const { error } = failure;
  if (order.deliveryId === null) return error;
  const delivery = { deliveryId: order.deliveryId, leaseToken: order.leaseToken };
  const state = await finishFailed(deps.inbox, delivery, failure, databaseTime(deps, deadline));
  if (state === undefined) return error;
  const { code, message, status, details } = error;
  return new AnswerError(status, code, message, {
    cause: error.cause,
    headers: error.headers,
    ...(error.retryAfterSeconds === undefined
      ? {}
      : { retryAfterSeconds: error.retryAfterSeconds }),
    details: [...details, {
      field: "delivery_id",
      code: state.status,
      message: `The delivery is ${state.status}.`,
      next_attempt_at: state.nextAttemptAt,
    }],
  });
}

/** What was kept for the database; a second at least, so that a slow read still ends in writing. */
function databaseTime(deps: SingleDeps, deadline: number): number {
  return Math.min(INBOX_TIMEOUT_MS, Math.max(deadline - deps.now(), 1_000));
}
