import { z } from "zod";
import type { BookingStore } from "../sync/booking_store.ts";
import { callRows } from "./call.ts";
import type { CallRpc } from "./client.ts";

/** PostgREST's max_rows: beyond it the verdicts, one per snapshot, would be cut off in silence. */
const MAX_SNAPSHOTS = 1_000;

const verdictRow = z.object({
  external_id: z.string().nullable(),
  verdict: z.enum([
    "created",
    "updated",
    "unchanged",
    "stale",
    "held",
    "invalid",
    "duplicate_in_page",
    "lease_lost",
    "paused",
    "unknown_organization",
  ]),
  booking_id: z.union([z.int(), z.string()]).nullable(),
  changes: z.unknown().optional(),
  error: z.unknown().optional(),
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
        run_id: batch.runId ?? null,
        force: batch.force ?? false,
        dry_run: batch.dryRun ?? false,
      }, { row: verdictRow, signal: options.signal });
      return rows.map((row) => ({
        externalId: row.external_id ?? "",
        verdict: row.verdict,
        bookingId: row.booking_id === null ? null : String(row.booking_id),
        changes: row.changes,
        error: row.error ?? null,
      }));
    },
  };
}
