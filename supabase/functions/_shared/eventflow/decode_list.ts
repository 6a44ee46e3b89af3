import { createHash } from "node:crypto";
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

/** The rows of a list answer, before they are decoded. */
export interface RawList {
  readonly rows: readonly unknown[];
  /** The completeness flags around them. */
  readonly frame: JsonObject;
}

/**
 * What the decoding of a booking depends on beside its text. Raise it with every change of what a
 * booking is decoded to: then each is decoded once more.
 */
export const DECODER_VERSION = 1;

/**
 * A hash of each row's text, by the booking's id; rows of one id have none. The parsed text is written
 * anew for it, so white space makes no difference.
 */
export function hashRows({ rows, frame }: RawList): Record<string, string> {
  const around = JSON.stringify([DECODER_VERSION, frame]);
  const hashes: Record<string, string> = Object.create(null);
  const twice = new Set<string>();
  for (const row of rows) {
    const id = readBookingId(row);
    if (id === undefined) continue;
    if (Object.hasOwn(hashes, id)) twice.add(id);
    hashes[id] = createHash("sha256").update(around).update(JSON.stringify(row)).digest(
      "base64url",
    );
  }
  for (const id of twice) delete hashes[id];
  return hashes;
}

/**
 * One page of bookings, whose cursors count rows. A bad booking is listed in `invalid` and the others
 * are decoded (rule: one booking stops nothing); those with a hash in `known` are passed over.
 */
export function decodeList(
  { rows, frame }: RawList,
  question: ListQuestion,
  rawHashes: Readonly<Record<string, string>> = {},
  known: ReadonlySet<string> = new Set(),
): Page {
  const { organizationId, fetchedAt, page, limit, files = new Map() } = question;
  const context = { organizationId, fetchedAt, frame, files };
  const hashOf = (row: unknown): string | undefined => {
    const id = readBookingId(row);
    return id !== undefined && Object.hasOwn(rawHashes, id) ? rawHashes[id] : undefined;
  };
  const isKnown = (row: unknown): boolean => known.size > 0 && known.has(hashOf(row) ?? "");
  const changed = rows.filter((row) => !isKnown(row));
  const decoded = decodeRows(changed, readBookingId, (row) => {
    const result = decodeBooking(row, context);
    const hash = hashOf(row);
    if (result.ok && hash !== undefined) result.snapshot.raw_hash = hash;
    return result;
  });
  // EventFlow does not say how long its list is, so a short page counts as the last.
  const beyond = page * limit;
  const after = rows.length < limit ? { last: true, probe: beyond } : { last: false, next: beyond };
  const idsOf = (list: readonly unknown[]) =>
    list.map(readBookingId).filter((id) => id !== undefined);
  return {
    ...decoded,
    ...(changed.length === rows.length ? {} : {
      unchanged: idsOf(rows.filter(isKnown)),
      ids: idsOf(rows),
    }),
    limit,
    ...after,
  };
}

/**
 * The list in an answer, `{ data: [] }`, `{ bookings: [] }` or a bare list, and the completeness flags
 * around it. Throws `SourceError` for anything that is not a list (rule: absence is not a statement).
 */
export function findList(body: unknown): RawList {
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
