import type { BookingSourceName } from "../booking/status.ts";
import { AnswerError } from "../errors.ts";
import { callDatabase, DATABASE_TIMEOUT_MS } from "../call_database.ts";
import type { DeliveryStatus, Inbox } from "../inbox/inbox.ts";
import type { DeliveryState } from "../inbox/sync_result.ts";
import type { BookingStore } from "./booking_store.ts";
import { type Failure, finishFailed, refuseVerdict } from "./failures.ts";
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
export interface SingleTask {
  readonly externalId: string;
  readonly source: BookingSourceName;
  readonly organizationId: string;
  readonly deliveryId: string | null;
  readonly leaseToken: string | null;
  readonly dryRun: boolean;
  readonly force: boolean;
}

/** A booking that was read and applied, as it is answered. */
export interface SingleResult {
  readonly outcome: "created" | "updated" | "unchanged" | "stale" | "held" | "dry_run";
  readonly changes: unknown;
  readonly warnings: readonly unknown[];
  /** Absent if no delivery was named. */
  readonly delivery?: DeliveryState;
}

/**
 * Reads one booking from its source and applies what it says, before `deadline` (milliseconds of
 * `now()`). A failure throws an `AnswerError` after the delivery, if there is one, has been finished
 * or given back. Both the result and the error then say where it is, as `delivery`.
 */
export async function importSingle(
  deps: SingleDeps,
  task: SingleTask,
  deadline: number,
): Promise<SingleResult> {
  // The source must not use up the time that is reserved for the database.
  const left = deadline - deps.now();
  const answer = await readBooking(deps.sources, task, left - Math.min(2_000, left / 4));
  if ("error" in answer) throw await settle(deps, task, answer, deadline);
  const [verdict] = await callDatabase(
    databaseTime(deps, deadline),
    (options) => deps.bookings.applySnapshots({ ...task, snapshots: [answer.snapshot] }, options),
  );
  if (verdict === undefined) throw new TypeError("Cannot import: no verdict for the snapshot.");
  const failure = refuseVerdict(verdict);
  if (failure) throw await settle(deps, task, failure, deadline);
  const skipped = verdict.verdict === "skipped";
  const outcome = skipped ? "unchanged" : verdict.verdict as SingleResult["outcome"];
  const warnings = verdict.warnings ?? answer.snapshot.warnings ?? [];
  return {
    outcome: task.dryRun ? "dry_run" : outcome,
    changes: verdict.changes ?? (task.dryRun ? [] : {}),
    warnings: skipped ? [...warnings, BEFORE_THE_FIRST_DAY] : warnings,
    ...(task.deliveryId === null
      ? {}
      : { delivery: { status: endOf(outcome, task.source), next_attempt_at: null } }),
  };
}

const BEFORE_THE_FIRST_DAY = {
  field: "dates",
  code: "before_first_day",
  message: "It ended before the connection's first day and was never stored, so it is ignored.",
} as const;

/** The state in which `apply_snapshots` left the delivery. */
function endOf(outcome: SingleResult["outcome"], source: BookingSourceName): DeliveryStatus {
  if (outcome === "held") return "held";
  // A Headout event has been applied before its booking is read: it is not stale, only the read is.
  return outcome === "stale" && source !== "headout" ? "stale" : "succeeded";
}

/** Finishes the failed delivery and returns the error, which says where it is now. */
async function settle(
  deps: SingleDeps,
  task: SingleTask,
  failure: Failure,
  deadline: number,
): Promise<AnswerError> {
  const { error } = failure;
  if (task.deliveryId === null) return error;
  const leased = { deliveryId: task.deliveryId, leaseToken: task.leaseToken };
  const state = await finishFailed(deps.inbox, leased, failure, databaseTime(deps, deadline));
  if (state === undefined) return error;
  const { code, message, status, details, headers, cause, retryAfterSeconds } = error;
  const delivery: DeliveryState = { status: state.status, next_attempt_at: state.nextAttemptAt };
  return new AnswerError(status, code, message, {
    ...{ details, headers, cause, retryAfterSeconds, members: { delivery } },
  });
}

/** Time for the database: at least a second, so that even a slow read gets written. */
function databaseTime(deps: SingleDeps, deadline: number): number {
  return Math.min(DATABASE_TIMEOUT_MS, Math.max(deadline - deps.now(), 1_000));
}
