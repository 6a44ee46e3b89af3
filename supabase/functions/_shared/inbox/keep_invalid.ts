import type { BookingSourceName } from "../booking/status.ts";
import type { AnswerError } from "../errors.ts";
import { callDatabase } from "../call_database.ts";
import type { Inbox, ReceivedDelivery, StoredJson } from "./inbox.ts";

/** An authentic delivery whose body is wrong. */
export interface InvalidDelivery {
  readonly function: string;
  readonly source: BookingSourceName;
  readonly organizationId: string | null;
  /** The booking that it names all the same, if it does. */
  readonly externalId: string | null;
  readonly headers: StoredJson;
  readonly body: StoredJson;
  /** What its sender is told. */
  readonly error: AnswerError;
}

/**
 * Keeps a delivery as `invalid` with the reason (design §9), within `milliseconds`. It never has a
 * dedupe key: the sender's corrected repetition must not be taken for this one.
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
