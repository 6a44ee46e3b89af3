import type { BookingSource, SingleAnswer } from "../booking/source.ts";
import { SourceError } from "../booking/source_error.ts";
import type { BookingSourceName } from "../booking/status.ts";
import { AnswerError } from "../errors.ts";
import { callInbox, INBOX_TIMEOUT_MS } from "../inbox/call_inbox.ts";
import type { Inbox } from "../inbox/inbox.ts";
import { TimeUp, within } from "../within.ts";
import type { BookingStore } from "./booking_store.ts";
import {
  type Failure,
  notFound,
  refuseVerdict,
  sourceFailed,
  sourceNotConfigured,
  sourceTooSlow,
} from "./failures.ts";

/** What {@linkcode importSingle} works with. */
export interface SingleDeps {
  readonly sources: Readonly<Partial<Record<BookingSourceName, BookingSource>>>;
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
  const answer = await read(deps, order, deadline);
  if ("error" in answer) throw await settle(deps, order, answer, deadline);
  const [verdict] = await callInbox(
    databaseTime(deps, deadline),
    (options) => deps.bookings.applySnapshots({ ...order, snapshots: [answer.snapshot] }, options),
  );
  if (verdict === undefined) throw new TypeError("Cannot import: no verdict for the snapshot.");
  const failure = refuseVerdict(verdict);
  if (failure) throw await settle(deps, order, failure, deadline);
  return {
    outcome: order.dryRun ? "dry_run" : verdict.verdict as SingleResult["outcome"],
    changes: verdict.changes ?? (order.dryRun ? [] : {}),
    warnings: ("warnings" in answer ? answer.warnings : answer.snapshot.warnings) ?? [],
  };
}

/** The source's statement, or why there is none; never takes the database's share of the time. */
async function read(
  deps: SingleDeps,
  order: SingleOrder,
  deadline: number,
): Promise<Exclude<SingleAnswer, { kind: "absent" }> | Failure> {
  const source = deps.sources[order.source];
  if (!source) return sourceNotConfigured(order.source);
  const left = deadline - deps.now();
  try {
    const answer = await within(left - Math.min(2_000, left / 4), (signal) =>
      source.readSingle({
        externalId: order.externalId,
        organizationId: order.organizationId,
        signal,
      }));
    return answer.kind === "absent" ? notFound(answer.reason) : answer;
  } catch (error) {
    if (error instanceof SourceError) return sourceFailed(error);
    if (error instanceof TimeUp) return sourceTooSlow(error);
    throw error;
  }
}

/** Finishes the failed delivery and returns the error that says so. */
async function settle(
  deps: SingleDeps,
  order: SingleOrder,
  failure: Failure,
  deadline: number,
): Promise<AnswerError> {
  const { error, end, outcome } = failure;
  if (order.deliveryId === null || end === undefined) return error;
  const { code, message, status, details } = error;
  const deliveryId = order.deliveryId;
  const state = await callInbox(
    databaseTime(deps, deadline),
    (options) =>
      deps.inbox.finishDelivery({
        deliveryId,
        leaseToken: order.leaseToken,
        ...end,
        lastError: end.status === "succeeded" ? null : { code, message, details },
        result: outcome === undefined
          ? null
          : { outcome, error: { code, message, status, details } },
      }, options),
  );
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
