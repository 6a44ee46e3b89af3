import type { DeliveryStatus, StoredJson } from "./inbox.ts";

/** How processing a delivery at once went: over for good, or to be tried again by us. */
export type SyncAnswer =
  | {
    readonly kind: "ended";
    readonly outcome: string;
    readonly changes?: unknown;
    /** `{ code, message, status, details }` of the import. */
    readonly error?: unknown;
  }
  | {
    readonly kind: "deferred";
    readonly reason: string;
    /** ISO instant; null if only the end of the lease says when. */
    readonly nextAttemptAt: string | null;
  };

/** A delivery as the inbox keeps it. */
export interface KeptDelivery {
  readonly status: DeliveryStatus;
  readonly nextAttemptAt: string | null;
  readonly result: StoredJson | null;
}

/**
 * What a sender is told of a delivery from what the inbox keeps of it: the first answer again if it
 * has ended, else that it is deferred for `reason` (invariant 2).
 */
export function readKeptAnswer(kept: KeptDelivery, reason: string): SyncAnswer {
  if (kept.status === "pending" || kept.status === "processing") {
    return { kind: "deferred", reason, nextAttemptAt: kept.nextAttemptAt };
  }
  const { outcome, changes, error } = kept.result ?? {};
  return {
    kind: "ended",
    outcome: typeof outcome === "string" ? outcome : kept.status,
    ...(changes === undefined || changes === null ? {} : { changes }),
    ...(error === undefined || error === null ? {} : { error }),
  };
}
