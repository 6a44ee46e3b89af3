import {
  createReading,
  holds,
  pick,
  type Reading,
  readNumber,
  readText,
  remainder,
  setStated,
  warn,
} from "../source/reading.ts";
import { BookingRefusal } from "../booking/refusal.ts";
import { sealSnapshot } from "../booking/seal_snapshot.ts";
import {
  isJsonObject,
  type JsonObject,
  setOwn,
  type Snapshot,
  SNAPSHOT_LIMITS,
  type SnapshotBooking,
  type SnapshotWarning,
} from "../booking/snapshot.ts";
import { type DecodedBooking, decodeOrRefuse } from "../source/decode_rows.ts";
import { isStorable } from "../booking/storable.ts";
import { mapHeadoutStatus } from "./status.ts";
import { readDates } from "./dates.ts";
import { readGuests, readInputs } from "./guests.ts";
import { readTickets } from "./tickets.ts";

/**
 * One of Headout's bookings as a snapshot. It has no revision, so it is dated by its read. Unmapped
 * fields go to `extra`. It does not throw for a bad booking; it returns why it was refused.
 */
export function decodeBooking(
  raw: unknown,
  context: { readonly fetchedAt: string },
): DecodedBooking {
  const externalId = readBookingId(raw);
  return decodeOrRefuse(
    raw,
    externalId,
    (booking) => decode(booking, externalId, context.fetchedAt),
  );
}

/** The id of a booking as text; the webhook sends an integer and the API text. */
export function readBookingId(raw: unknown): string | undefined {
  if (!isJsonObject(raw) || !Object.hasOwn(raw, "bookingId")) return undefined;
  const value = raw["bookingId"];
  const id = Number.isSafeInteger(value) ? String(value) : value;
  if (typeof id !== "string" || id.length > SNAPSHOT_LIMITS.externalId) return undefined;
  return id.trim() === "" || !isStorable(id) ? undefined : id;
}

function decode(raw: JsonObject, externalId: string | undefined, fetchedAt: string): Snapshot {
  if (externalId === undefined) {
    throw new BookingRefusal("missing_id", "bookingId", "The booking has no id");
  }
  const warnings: SnapshotWarning[] = [];
  const reading = createReading(raw, warnings);
  reading.used.add("bookingId");
  const booking: SnapshotBooking = {};
  setStated(booking, "title", readText(reading, ["product.name"]));
  readStatus(reading, booking);
  setStated(booking, "partner_reference", readText(reading, ["partnerReferenceId"]));
  setStated(booking, "price_amount", readNumber(reading, ["price.amount"]));
  setStated(booking, "price_currency", readText(reading, ["price.currencyCode"]));
  const guests = readGuests(reading);
  Object.assign(booking, guests.contact);
  const tickets = readTickets(reading);
  const draft: Omit<Snapshot, "content_hash"> = {
    external_id: externalId,
    fetched_at: fetchedAt,
    booking,
  };
  setStated(draft, "dates", readDates(reading));
  setStated(draft, "products", guests.products);
  setStated(draft, "attachments", tickets.attachments);
  const extra = remainder(reading) ?? {};
  const inputs = readInputs(reading);
  if (inputs !== undefined) setOwn(extra, "inputs", inputs);
  if (tickets.codes.length > 0) setOwn(extra, "tickets", tickets.codes);
  booking.extra = extra;
  if (warnings.length > 0) draft.warnings = warnings;
  return sealSnapshot(draft);
}

function readStatus(reading: Reading, booking: SnapshotBooking): void {
  const found = pick(reading, ["status"]);
  if (found === undefined) return;
  if (!holds(found.value)) {
    warn(reading, found.name, "empty_status", "The status is empty; ours stays as it is");
    return;
  }
  const word = typeof found.value === "string" ? found.value : JSON.stringify(found.value);
  booking.source_status = word;
  // A word that we do not know is named where words get their meaning: sync.status_words.
  const status = mapHeadoutStatus(word);
  if (status !== undefined) booking.status = status;
}
