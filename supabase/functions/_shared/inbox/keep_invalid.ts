import type { BookingSourceName } from "../booking/status.ts";
import type { AnswerError } from "../errors.ts";
import { callDatabase } from "../call_database.ts";
import type { Inbox, ReceivedDelivery, StoredJson } from "./inbox.ts";

/** An authentic delivery whose body is wrong. */
export interface InvalidDelivery {
  readonly function: string;
  readonly source: BookingSourceName;
  readonly organizationId: string | null;
  /** The booking that it names; null if none can be read. */
  readonly externalId: string | null;
  readonly headers: StoredJson;
  readonly body: StoredJson;
  /** What the sender is told. */
  readonly error: AnswerError;
}

/**
 * Stores a delivery as `invalid` with the reason, within `milliseconds`. It gets no dedupe key, so
 * that a corrected repetition does not count as a duplicate.
 */
export async function keepInvalid(
  inbox: Pick<Inbox, "receiveDelivery">,
  delivery: InvalidDelivery,
  milliseconds: number,
): Promise<ReceivedDelivery> {
  const { error, ...kept } = delivery;
  return await callDatabase(milliseconds, (options) =>
    inbox.receiveDelivery({
      ...kept,
      eventType: null,
      eventTimestamp: null,
      dedupeKey: null,
      status: "invalid",
      lastError: { code: error.code, message: error.message, details: error.details },
    }, options));
}
