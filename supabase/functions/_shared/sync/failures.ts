import type { SourceError } from "../source/source_error.ts";
import type { BookingSourceName } from "../booking/status.ts";
import { AnswerError, type ErrorDetail } from "../errors.ts";
import { callDatabase } from "../call_database.ts";
import type { DeliveryEnd, FinishedDelivery, Inbox } from "../inbox/inbox.ts";
import { endedBy } from "../inbox/sync_result.ts";
import type { TimeUp } from "../within.ts";
import type { Verdict } from "./booking_store.ts";

/** How a failure is answered, and what happens to the delivery that asked for the booking. */
export interface Failure {
  readonly error: AnswerError;
  /** Undefined if the delivery is not ours to finish, or no longer. */
  readonly end: Pick<DeliveryEnd, "status" | "retryAfterMs"> | undefined;
}

/** The source has no API key here, so it cannot be read. */
export function sourceNotConfigured(source: BookingSourceName): Failure {
  const error = new AnswerError(
    503,
    "not_configured",
    `Cannot import: no API key for ${source} is configured.`,
    { retryAfterSeconds: 60 },
  );
  return { error, end: { status: "pending" } };
}

/**
 * The source says that it has no such booking; that changes nothing (rule: absence is not a
 * statement).
 */
export function notFound(reason: string): Failure {
  const error = new AnswerError(
    404,
    "booking_not_found",
    "Cannot import: the source has no such booking.",
    {
      details: [{ field: "booking_id", code: reason, message: `The source answered: ${reason}.` }],
    },
  );
  return { error, end: { status: "succeeded" } };
}

/** The source gave no statement; `cause.retryable` says whether we ask again. */
export function sourceFailed(cause: SourceError): Failure {
  const contradiction = cause.code === "source_contradiction";
  const error = new AnswerError(contradiction ? 409 : 502, cause.code, cause.message, {
    cause,
    details: cause.details.map((detail): ErrorDetail => ({ ...detail })),
    ...(cause.retryAfterMs === undefined ? {} : { retryAfterSeconds: cause.retryAfterMs / 1_000 }),
  });
  if (cause.retryable) {
    return { error, end: { status: "pending", retryAfterMs: cause.retryAfterMs ?? null } };
  }
  return { error, end: { status: "dead" } };
}

/** The source's share of the time budget is over. */
export function sourceTooSlow(cause: TimeUp): Failure {
  const error = new AnswerError(
    502,
    "source_unavailable",
    "Cannot import: the source did not answer in time.",
    { cause, details: [{ code: "timeout", message: "The time budget of the read is over." }] },
  );
  return { error, end: { status: "pending" } };
}

/**
 * The failure behind a verdict; undefined for a verdict that is an outcome. `apply_snapshots` has
 * already finished the delivery of an invalid booking.
 */
export function refuseVerdict(verdict: Verdict): Failure | undefined {
  switch (verdict.verdict) {
    case "created":
    case "updated":
    case "unchanged":
    case "stale":
    case "held":
    case "skipped":
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
            message: "Expected an organization that exists.",
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
      };
  }
}

function detailOf(error: unknown): ErrorDetail {
  const { code, message, field } = Object(error) as Record<string, unknown>;
  return {
    code: typeof code === "string" ? code : "invalid",
    message: typeof message === "string" ? message : "The database refused the booking.",
    ...(typeof field === "string" ? { field } : {}),
  };
}

/** A delivery that a worker holds. */
export interface LeasedDelivery {
  readonly deliveryId: string;
  /** Null for a call by hand: then only a delivery that no worker holds is finished. */
  readonly leaseToken: string | null;
}

/**
 * Finishes or gives back the delivery of a booking that could not be imported, within
 * `milliseconds`, and returns its new state; undefined if it is not ours to finish, or no longer.
 */
export async function finishFailed(
  inbox: Pick<Inbox, "finishDelivery">,
  delivery: LeasedDelivery,
  failure: Failure,
  milliseconds: number,
): Promise<FinishedDelivery | undefined> {
  const { error, end } = failure;
  if (end === undefined) return undefined;
  const { code, message, status, details } = error;
  return await callDatabase(milliseconds, (options) =>
    inbox.finishDelivery({
      deliveryId: delivery.deliveryId,
      leaseToken: delivery.leaseToken,
      ...end,
      lastError: end.status === "succeeded" ? null : { code, message, details },
      result: end.status === "pending" ? null : endedBy({ code, message, status, details }),
    }, options));
}
