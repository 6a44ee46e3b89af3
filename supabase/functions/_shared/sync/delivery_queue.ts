import type { BookingSourceName } from "../booking/status.ts";
import type { DatabaseCallOptions } from "../call_database.ts";
import type { BookingToRead } from "./read_booking.ts";

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

/** The port to what is due: deliveries, and bookings that were not read for too long. */
export interface DeliveryQueue {
  /**
   * Leases due deliveries, one per booking, fairly between organizations; empty if none is due.
   * Throws `DatabaseUnavailable`.
   */
  readonly claimDeliveries: (
    task: ClaimTask,
    options?: DatabaseCallOptions,
  ) => Promise<readonly ClaimedDelivery[]>;
  /**
   * Bookings whose last read is older than their rule allows, the stalest first; empty while a
   * delivery is due. Each is put off, so that nobody reads it twice. Throws `DatabaseUnavailable`.
   */
  readonly claimRefreshes: (
    task: ClaimTask,
    options?: DatabaseCallOptions,
  ) => Promise<readonly BookingToRead[]>;
}
