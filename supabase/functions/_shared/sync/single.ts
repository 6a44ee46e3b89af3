import type { BookingSource, SingleAnswer } from "../booking/source.ts";
import { SourceError } from "../booking/source_error.ts";
import type { BookingSourceName } from "../booking/status.ts";
import { AnswerError, type ErrorDetail } from "../errors.ts";
import { callInbox, INBOX_TIMEOUT_MS } from "../inbox/call_inbox.ts";
import type { DeliveryEnd, Inbox } from "../inbox/inbox.ts";
import { TimeUp, within } from "../within.ts";
import type { BookingStore, Verdict } from "./booking_store.ts";

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

/** How a failure is answered, and what becomes of the delivery that asked for it. */
interface Failure {
  readonly error: AnswerError;
  /** Undefined: the delivery is not ours to finish (any more). */
  readonly end: Pick<DeliveryEnd, "status" | "retryAfterMs"> | undefined;
  /** What a webhook's `sync.outcome` says of it when it is over for good. */
  readonly outcome?: string;
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
  const failure = refuse(verdict);
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
  if (!source) {
    const error = new AnswerError(
      503,
      "not_configured",
      `Cannot import: no API key for ${order.source} is configured.`,
      { retryAfterSeconds: 60 },
    );
    return { error, end: { status: "pending" } };
  }
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
    if (error instanceof TimeUp) return tooSlow(error);
    throw error;
  }
}

/** The source says in words that it has no such booking; that changes nothing (invariant 6). */
function notFound(reason: string): Failure {
  const error = new AnswerError(
    404,
    "booking_not_found",
    "Cannot import: the source has no such booking.",
    {
      details: [{ field: "booking_id", code: reason, message: `The source answered: ${reason}.` }],
    },
  );
  return { error, end: { status: "succeeded" }, outcome: "not_found" };
}

function sourceFailed(cause: SourceError): Failure {
  const contradiction = cause.code === "source_contradiction";
  const error = new AnswerError(contradiction ? 409 : 502, cause.code, cause.message, {
    cause,
    details: cause.details.map((detail): ErrorDetail => ({ ...detail })),
    ...(cause.retryAfterMs === undefined ? {} : { retryAfterSeconds: cause.retryAfterMs / 1_000 }),
  });
  if (cause.retryable) {
    return { error, end: { status: "pending", retryAfterMs: cause.retryAfterMs ?? null } };
  }
  return { error, end: { status: "dead" }, outcome: contradiction ? "contradiction" : "dead" };
}

function tooSlow(cause: TimeUp): Failure {
  const error = new AnswerError(
    502,
    "source_unavailable",
    "Cannot import: the source did not answer in time.",
    { cause, details: [{ code: "timeout", message: "The time budget of the read is over." }] },
  );
  return { error, end: { status: "pending" } };
}

/** Verdicts that are no outcome. `apply_snapshots` has finished the delivery of an invalid one. */
function refuse(verdict: Verdict): Failure | undefined {
  switch (verdict.verdict) {
    case "created":
    case "updated":
    case "unchanged":
    case "stale":
    case "held":
      return undefined;
    case "paused":
      return {
        error: new AnswerError(503, "sync_paused", "Cannot import: the connection is paused.", {
          retryAfterSeconds: 60,
        }),
        end: { status: "pending" },
      };
    case "lease_lost":
      return {
        error: new AnswerError(503, "lease_lost", "Cannot import: another worker has taken over.", {
          retryAfterSeconds: 1,
        }),
        end: undefined,
      };
    case "unknown_organization":
      return {
        error: new AnswerError(400, "invalid_body", "Cannot accept the body: see details.", {
          details: [{
            field: "organization_id",
            code: "unknown_organization",
            message: "Names no organization that exists.",
          }],
        }),
        end: { status: "dead" },
      };
    case "invalid":
    case "duplicate_in_page":
      return {
        error: new AnswerError(502, "source_invalid", "Cannot import: the booking is not valid.", {
          details: [detailOf(verdict.error)],
        }),
        end: { status: "dead" },
        outcome: "dead",
      };
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

function detailOf(error: unknown): ErrorDetail {
  const { code, message, field } = Object(error) as Record<string, unknown>;
  return {
    code: typeof code === "string" ? code : "invalid",
    message: typeof message === "string" ? message : "The database refused the booking.",
    ...(typeof field === "string" ? { field } : {}),
  };
}
