import type { Snapshot } from "../booking/snapshot.ts";
import type { BookingSourceName } from "../booking/status.ts";
import type { DatabaseCallOptions } from "../call_database.ts";

/** Snapshots to apply in one transaction, at most 1000. */
export interface SnapshotBatch {
  readonly organizationId: string;
  readonly source: BookingSourceName;
  readonly snapshots: readonly Snapshot[];
  /** The delivery that asked for it; it is finished in the same transaction. */
  readonly deliveryId?: string | null;
  readonly leaseToken?: string | null;
  /** Several of them, when the batch stands for several; each is finished with its booking. */
  readonly deliveries?: readonly { readonly deliveryId: string; readonly leaseToken: string }[];
  /** Applies a snapshot even if it is no newer than what is stored. */
  readonly force?: boolean;
  /** Takes the same path and rolls back. */
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
    /** Over before `connections.not_before` and never stored: left to history. */
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
}

/** The port to the stored bookings. */
export interface BookingStore {
  /** One verdict per snapshot, in their order. Throws `DatabaseUnavailable` like the inbox does. */
  readonly applySnapshots: (
    batch: SnapshotBatch,
    options?: DatabaseCallOptions,
  ) => Promise<readonly Verdict[]>;
}
