import { createHash } from "node:crypto";
import {
  isJsonObject,
  type JsonObject,
  setOwn,
  type Snapshot,
  SNAPSHOT_LIMITS,
  type SnapshotBooking,
  type SnapshotProduct,
  type SnapshotWarning,
} from "./snapshot.ts";

/** Whether Postgres can store a value unchanged and in reasonable size; see `keepStorable`. */
export function isStorable(value: unknown, depth = 0): boolean {
  if (typeof value === "string") return isStorableText(value);
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return true;
  if (depth >= SNAPSHOT_LIMITS.depth) return false;
  if (Array.isArray(value)) return value.every((member) => isStorable(member, depth + 1));
  for (const key of Object.keys(value)) {
    if (!isStorableText(key)) return false;
    if (!isStorable((value as Record<string, unknown>)[key], depth + 1)) return false;
  }
  return true;
}

/** A snapshot that is not finished yet. */
export type Draft = Omit<Snapshot, "content_hash">;

/**
 * The draft without what Postgres cannot store: text with NUL or half a surrogate pair, numbers that
 * JSON cannot carry, nesting over 64 levels. Such a field is left out with a warning and the rest
 * stays (rule: one booking stops nothing); a row of which the key is such a field is left out whole,
 * and its list then states nothing. Text and unmapped values that are too large are replaced by
 * `{ omitted_bytes, sha256 }`.
 */
export function keepStorable(draft: Draft): Draft {
  const warnings: SnapshotWarning[] = [];
  const kept: Draft = { ...draft, booking: keepBooking(draft.booking, warnings) };
  const { dates, products, attachments } = draft;
  if (dates !== undefined) {
    const items = keepRows(dates.items, "dates", ["phase", "day"], warnings);
    kept.dates = { ...dates, items, stated: items.length < dates.items.length ? [] : dates.stated };
  }
  if (products !== undefined) {
    const items = keepRows(products.items, "products", ["external_id"], warnings)
      .map((row, index) => keepCosts(row, `products[${index}].costs`, warnings));
    const whole = items.length === products.items.length;
    kept.products = { ...products, items, stated: products.stated && whole };
  }
  if (attachments !== undefined) {
    const needed = ["url", "url_key", "listed_under"] as const;
    const items = keepRows(attachments.items, "attachments", needed, warnings);
    const whole = items.length === attachments.items.length;
    kept.attachments = { ...attachments, items, stated: whole ? attachments.stated : [] };
  }
  if (warnings.length > 0) kept.warnings = [...draft.warnings ?? [], ...warnings];
  return kept;
}

/** Most unmapped keys of a booking that are kept, and most bytes of one value as Postgres prints it. */
const EXTRA_KEYS = 500;
const VALUE_BYTES = 64_000;
/** Most bytes of UTF-8 in one text. */
const TEXT_BYTES = SNAPSHOT_LIMITS.text;

function keepBooking(booking: SnapshotBooking, warnings: SnapshotWarning[]): SnapshotBooking {
  const { extra, ...columns } = booking;
  const kept: SnapshotBooking = keepFields(columns, "", warnings);
  if (isJsonObject(kept.economics)) {
    kept.economics = keepSmall(kept.economics, "economics", warnings) as JsonObject;
  }
  if (extra !== undefined) kept.extra = keepExtra(extra, warnings);
  return kept;
}

function keepCosts(
  row: SnapshotProduct,
  field: string,
  warnings: SnapshotWarning[],
): SnapshotProduct {
  // Nearly always a few numbers.
  if (!isJsonObject(row.costs) || Object.values(row.costs).every(isNumber)) return row;
  const costs = keepSmall(row.costs, field, warnings) as JsonObject;
  return costs === row.costs ? row : { ...row, costs };
}

function isNumber(value: unknown): boolean {
  return typeof value === "number";
}

/** Rows without the fields that cannot be stored; a row that lacks one of `needed` is left out. */
function keepRows<T extends object>(
  rows: T[],
  at: string,
  needed: readonly (keyof T)[],
  warnings: SnapshotWarning[],
): T[] {
  if (isStorable(rows)) return rows;
  return rows.flatMap((row, index) => {
    const kept = keepFields(row, `${at}[${index}].`, warnings);
    return needed.every((key) => kept[key] === row[key]) ? [kept] : [];
  });
}

/** A row without the fields that cannot be stored; text that is too large becomes a mark as text. */
function keepFields<T extends object>(row: T, at: string, warnings: SnapshotWarning[]): T {
  if (isStorable(row)) return row;
  const kept: JsonObject = {};
  for (const [key, value] of Object.entries(row)) {
    const storable = keep(value, at + key, 0, warnings);
    if (storable === undefined) continue;
    const marked = typeof value === "string" && typeof storable !== "string";
    setOwn(kept, key, marked ? JSON.stringify(storable) : storable);
  }
  return kept as T;
}

/** Unmapped fields: of each what can be stored, the first 500 of them. */
function keepExtra(extra: JsonObject, warnings: SnapshotWarning[]): JsonObject {
  const keys = Object.keys(extra);
  if (keys.length <= EXTRA_KEYS && mostBytes(extra) <= VALUE_BYTES) {
    return extra;
  }
  const kept: JsonObject = {};
  let left = EXTRA_KEYS;
  for (const [index, key] of keys.entries()) {
    if (left === 0) {
      const message = `${keys.length - index} more unmapped fields were left out`;
      warnings.push({ field: "*", code: "too_many_fields", message });
      break;
    }
    if (!isStorableText(key)) {
      warnings.push(unstorable("unstorable_text", "a field's name", "cannot be stored"));
      continue;
    }
    const value = keep(extra[key], key, 0, warnings);
    if (value === undefined) continue;
    left -= 1;
    setOwn(kept, key, keepSmall(value, key, warnings));
  }
  return kept;
}

/** A value that is stored as JSON, or a mark in its place if it is too large. */
function keepSmall(value: unknown, field: string, warnings: SnapshotWarning[]): unknown {
  if (mostBytes(value) <= VALUE_BYTES) return value;
  const text = JSON.stringify(value);
  return bytesOf(text) + separators(value) <= VALUE_BYTES ? value : omitted(text, field, warnings);
}

/**
 * At most as many bytes as a value has as JSON, told without writing it; infinite for one that cannot
 * be stored.
 */
function mostBytes(value: unknown, depth = 0): number {
  if (typeof value === "string") return isStorableText(value) ? 6 * value.length + 2 : Infinity;
  if (typeof value === "number") return Number.isFinite(value) ? 24 : Infinity;
  if (typeof value !== "object" || value === null) return 5;
  if (depth >= SNAPSHOT_LIMITS.depth) return Infinity;
  let bytes = 2;
  if (Array.isArray(value)) {
    for (const member of value) bytes += 2 + mostBytes(member, depth + 1);
    return bytes;
  }
  for (const key of Object.keys(value)) {
    if (!isStorableText(key)) return Infinity;
    bytes += 6 * key.length + 6 + mostBytes((value as JsonObject)[key], depth + 1);
  }
  return bytes;
}

/** The spaces that Postgres prints after each comma and colon. */
function separators(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const members = Object.values(value);
  const own = Math.max(members.length - 1, 0) + (Array.isArray(value) ? 0 : members.length);
  return members.reduce((sum: number, member) => sum + separators(member), own);
}

function omitted(text: string, field: string, warnings: SnapshotWarning[]): JsonObject {
  const mark = {
    omitted_bytes: bytesOf(text),
    sha256: createHash("sha256").update(text).digest("hex"),
  };
  const message = `${field} has ${mark.omitted_bytes} bytes; only its size and hash are kept`;
  warnings.push({ field: field.slice(0, 200), code: "omitted_content", message });
  return mark;
}

/** What of a value can be stored; `undefined` if nothing. */
function keep(
  value: unknown,
  field: string,
  depth: number,
  warnings: SnapshotWarning[],
): unknown {
  if (typeof value === "string") {
    if (isLong(value)) return omitted(value, field, warnings);
    if (isStorableText(value)) return value;
    warnings.push(
      unstorable("unstorable_text", field, "has a NUL character or half a surrogate pair"),
    );
    return undefined;
  }
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value;
    warnings.push(unstorable("unstorable_number", field, "does not fit into JSON"));
    return undefined;
  }
  if (typeof value !== "object" || value === null || isStorable(value, depth)) return value;
  if (depth >= SNAPSHOT_LIMITS.depth) {
    warnings.push(unstorable("too_deep", field, `is nested over ${SNAPSHOT_LIMITS.depth} levels`));
    return undefined;
  }
  if (Array.isArray(value)) {
    return value.flatMap((member, index) => {
      const kept = keep(member, `${field}[${index}]`, depth + 1, warnings);
      return kept === undefined ? [] : [kept];
    });
  }
  const rest: JsonObject = {};
  for (const [key, member] of Object.entries(value)) {
    if (!isStorableText(key)) {
      warnings.push(
        unstorable("unstorable_text", field, "has a field whose name has a NUL character"),
      );
      continue;
    }
    const kept = keep(member, `${field}.${key}`, depth + 1, warnings);
    if (kept !== undefined) setOwn(rest, key, kept);
  }
  return rest;
}

function unstorable(code: string, field: string, rule: string): SnapshotWarning {
  const name = field.slice(0, 200).toWellFormed().replaceAll("\0", "");
  return { field: name, code, message: `${name} ${rule}; it was left out` };
}

const encoder = new TextEncoder();

function bytesOf(text: string): number {
  return encoder.encode(text).length;
}

/** Whether a text has too many bytes; one that is short in any case is not encoded. */
function isLong(text: string): boolean {
  return text.length * 3 > TEXT_BYTES && bytesOf(text) > TEXT_BYTES;
}

function isStorableText(text: string): boolean {
  return !isLong(text) && !text.includes("\0") && text.isWellFormed();
}
