import {
  holds,
  pick,
  readFlag,
  type Reading,
  readNumber,
  readText,
  setStated,
  type Stated,
  valueAt,
  warn,
} from "../source/reading.ts";
import {
  isJsonObject,
  type JsonObject,
  SNAPSHOT_LIMITS,
  type SnapshotBooking,
} from "../booking/snapshot.ts";
import { isHttpUrl } from "../booking/child_keys.ts";
import { extensionOf, storedPath } from "../source/inline_files.ts";
import type { BookingFiles } from "./booking_files.ts";

/**
 * The columns of a booking under every name that EventFlow uses for them. Absent fields stay
 * absent; of several alternative names the first that holds something wins.
 */
export function readBookingFields(
  reading: Reading,
  frame: JsonObject,
  files: BookingFiles,
): SnapshotBooking {
  const booking: SnapshotBooking = {};
  const text = (key: TextColumn, ...names: string[]): void =>
    setStated(booking, key, readText(reading, names));
  text("booking_number", "booking_number", "number");
  text("title", "title", "name", "location");
  text("client_name", "clientName", ...membersOf(reading, "client", ["name"]));
  readStatus(reading, frame, booking);
  text("delivery_address", "delivery_address");
  text("delivery_city", "delivery_city");
  text("delivery_postal_code", "delivery_postal_code");
  setStated(booking, "latitude", readDegrees(reading, "lat", "latitude", 90));
  setStated(booking, "longitude", readDegrees(reading, "lng", "longitude", 180));
  text(
    "contact_name",
    "delivery_contact_name",
    "contact_name",
    "contact_person",
    ...membersOf(reading, "contact", ["name"]),
  );
  text("contact_phone", ...contactNames(reading, "phone"));
  text("contact_email", ...contactNames(reading, "email"));
  setStated(booking, "carry_more_than_10m", readFlag(reading, ["carry_more_than_10m"]));
  setStated(booking, "ground_nails_allowed", readFlag(reading, ["ground_nails_allowed"]));
  setStated(booking, "exact_time_needed", readFlag(reading, ["exact_time_needed"]));
  text("exact_time_info", "exact_time_info");
  const rental = pick(reading, ["rental_only"]);
  if (rental !== undefined) booking.rental_only = rental.value === true;
  text("source_notes", "internal_notes");
  setStated(booking, "economics", readEconomics(reading));
  setStated(booking, "map_drawing_url", readMapDrawing(reading, files));
  return booking;
}

type TextColumn = {
  [K in keyof SnapshotBooking]-?: NonNullable<SnapshotBooking[K]> extends string
    ? string extends NonNullable<SnapshotBooking[K]> ? K : never
    : never;
}[keyof SnapshotBooking];

/**
 * The members of a nested object as alternative names. A parent that is text or null is used
 * itself, so that a null parent clears the column.
 */
function membersOf(reading: Reading, parent: string, members: readonly string[]): string[] {
  return isJsonObject(valueAt(reading.source, parent))
    ? members.map((member) => `${parent}.${member}`)
    : [parent];
}

function contactNames(reading: Reading, member: "phone" | "email"): string[] {
  const names = [`delivery_contact_${member}`, `contact_${member}`, `contact.${member}`, member];
  return reading.source["contact"] === null ? [...names, "contact"] : names;
}

function readStatus(reading: Reading, frame: JsonObject, booking: SnapshotBooking): void {
  const own = pick(reading, ["status", "booking_status"]);
  const silent = own === undefined || !holds(own.value);
  // A booking without a status takes the one from the answer's root.
  const value = silent ? valueAt(frame, "source_status") : own.value;
  if (value === undefined || value === null || value === "") {
    if (own !== undefined) {
      warn(reading, own.name, "empty_status", "The status is empty; ours stays as it is");
    }
    return;
  }
  // What the word means is data of the database: sync.status_words.
  booking.source_status = typeof value === "string" ? value : JSON.stringify(value);
}

function readDegrees(
  reading: Reading,
  member: "lat" | "lng",
  name: "latitude" | "longitude",
  limit: number,
): Stated<number> {
  const names = [`delivery_geocode.${member}`, name];
  if (reading.source["delivery_geocode"] === null) names.push("delivery_geocode");
  const degrees = readNumber(reading, names);
  if (typeof degrees !== "number" || Math.abs(degrees) <= limit) return degrees;
  warn(reading, name, "invalid_coordinate", `${name} must be within ±${limit}; it was ignored`);
  return undefined;
}

/** `economics` if it is an object or null, otherwise `totals`; stored as JSON. */
function readEconomics(reading: Reading): Stated<JsonObject> {
  const names = ["economics", "totals"].filter((name) => {
    const value = valueAt(reading.source, name);
    if (value === undefined || value === null || isJsonObject(value)) return true;
    warn(reading, name, "invalid_object", `${name} must be an object; it was ignored`);
    return false;
  });
  return pick(reading, names)?.value as Stated<JsonObject>;
}

function readMapDrawing(reading: Reading, files: BookingFiles): Stated<string> {
  const parent = valueAt(reading.source, "map_drawing");
  if (isJsonObject(parent) && holds(parent["content_base64"])) {
    reading.used.add("map_drawing.content_base64");
    const field = "map_drawing.content_base64";
    const file = files.take(reading, field, parent["content_base64"]);
    if (file === "refused") return undefined;
    if (file !== undefined) {
      const member = (...names: string[]): string | undefined =>
        names.map((name) => parent[name]).find((value) => typeof value === "string");
      const extension = extensionOf(member("file_name", "name"), [
        member("file_type", "type"),
        file.mediaType,
      ]);
      return storedPath(files.owner, file.sha256, extension);
    }
  }
  const names = ["map_drawing.public_url", "map_drawing.url", "map_drawing_url"];
  if (parent !== undefined && !isJsonObject(parent)) names.push("map_drawing");
  const found = pick(reading, names);
  if (found === undefined) return undefined;
  if (!holds(found.value)) return null;
  const { name, value } = found;
  if (typeof value === "string" && isHttpUrl(value) && value.length <= SNAPSHOT_LIMITS.url) {
    return value.trim();
  }
  reading.used.delete(name);
  warn(reading, name, "invalid_url", `${name} must be an http(s) URL; it was ignored`);
  return undefined;
}
