import type { DeliveryStatus, StoredJson } from "./inbox.ts";
import type { SyncAnswer } from "./run_inline_import.ts";

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
