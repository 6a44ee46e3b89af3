import type { BookingSourceName } from "../booking/status.ts";
import type { DatabaseCallOptions } from "../call_database.ts";

/** A due delivery that is leased to us for 60 s. */
export interface ClaimedDelivery {
  readonly deliveryId: string;
  readonly leaseToken: string;
  readonly organizationId: string;
  readonly source: BookingSourceName;
  readonly externalId: string;
  /** How often it was claimed, including this time. */
  readonly attempts: number;
}

/** What to claim. */
export interface ClaimTask {
  readonly source: BookingSourceName;
  /** From 1. */
  readonly maxDeliveries: number;
}

/** How long a claimed delivery is ours, in milliseconds; then any worker may take it over. */
export const LEASE_MS = 60_000;

/** The port to the deliveries that are due. */
export interface DeliveryQueue {
  /**
   * Leases due deliveries, one per booking, fairly between organizations; empty if none is due.
   * Throws `DatabaseUnavailable`.
   */
  readonly claimDeliveries: (
    task: ClaimTask,
    options?: DatabaseCallOptions,
  ) => Promise<readonly ClaimedDelivery[]>;
}
