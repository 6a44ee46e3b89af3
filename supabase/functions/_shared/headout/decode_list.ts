import { isJsonObject, type JsonObject } from "../booking/snapshot.ts";
import { SourceError } from "../source/source_error.ts";
import type { Page } from "../source/booking_source.ts";
import { decodeRows } from "../source/decode_rows.ts";
import { decodeBooking, readBookingId } from "./decode_booking.ts";

/**
 * One page of Headout's bookings. The next offset is the one that Headout names. Rows shift while
 * we page, so a booking may come twice. A bad booking is listed in `invalid` (rule: one booking
 * stops nothing). Throws a retryable `source_invalid` for anything without a list of items.
 */
export function decodeList(
  body: unknown,
  question: { readonly fetchedAt: string; readonly offset: number },
): Page {
  if (!isJsonObject(body) || !Array.isArray(body["items"])) {
    const message = "Headout answered a list read with something that has no items";
    throw new SourceError("source_invalid", message, {
      retryable: true,
      details: [{ code: "not_a_list", field: "items", message }],
    });
  }
  const items: readonly unknown[] = body["items"];
  const decoded = decodeRows(items, readBookingId, (item) => decodeBooking(item, question));
  const next = items.length === 0 ? undefined : nextOffset(body, question.offset, items.length);
  return { ...decoded, last: next === undefined, ...(next && { next }) };
}

/** Where the next page begins: by `nextOffset`, else by `nextUrl`, else by `total`. */
function nextOffset(body: JsonObject, offset: number, length: number): number | undefined {
  const { nextOffset: told, nextUrl, total } = body;
  const linked = typeof nextUrl === "string" ? /[?&]offset=(\d+)/.exec(nextUrl)?.[1] : undefined;
  const next = Number.isSafeInteger(told)
    ? Number(told)
    : linked !== undefined
    ? Number(linked)
    : told === undefined && nextUrl === undefined && Number(total) > offset + length
    ? offset + length
    : undefined;
  return next !== undefined && next > offset ? next : undefined;
}
