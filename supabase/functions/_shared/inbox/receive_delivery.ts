import { callDatabase, DATABASE_TIMEOUT_MS } from "../call_database.ts";
import type { Inbox, NewDelivery } from "./inbox.ts";
import { notConfigured } from "./not_configured.ts";
import { type InlineImportDeps, runInlineImport } from "./run_inline_import.ts";
import type { Slots } from "./slots.ts";
import { deferredFor, readKept, type SyncResult } from "./sync_result.ts";

/** What {@linkcode receiveDelivery} works with. */
export interface ReceiveDeliveryDeps extends InlineImportDeps {
  readonly inbox: Pick<Inbox, "finishDelivery" | "receiveDelivery">;
  /** How many imports this process runs at once. */
  readonly slots: Slots;
}

/** A valid delivery, and when its sender needs an answer. */
export interface ReceiveTask {
  readonly delivery: NewDelivery & { readonly externalId: string; readonly organizationId: string };
  readonly requestId: string;
  /** Milliseconds of `now()`. */
  readonly deadline: number;
}

/**
 * A stored delivery and its result. For a duplicate both are the original's (rule: same event, one
 * effect).
 */
export type ReceiveAnswer =
  | { readonly kind: "unknown_organization"; readonly deliveryId: string }
  | {
    readonly kind: "stored";
    readonly deliveryId: string;
    readonly duplicate: boolean;
    readonly sync: SyncResult;
  };

/**
 * Stores a delivery and then imports it if it was claimed (rule: stored before acknowledged).
 * Without a free slot it is only stored and left to drain. Throws `DatabaseUnavailable` if it could
 * not be stored, and 503 `not_configured` if no connection takes it.
 */
export async function receiveDelivery(
  deps: ReceiveDeliveryDeps,
  task: ReceiveTask,
): Promise<ReceiveAnswer> {
  const release = deps.slots.take();
  try {
    return await storeAndImport(deps, task, release !== undefined);
  } finally {
    release?.();
  }
}

async function storeAndImport(
  deps: ReceiveDeliveryDeps,
  task: ReceiveTask,
  claim: boolean,
): Promise<ReceiveAnswer> {
  const row = await callDatabase(
    Math.min(DATABASE_TIMEOUT_MS, task.deadline - deps.now()),
    (options) => deps.inbox.receiveDelivery({ ...task.delivery, claim }, options),
  );
  const { deliveryId, outcome } = row;
  if (outcome === "unknown_organization") return { kind: "unknown_organization", deliveryId };
  if (outcome === "duplicate") {
    const original = row.duplicateOf ?? deliveryId;
    return {
      kind: "stored",
      deliveryId: original,
      duplicate: true,
      sync: readKept(row, row.reason ?? "busy"),
    };
  }
  if (outcome === "deferred") {
    const sync = deferredFor(row.reason ?? "busy", row.nextAttemptAt);
    return { kind: "stored", deliveryId, duplicate: false, sync };
  }
  if (outcome !== "claimed") throw notConfigured("unknown");
  const sync = await runInlineImport(deps, {
    externalId: task.delivery.externalId,
    source: task.delivery.source,
    organizationId: task.delivery.organizationId,
    deliveryId,
    leaseToken: row.leaseToken,
    requestId: task.requestId,
  }, task.deadline);
  return { kind: "stored", deliveryId, duplicate: false, sync };
}
