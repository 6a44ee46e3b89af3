import { isJsonObject, type JsonObject } from "../booking/snapshot.ts";
import type { InlineFiles } from "../source/inline_files.ts";
import { SourceError } from "../source/source_error.ts";
import type { Page } from "../source/booking_source.ts";
import { decodeRows } from "../source/decode_rows.ts";
import { assertContractVersion, assertSuccess } from "./contract_version.ts";
import { decodeBooking, readBookingId } from "./decode_booking.ts";

/** What was asked for. */
export interface ListQuestion {
  readonly organizationId: string;
  /** When the read began, ISO (rule: a fetch is dated when it was read). */
  readonly fetchedAt: string;
  /** The page's number, from 1. */
  readonly page: number;
  /** Bookings asked for per page. */
  readonly limit: number;
  /** The files that the answer carried along. */
  readonly files?: InlineFiles;
}

/**
 * One page of bookings, whose cursors count rows, from `{ data: [] }`, `{ bookings: [] }` or a bare list. A bad booking is
 * listed in `invalid` and the others are decoded (rule: one booking stops nothing). Throws
 * `SourceError` for anything that is not a list (rule: absence is not a statement).
 */
export function decodeList(body: unknown, question: ListQuestion): Page {
  const { rows, frame } = findList(body);
  const { organizationId, fetchedAt, page, limit, files = new Map() } = question;
  const context = { organizationId, fetchedAt, frame, files };
  const decoded = decodeRows(rows, readBookingId, (row) => decodeBooking(row, context));
  // EventFlow does not say how long its list is, so a short page counts as the last.
  const beyond = page * limit;
  const after = rows.length < limit ? { last: true, probe: beyond } : { last: false, next: beyond };
  return { ...decoded, limit, ...after };
}

/** The list in an answer and the completeness flags around it. */
function findList(
  body: unknown,
): { readonly rows: readonly unknown[]; readonly frame: JsonObject } {
  if (Array.isArray(body)) return { rows: body, frame: {} };
  if (isJsonObject(body)) {
    assertSuccess(body);
    assertContractVersion(body);
    // The root's revision and status belong to single answers, not to every booking of a list.
    const frame = Object.fromEntries(
      Object.entries(body).filter(([key]) => key === "meta" || key.endsWith("_complete")),
    );
    if (Array.isArray(body["data"])) return { rows: body["data"], frame };
    if (Array.isArray(body["bookings"])) return { rows: body["bookings"], frame };
  }
  const message = "EventFlow answered a list read with something that is not a list";
  throw new SourceError("source_invalid", message, {
    retryable: true,
    details: [{ code: "not_a_list", message }],
  });
}
