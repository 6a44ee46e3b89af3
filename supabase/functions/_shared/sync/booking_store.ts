import type { Snapshot } from "../booking/snapshot.ts";
import type { BookingSourceName } from "../booking/status.ts";
import type { DatabaseCallOptions } from "../call_database.ts";

/** Snapshots to apply in one transaction, at most 1000. */
export interface SnapshotBatch {
  readonly organizationId: string;
  readonly source: BookingSourceName;
  readonly snapshots: readonly Snapshot[];
  /** The delivery that asked for it. It is finished in the same transaction. */
  readonly deliveryId?: string | null;
  readonly leaseToken?: string | null;
  /** The deliveries that asked for it, if there are several. Each is finished with its booking. */
  readonly deliveries?: readonly { readonly deliveryId: string; readonly leaseToken: string }[];
  /** Applies a snapshot even if it is no newer than what is stored. */
  readonly force?: boolean;
  /** Does the same and rolls back. */
  readonly dryRun?: boolean;
}

/** What applying one snapshot did. */
export interface Verdict {
  readonly externalId: string;
  readonly verdict:
    | "created"
    | "updated"
    | "unchanged"
    | "stale"
    | "held"
    /** Ended before `connections.not_before` and never stored, so it is ignored. */
    | "skipped"
    | "invalid"
    | "duplicate_in_page"
    | "lease_lost"
    | "paused"
    | "unknown_organization";
  /** Digits; null if the booking is not stored. */
  readonly bookingId: string | null;
  /** `{ table: { created, updated, marked_missing } }`, for a dry run a list of row changes. */
  readonly changes: unknown;
  /** Why a snapshot is `invalid`. */
  readonly error: unknown;
  /** What of it could not be used as it was sent; absent if that was not looked at again. */
  readonly warnings?: readonly unknown[];
}

/** The port to the stored bookings. */
export interface BookingStore {
  /** One verdict per snapshot, in their order. Throws `DatabaseUnavailable`. */
  readonly applySnapshots: (
    batch: SnapshotBatch,
    options?: DatabaseCallOptions,
  ) => Promise<readonly Verdict[]>;
}
