import { z } from "zod";
import { BOOKING_STATUSES } from "../booking/status.ts";
import { DELIVERY_STATUSES, type Inbox } from "../inbox/inbox.ts";
import { callRow } from "./call.ts";
import type { CallRpc } from "./client.ts";

const instant = z.string().transform((text, context) => {
  const time = Date.parse(text);
  if (!Number.isNaN(time)) return new Date(time).toISOString();
  context.addIssue("not an instant");
  return z.NEVER;
});
const jsonObject = z.record(z.string(), z.unknown()).nullable();

const receivedRow = z.object({
  delivery_id: z.string().nullable(),
  outcome: z.enum([
    "claimed",
    "deferred",
    "duplicate",
    "invalid",
    "unknown_organization",
    "not_configured",
  ]),
  organization_id: z.string().nullable(),
  lease_token: z.string().nullable(),
  reason: z.string().nullable(),
  next_attempt_at: instant.nullable(),
  duplicate_of: z.string().nullable(),
  status: z.enum(DELIVERY_STATUSES).nullable(),
  result: jsonObject,
  last_error: jsonObject,
});

const eventRow = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.enum(["not_configured", "unknown_organization"]) }),
  z.object({
    outcome: z.enum(["applied", "duplicate", "stale", "held", "conflict", "stub_created"]),
    delivery_id: z.string(),
    organization_id: z.string(),
    old_status: z.enum(BOOKING_STATUSES).nullable(),
    new_status: z.enum(BOOKING_STATUSES),
    processed_at: instant,
    lease_token: z.string().nullable(),
  }),
]);

const finishedRow = z.object({
  delivery_id: z.string(),
  finished: z.boolean(),
  status: z.enum(DELIVERY_STATUSES),
  attempts: z.int(),
  next_attempt_at: instant.nullable(),
  result: jsonObject,
});

/** The inbox in Postgres: each method is one rpc, one transaction, one checked row. */
export function createPostgresInbox(rpc: CallRpc): Inbox {
  return {
    async receiveDelivery(delivery, options = {}) {
      const row = await callRow(rpc, "receive_delivery", {
        function: delivery.function,
        organization_id: delivery.organizationId,
        source: delivery.source,
        external_id: delivery.externalId,
        event_type: delivery.eventType,
        event_timestamp: delivery.eventTimestamp,
        headers: delivery.headers,
        body: delivery.body,
        dedupe_key: delivery.dedupeKey,
        status: delivery.status,
        last_error: delivery.lastError,
        claim: delivery.claim ?? true,
      }, { row: receivedRow, signal: options.signal });
      return {
        deliveryId: row.delivery_id ?? "",
        outcome: row.outcome,
        organizationId: row.organization_id,
        leaseToken: row.lease_token,
        reason: row.reason,
        nextAttemptAt: row.next_attempt_at,
        duplicateOf: row.duplicate_of,
        status: row.status ?? "invalid",
        result: row.result,
        lastError: row.last_error,
      };
    },

    async applyHeadoutEvent(event, options = {}) {
      const row = await callRow(rpc, "apply_headout_event", {
        organization_id: event.organizationId,
        external_id: event.externalId,
        event_type: event.eventType,
        event_timestamp: event.eventTimestamp,
        headers: event.headers,
        body: event.body,
      }, { row: eventRow, signal: options.signal });
      if (!("delivery_id" in row)) return undefined;
      return {
        deliveryId: row.delivery_id,
        outcome: row.outcome,
        organizationId: row.organization_id,
        oldStatus: row.old_status,
        newStatus: row.new_status,
        processedAt: row.processed_at,
        leaseToken: row.lease_token,
      };
    },

    async finishDelivery(end, options = {}) {
      const row = await callRow(rpc, "finish_delivery", {
        delivery_id: end.deliveryId,
        lease_token: end.leaseToken,
        status: end.status,
        last_error: end.lastError ?? null,
        result: end.result ?? null,
        retry_after_ms: end.retryAfterMs ?? null,
      }, { row: finishedRow, signal: options.signal });
      return {
        deliveryId: row.delivery_id,
        finished: row.finished,
        status: row.status,
        attempts: row.attempts,
        nextAttemptAt: row.next_attempt_at,
        result: row.result,
      };
    },
  };
}
