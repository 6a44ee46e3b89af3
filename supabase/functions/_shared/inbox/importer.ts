import type { BookingSourceName } from "../booking/status.ts";
import type { AnsweredError, DeliveryState } from "./sync_result.ts";

/** One booking that import-bookings is to fetch and apply. */
export interface ImportTask {
  readonly externalId: string;
  readonly source: BookingSourceName;
  readonly organizationId: string;
  readonly deliveryId: string;
  readonly leaseToken: string | null;
  /** Passed on as `x-request-id`, so that one id finds the log lines of both functions. */
  readonly requestId: string;
}

/** The JSON that import-bookings answered; `delivery` is absent if it did not get that far. */
export type ImportAnswer =
  & (
    | { readonly success: true; readonly outcome: string; readonly changes: unknown }
    | { readonly success: false; readonly error: AnsweredError }
  )
  & { readonly delivery?: DeliveryState };

/** The port to import-bookings. It does not retry, since the inbox does. */
export interface Importer {
  /** Throws {@linkcode ImporterUnavailable}, or the signal's reason when aborted. */
  readonly importBooking: (task: ImportTask, signal: AbortSignal) => Promise<ImportAnswer>;
  /** Has due deliveries processed. Returns when that has ended or takes too long; never throws. */
  readonly drain: () => Promise<void>;
}

/** The call failed, or the response is not an answer of import-bookings. */
export class ImporterUnavailable extends Error {
  override readonly name = "ImporterUnavailable";
  readonly code = "import_unavailable";
  /** HTTP status of the response; 0 if there was none. */
  readonly status: number;
  /** Milliseconds that the platform asked us to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, options: ErrorOptions & { readonly retryAfterMs?: number } = {}) {
    super(`Cannot import: import-bookings answered ${status || "nothing"}.`, options);
    this.status = status;
    this.retryAfterMs = options.retryAfterMs;
  }
}
