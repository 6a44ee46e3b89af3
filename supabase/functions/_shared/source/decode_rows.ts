import { BookingRefusal } from "../booking/refusal.ts";
import { isJsonObject, type JsonObject, type Snapshot } from "../booking/snapshot.ts";
import type { InvalidBooking, Page } from "./booking_source.ts";

/** A decoded booking, or why it was refused. */
export type DecodedBooking =
  | { readonly ok: true; readonly snapshot: Snapshot }
  | { readonly ok: false; readonly invalid: InvalidBooking };

/**
 * Runs a decoder on a booking of an answer. A value that is not an object, or a `BookingRefusal` of
 * the decoder, becomes the reason for refusing it; other errors are thrown.
 */
export function decodeOrRefuse(
  raw: unknown,
  externalId: string | undefined,
  decode: (raw: JsonObject) => Snapshot,
): DecodedBooking {
  try {
    if (!isJsonObject(raw)) throw new BookingRefusal("invalid_booking", "", "It is not an object");
    return { ok: true, snapshot: decode(raw) };
  } catch (error) {
    if (!(error instanceof BookingRefusal)) throw error;
    const { code, field, message } = error;
    const named = externalId === undefined ? {} : { external_id: externalId };
    return { ok: false, invalid: { ...named, code, field, message } };
  }
}

/** The rows of a page: bad ones are listed in `invalid` (rule: one booking stops nothing). */
export function decodeRows(
  rows: readonly unknown[],
  readId: (row: unknown) => string | undefined,
  decode: (row: unknown) => DecodedBooking,
): Pick<Page, "snapshots" | "invalid" | "ids"> {
  const snapshots: Snapshot[] = [];
  const invalid: InvalidBooking[] = [];
  const ids: string[] = [];
  for (const row of rows) {
    const id = readId(row);
    if (id !== undefined) ids.push(id);
    const decoded = decode(row);
    if (decoded.ok) snapshots.push(decoded.snapshot);
    else invalid.push(decoded.invalid);
  }
  return { snapshots, invalid, ids };
}
