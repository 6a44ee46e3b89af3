import { z } from "zod";
import type { BookingStore, Verdict } from "../sync/booking_store.ts";
import { callRows } from "./call.ts";
import type { CallRpc } from "./client.ts";

/**
 * PostgREST's max_rows: it would silently drop verdicts beyond that (incident: a list cut at 1,000
 * rows).
 */
const MAX_SNAPSHOTS = 1_000;

/** A row of `apply_snapshots` and of `checkpoint_run`. */
export const verdictRow = z.object({
  external_id: z.string().nullable(),
  verdict: z.enum([
    "created",
    "updated",
    "unchanged",
    "stale",
    "held",
    "skipped",
    "invalid",
    "duplicate_in_page",
    "lease_lost",
    "paused",
    "unknown_organization",
  ]),
  booking_id: z.union([z.int(), z.string()]).nullable(),
  changes: z.unknown().optional(),
  error: z.unknown().optional(),
  warnings: z.array(z.unknown()).nullish(),
});

/** The bookings in Postgres. Throws `TypeError` for more than 1000 snapshots in one call. */
export function createPostgresBookings(rpc: CallRpc): BookingStore {
  return {
    async applySnapshots(batch, options = {}) {
      if (batch.snapshots.length > MAX_SNAPSHOTS) {
        throw new TypeError(
          `Cannot apply snapshots: ${batch.snapshots.length} is more than ${MAX_SNAPSHOTS}`,
        );
      }
      const rows = await callRows(rpc, "apply_snapshots", {
        organization_id: batch.organizationId,
        source: batch.source,
        snapshots: batch.snapshots,
        delivery_id: batch.deliveryId ?? null,
        lease_token: batch.leaseToken ?? null,
        force: batch.force ?? false,
        dry_run: batch.dryRun ?? false,
        ...(batch.deliveries === undefined ? {} : {
          deliveries: batch.deliveries.map(({ deliveryId, leaseToken }) => ({
            delivery_id: deliveryId,
            lease_token: leaseToken,
          })),
        }),
      }, { row: verdictRow, signal: options.signal });
      return rows.map(toVerdict);
    },
  };
}

/** A verdict in our own words. */
export function toVerdict(row: z.output<typeof verdictRow>): Verdict {
  return {
    externalId: row.external_id ?? "",
    verdict: row.verdict,
    bookingId: row.booking_id === null ? null : String(row.booking_id),
    changes: row.changes,
    error: row.error ?? null,
    ...(row.warnings ? { warnings: row.warnings } : {}),
  };
}
