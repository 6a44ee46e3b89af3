import type { BookingSourceName, BookingStatus } from "../booking/status.ts";
import type { DatabaseCallOptions } from "../call_database.ts";

/** A JSON object as it goes into the inbox. */
export type StoredJson = Readonly<Record<string, unknown>>;

/** A delivery as it was received. */
export interface NewDelivery {
  /** The Edge Function that received it. */
  readonly function: string;
  /** Null if unknown; for Headout the database then takes the only enabled connection. */
  readonly organizationId: string | null;
  readonly source: BookingSourceName;
  readonly externalId: string | null;
  readonly eventType: string | null;
  readonly eventTimestamp: string | null;
  /** Without credentials. */
  readonly headers: StoredJson;
  readonly body: StoredJson;
  /** Null makes the delivery an event of its own. */
  readonly dedupeKey: string | null;
  readonly status: "pending" | "invalid";
  readonly lastError: StoredJson | null;
  /** False if we are too busy: then it is only stored, and due at once. Default true. */
  readonly claim?: boolean;
}

/** States of a delivery, as in `sync.deliveries.status`. */
export const DELIVERY_STATUSES = [
  "pending",
  "processing",
  "succeeded",
  "duplicate",
  "stale",
  "held",
  "invalid",
  "dead",
] as const;

/** One state of a delivery. */
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** What became of a delivery that was handed to the inbox. */
export interface ReceivedDelivery {
  readonly deliveryId: string;
  /**
   * `claimed` gives us a lease of 60 s to process it now. For a duplicate the other fields are the
   * original's.
   */
  readonly outcome:
    | "claimed"
    | "deferred"
    | "duplicate"
    | "invalid"
    | "unknown_organization"
    | "not_configured";
  readonly organizationId: string | null;
  readonly leaseToken: string | null;
  /** Why it was deferred: `paused`, `busy`, or `burst` if `claim` was false. */
  readonly reason: string | null;
  /** ISO instant. */
  readonly nextAttemptAt: string | null;
  readonly duplicateOf: string | null;
  readonly status: DeliveryStatus;
  readonly result: StoredJson | null;
  readonly lastError: StoredJson | null;
}

/** A Headout status event. */
export interface HeadoutEvent {
  readonly organizationId: string | null;
  readonly externalId: string;
  /** Headout's status, verbatim. */
  readonly eventType: string;
  /** Local date-time without a zone, as text. */
  readonly eventTimestamp: string;
  readonly headers: StoredJson;
  readonly body: StoredJson;
}

/** What applying a Headout event did, as the webhook answers it. */
export type HeadoutOutcome =
  | "applied"
  | "duplicate"
  | "stale"
  | "held"
  | "conflict"
  | "stub_created";

/** An event that is stored and decided. With a `leaseToken` we must read the booking again. */
export interface AppliedHeadoutEvent {
  readonly deliveryId: string;
  readonly outcome: HeadoutOutcome;
  readonly organizationId: string;
  readonly oldStatus: BookingStatus | null;
  readonly newStatus: BookingStatus;
  /** ISO instant in UTC. */
  readonly processedAt: string;
  readonly leaseToken: string | null;
}

/** How an attempt at a delivery ended. */
export interface DeliveryEnd {
  readonly deliveryId: string;
  readonly leaseToken: string | null;
  /** `pending` gives it back, to be tried again after a backoff. */
  readonly status: "succeeded" | "pending" | "dead" | "stale" | "held";
  /** Without one, a delivery that is given back counts as not tried and costs no attempt. */
  readonly lastError?: StoredJson | null;
  readonly result?: StoredJson | null;
  /** Milliseconds. Wins over the backoff. */
  readonly retryAfterMs?: number | null;
}

/** The state of the delivery now; `finished` is false if the lease was lost and nothing changed. */
export interface FinishedDelivery {
  readonly deliveryId: string;
  readonly finished: boolean;
  readonly status: DeliveryStatus;
  readonly attempts: number;
  /** ISO instant. */
  readonly nextAttemptAt: string | null;
  readonly result: StoredJson | null;
}

/**
 * The port to the stored deliveries. Each method is one transaction and throws
 * `DatabaseUnavailable` if the database cannot be reached or does not answer in time.
 */
export interface Inbox {
  readonly receiveDelivery: (
    delivery: NewDelivery,
    options?: DatabaseCallOptions,
  ) => Promise<ReceivedDelivery>;
  /** Undefined if no connection takes the event; then nothing is stored. */
  readonly applyHeadoutEvent: (
    event: HeadoutEvent,
    options?: DatabaseCallOptions,
  ) => Promise<AppliedHeadoutEvent | undefined>;
  readonly finishDelivery: (
    end: DeliveryEnd,
    options?: DatabaseCallOptions,
  ) => Promise<FinishedDelivery>;
}
