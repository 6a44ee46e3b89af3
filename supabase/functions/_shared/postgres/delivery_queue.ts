import { z } from "zod";
import { BOOKING_SOURCES } from "../booking/status.ts";
import type { DeliveryQueue } from "../sync/delivery_queue.ts";
import { callRows } from "./call.ts";
import type { CallRpc } from "./client.ts";

const claimedRow = z.object({
  delivery_id: z.string(),
  organization_id: z.string(),
  source: z.enum(BOOKING_SOURCES),
  external_id: z.string(),
  lease_token: z.string(),
  attempts: z.int(),
});

const staleRow = z.object({
  organization_id: z.string(),
  source: z.enum(BOOKING_SOURCES),
  external_id: z.string(),
});

/** What is due in Postgres: `claim_deliveries` and `claim_refreshes`. */
export function createPostgresDeliveryQueue(rpc: CallRpc): DeliveryQueue {
  return {
    async claimDeliveries(task, options = {}) {
      const rows = await callRows(rpc, "claim_deliveries", {
        max_deliveries: task.maxDeliveries,
        only_source: task.source,
      }, { row: claimedRow, signal: options.signal });
      return rows.map((row) => ({
        deliveryId: row.delivery_id,
        leaseToken: row.lease_token,
        organizationId: row.organization_id,
        source: row.source,
        externalId: row.external_id,
        attempts: row.attempts,
      }));
    },
    async claimRefreshes(task, options = {}) {
      const rows = await callRows(rpc, "claim_refreshes", {
        max_reads: task.maxDeliveries,
        only_source: task.source,
      }, { row: staleRow, signal: options.signal });
      return rows.map((row) => ({
        organizationId: row.organization_id,
        source: row.source,
        externalId: row.external_id,
      }));
    },
  };
}
