import { z } from "zod";
import { BOOKING_STATUSES } from "./status.ts";

/** Limits of a snapshot. What exceeds one is left out with a warning, never cut. */
export const SNAPSHOT_LIMITS = {
  /** Characters of a booking's external id (a check constraint of `bookings`). */
  externalId: 200,
  /**
   * Characters of a child's key. It is part of a unique index, whose rows hold at most 2,704 bytes.
   */
  childKey: 600,
  /** Bytes of UTF-8 in one text; larger ones are replaced by a mark. */
  text: 100_000,
  /** Characters of a URL. */
  url: 8_192,
  /** Characters (ASCII) of a URL's identity, part of a unique index like a child's key. */
  urlKey: 2_000,
  /** Dates per booking. */
  dates: 5_000,
  /** Product rows per booking. */
  products: 50_000,
  /** Attachments per booking. */
  attachments: 5_000,
  /** Characters of the source's key of a list of files. */
  listKey: 100,
  /** Tags per product row. */
  tags: 200,
  /** Largest absolute value of an amount, price or quantity. */
  amount: 1e12,
  /** Levels of nesting in JSON that we store verbatim. */
  depth: 64,
} as const;

/** A JSON object as `JSON.parse` makes it; a key `__proto__` is an own key like any other. */
export type JsonObject = { [key: string]: unknown };

/** Whether a value is a JSON object: not null, not a list. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Sets an own property, also `__proto__`, which an assignment would lose. */
export function setOwn(target: JsonObject, key: string, value: unknown): void {
  if (key !== "__proto__") {
    target[key] = value;
    return;
  }
  const own = { value, enumerable: true, configurable: true, writable: true };
  Object.defineProperty(target, key, own);
}

const text = z.string().max(SNAPSHOT_LIMITS.text);
const amount = z.number().min(-SNAPSHOT_LIMITS.amount).max(SNAPSHOT_LIMITS.amount);
const childKey = z.string().min(1).max(SNAPSHOT_LIMITS.childKey);
const optionalText = text.nullable().exactOptional();
const optionalAmount = amount.nullable().exactOptional();
const optionalFlag = z.boolean().nullable().exactOptional();
// Not z.record(), which drops an own key "__proto__" (rule: unknown fields are kept).
const json = z.custom<JsonObject>(isJsonObject, "must be a JSON object");
const instant = z.iso.datetime();
const time = z.string().regex(/^(?:([01]\d|2[0-3]):[0-5]\d:[0-5]\d|24:00:00)$/, "must be HH:MM:SS");
const day = z.iso.date().refine((value) => value >= "1900-01-01" && value <= "2200-12-31", {
  message: "must be from 1900 to 2200",
});

/** A warning: the source's field, a stable code and a sentence. */
export const warningSchema = z.strictObject({
  field: z.string(),
  code: z.string(),
  message: z.string(),
});

/**
 * The booking's own columns. A value sets, null clears, and an absent key leaves the column as it
 * is.
 */
export const snapshotBookingSchema = z.strictObject({
  booking_number: optionalText,
  title: optionalText,
  client_name: optionalText,
  status: z.enum(BOOKING_STATUSES).exactOptional(),
  source_status: optionalText,
  delivery_address: optionalText,
  delivery_city: optionalText,
  delivery_postal_code: optionalText,
  latitude: z.number().min(-90).max(90).nullable().exactOptional(),
  longitude: z.number().min(-180).max(180).nullable().exactOptional(),
  contact_name: optionalText,
  contact_phone: optionalText,
  contact_email: optionalText,
  carry_more_than_10m: optionalFlag,
  ground_nails_allowed: optionalFlag,
  exact_time_needed: optionalFlag,
  exact_time_info: optionalText,
  rental_only: z.boolean().exactOptional(),
  source_notes: optionalText,
  economics: json.nullable().exactOptional(),
  price_amount: optionalAmount,
  price_currency: optionalText,
  partner_reference: optionalText,
  map_drawing_url: z.string().max(SNAPSHOT_LIMITS.url).nullable().exactOptional(),
  extra: json.exactOptional(),
});

const phase = z.enum(["rig", "event", "rigdown"]);

/**
 * One day of a phase. Times are local wall clock, `HH:MM:SS`; null clears, absent changes nothing.
 */
export const snapshotDateSchema = z.strictObject({
  phase,
  day,
  start_time: time.nullable().exactOptional(),
  end_time: time.nullable().exactOptional(),
});

/** One product row. The quantity of a component is per unit of its parent. */
export const snapshotProductSchema = z.strictObject({
  external_id: childKey,
  parent_external_id: childKey.nullable().exactOptional(),
  name: optionalText,
  quantity: amount.exactOptional(),
  unit_price: optionalAmount,
  total_price: optionalAmount,
  discount: optionalAmount,
  vat_rate: amount.exactOptional(),
  sku: optionalText,
  notes: optionalText,
  sort_index: optionalAmount,
  is_package_component: z.boolean().exactOptional(),
  tags: z.array(text).max(SNAPSHOT_LIMITS.tags).exactOptional(),
  inventory_item_type_id: optionalText,
  inventory_package_id: optionalText,
  costs: json.nullable().exactOptional(),
});

/**
 * One file; its identity is `url_key`, the URL without what changes on every read, or its content
 * for a file in Storage, whose `url` is its path there. `listed_under` is the source's key of the list
 * that has it, the first one if several have it.
 */
export const snapshotAttachmentSchema = z.strictObject({
  url: z.string().min(1).max(SNAPSHOT_LIMITS.url),
  url_key: z.string().min(1).max(SNAPSHOT_LIMITS.urlKey),
  listed_under: z.string().min(1).max(SNAPSHOT_LIMITS.listKey),
  file_name: optionalText,
  file_type: optionalText,
});

// The source's word on a whole collection: a real boolean as it was sent, null if none was sent.
const complete = z.boolean().nullable();

/**
 * What a source says about one booking right now, in our canonical form: every decoder produces it
 * and `apply_snapshots` takes it. A collection that the source did not send is absent.
 *
 * Two members of each collection say what the absence of an item may be taken from (rule: absence
 * is not a statement):
 *
 * - `complete` is the source's explicit word: true or false as its flag says, false if two flags
 *   disagree, null if it sent none.
 * - `stated` is what the answer states as a whole and could be read as a whole. Nothing follows from
 *   the absence of an item outside it, whatever `complete` says. For days it has the phases with a
 *   list, also an empty one, or with a readable day, and without an entry that is empty or cannot be
 *   read. For products it is true if the list and each of its entries could be read. For files it
 *   has the source's keys (`listed_under`) that hold a list of which each entry could be read.
 */
export const snapshotSchema = z.strictObject({
  external_id: z.string().min(1).max(SNAPSHOT_LIMITS.externalId),
  fetched_at: instant,
  source_updated_at: instant.exactOptional(),
  source_version: z.int().min(0).exactOptional(),
  content_hash: z.string().regex(/^[0-9a-f]{64}$/),
  /** Hash of what a page had for it; set while a run reads it. */
  raw_hash: z.string().exactOptional(),
  deleted: z.literal(true).exactOptional(),
  booking: snapshotBookingSchema,
  dates: z.strictObject({
    complete,
    stated: z.array(phase),
    items: z.array(snapshotDateSchema).max(SNAPSHOT_LIMITS.dates),
  }).exactOptional(),
  products: z.strictObject({
    complete,
    stated: z.boolean(),
    items: z.array(snapshotProductSchema).max(SNAPSHOT_LIMITS.products),
  }).exactOptional(),
  attachments: z.strictObject({
    complete,
    stated: z.array(z.string().min(1).max(SNAPSHOT_LIMITS.listKey)),
    items: z.array(snapshotAttachmentSchema).max(SNAPSHOT_LIMITS.attachments),
  }).exactOptional(),
  /** A file of it could not be stored: it is read again for that. */
  missing_files: z.literal(true).exactOptional(),
  warnings: z.array(warningSchema).exactOptional(),
});

/**
 * The schema with a short check of product rows: only what the types of a decoder cannot promise,
 * the length of keys and tags. Product rows are nine tenths of a page, and a full check costs as
 * much as decoding them.
 */
export const sealedSnapshotSchema = snapshotSchema.extend({
  products: z.strictObject({
    complete,
    stated: z.boolean(),
    items: z.array(z.custom<SnapshotProduct>(
      (row) => isWithinLimits(row as SnapshotProduct),
      `must have keys of 1 to ${SNAPSHOT_LIMITS.childKey} characters and few tags`,
    )).max(SNAPSHOT_LIMITS.products),
  }).exactOptional(),
});

function isWithinLimits(row: SnapshotProduct): boolean {
  const { external_id: key, parent_external_id: parent, tags } = row;
  return key.length > 0 && key.length <= SNAPSHOT_LIMITS.childKey &&
    (parent === undefined || parent === null ||
      parent.length > 0 && parent.length <= SNAPSHOT_LIMITS.childKey) &&
    (tags === undefined || tags.length <= SNAPSHOT_LIMITS.tags);
}

/** What a source says about one booking right now. */
export type Snapshot = z.infer<typeof snapshotSchema>;
/** The booking's own columns within a snapshot. */
export type SnapshotBooking = z.infer<typeof snapshotBookingSchema>;
/** One day of a phase within a snapshot. */
export type SnapshotDate = z.infer<typeof snapshotDateSchema>;
/** One product row within a snapshot. */
export type SnapshotProduct = z.infer<typeof snapshotProductSchema>;
/** One file within a snapshot. */
export type SnapshotAttachment = z.infer<typeof snapshotAttachmentSchema>;
/** Something in the source's answer that could not be used as it was sent. */
export type SnapshotWarning = z.infer<typeof warningSchema>;
