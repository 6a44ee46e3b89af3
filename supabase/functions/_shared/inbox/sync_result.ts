import type { DeliveryStatus, StoredJson } from "./inbox.ts";

/** An error as an answer carries it in `error`; JSON. */
export type AnsweredError = {
  readonly code: string;
  readonly message: string;
  readonly status: number;
  readonly details: readonly unknown[];
};

/** Where a delivery is now; JSON, the member `delivery` of import-bookings' single answers. */
export type DeliveryState = {
  readonly status: DeliveryStatus;
  /** ISO instant; null unless we will try again. */
  readonly next_attempt_at: string | null;
};

/**
 * What processing a delivery came to. It is the same JSON everywhere: the inbox keeps it as
 * `result`, a duplicate is answered with it, and the sender reads it as `sync`.
 */
export type SyncResult = EndedSync | DeferredSync;

/** Ended for good: `created` to `held`, or with an error `not_found`, `contradiction` or `dead`. */
export type EndedSync = {
  readonly outcome: string;
  readonly changes?: unknown;
  readonly error?: AnsweredError;
};

/** We will try again. */
export type DeferredSync = {
  readonly outcome: "deferred";
  readonly reason: string;
  /** ISO instant; null if only the end of the lease says when. */
  readonly next_attempt_at: string | null;
};

/** Errors that asking again would not change, and the outcome that the sender reads. */
const FINAL = new Map([
  ["booking_not_found", "not_found"],
  ["source_contradiction", "contradiction"],
]);

/** Whether asking again would not change the error of this code. */
export function isFinal(code: string): boolean {
  return FINAL.has(code);
}

/** The result of a delivery that an error has ended. */
export function endedBy(error: AnsweredError): EndedSync {
  return { outcome: FINAL.get(error.code) ?? "dead", error };
}

/** The result of a delivery that we will try again. */
export function deferredFor(reason: string, nextAttemptAt: string | null): DeferredSync {
  return { outcome: "deferred", reason, next_attempt_at: nextAttemptAt };
}

/** Whether we will try again. */
export function isDeferred(sync: SyncResult): sync is DeferredSync {
  return sync.outcome === "deferred";
}

/**
 * The result of a delivery as the inbox keeps it: the first answer again if it has ended (rule: same
 * event, one effect), else that it is deferred for `reason`.
 */
export function readKept(
  kept: {
    readonly status: DeliveryStatus;
    readonly nextAttemptAt: string | null;
    readonly result: StoredJson | null;
  },
  reason: string,
): SyncResult {
  if (kept.status === "pending" || kept.status === "processing") {
    return deferredFor(reason, kept.nextAttemptAt);
  }
  const { outcome, changes, error } = kept.result ?? {};
  return {
    outcome: typeof outcome === "string" ? outcome : kept.status,
    ...(changes === undefined || changes === null ? {} : { changes }),
    ...(error === undefined || error === null ? {} : { error: error as AnsweredError }),
  };
}
