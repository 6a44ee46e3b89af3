import { createReading, type Reading, readText, remainder, setStated } from "../source/reading.ts";
import { BookingRefusal } from "../booking/refusal.ts";
import { sealSnapshot } from "../booking/seal_snapshot.ts";
import {
  isJsonObject,
  type JsonObject,
  setOwn,
  type Snapshot,
  SNAPSHOT_LIMITS,
  type SnapshotWarning,
} from "../booking/snapshot.ts";
import { type DecodedBooking, decodeOrRefuse } from "../source/decode_rows.ts";
import { isStorable } from "../booking/storable.ts";
import type { InlineFiles } from "../source/inline_files.ts";
import { readAttachments } from "./attachments.ts";
import { createBookingFiles } from "./booking_files.ts";
import { readDates } from "./dates.ts";
import { isSameUuid } from "./identity.ts";
import { readProducts } from "./products.ts";
import { readRevision } from "./revision.ts";
import { readBookingFields } from "./booking_fields.ts";

/** What surrounds a booking in an answer. */
export interface BookingContext {
  /** The organization asked for; a booking that names another one is refused. */
  readonly organizationId: string;
  /** When the read began, ISO (rule: a fetch is dated when it was read). */
  readonly fetchedAt: string;
  /** The answer's root: completeness flags and, in a single answer, status and revision. */
  readonly frame: JsonObject;
  /** The files that the answer carried along. */
  readonly files?: InlineFiles;
}

/**
 * One of EventFlow's bookings as a snapshot. Absent, null and a value stay three different things,
 * unknown fields go to `extra`, and unusable ones are listed in `warnings`. It does not throw for a
 * bad booking; it returns why it was refused.
 */
export function decodeBooking(raw: unknown, context: BookingContext): DecodedBooking {
  const externalId = readBookingId(raw);
  return decodeOrRefuse(raw, externalId, (booking) => decode(booking, externalId, context));
}

/** The id of a booking as text, also if it was sent as a whole number. */
export function readBookingId(raw: unknown): string | undefined {
  if (!isJsonObject(raw) || !Object.hasOwn(raw, "id")) return undefined;
  const id = Number.isSafeInteger(raw["id"]) ? String(raw["id"]) : raw["id"];
  if (typeof id !== "string" || id.length > SNAPSHOT_LIMITS.externalId) return undefined;
  return id.trim() === "" || !isStorable(id) ? undefined : id;
}

function decode(
  raw: JsonObject,
  externalId: string | undefined,
  context: BookingContext,
): Snapshot {
  if (externalId === undefined) {
    throw new BookingRefusal("missing_id", "id", "The booking has no id of 1 to 200 characters");
  }
  const warnings: SnapshotWarning[] = [];
  const reading = createReading(raw, warnings);
  reading.used.add("id");
  if (raw["booking_id"] === raw["id"]) reading.used.add("booking_id");
  assertOrganization(reading, context.organizationId);
  const { frame } = context;
  const { organizationId } = context;
  const owner = { organizationId, source: "eventflow", externalId } as const;
  const files = createBookingFiles(owner, context.files ?? new Map());
  const draft: Omit<Snapshot, "content_hash"> = {
    external_id: externalId,
    fetched_at: context.fetchedAt,
    ...readRevision(reading, frame, context.fetchedAt),
    booking: readBookingFields(reading, frame, files),
  };
  const flag = (...names: string[]): boolean | null => readComplete(reading, frame, names);
  setStated(draft, "dates", readDates(reading, flag("dates_complete", "calendar_complete")));
  const products = readProducts(reading, flag("products_complete"));
  setStated(draft, "products", products?.collection);
  setStated(draft, "attachments", readAttachments(reading, flag("attachments_complete"), files));
  const extra = remainder(reading) ?? {};
  if (products?.unmapped !== undefined) setOwn(extra, "products", products.unmapped);
  // Also if it is empty: what the source does not send any more is not kept.
  draft.booking.extra = extra;
  if (warnings.length > 0) draft.warnings = warnings;
  return sealSnapshot(draft);
}

function assertOrganization(reading: Reading, asked: string): void {
  const named = readText(reading, ["organization_id"]);
  if (!named || isSameUuid(named, asked)) return;
  throw new BookingRefusal(
    "organization_mismatch",
    "organization_id",
    "The booking belongs to a different organization than requested",
  );
}

/**
 * What the source says explicitly about a collection being complete, under any of `names` in the
 * booking, its `meta`, the answer's root or the root's `meta`: false if one of them is false, else
 * true if one is true, else null. Only a real boolean counts (rule: absence is not a statement).
 */
function readComplete(
  reading: Reading,
  frame: JsonObject,
  names: readonly string[],
): boolean | null {
  const { source, used } = reading;
  for (const name of names) used.add(name).add(`meta.${name}`);
  const flags = [source, source["meta"], frame, frame["meta"]]
    .filter(isJsonObject)
    .flatMap((place) => names.map((name) => place[name]));
  if (flags.includes(false)) return false;
  return flags.includes(true) ? true : null;
}
