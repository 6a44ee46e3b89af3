import { createHash } from "node:crypto";
import {
  isJsonObject,
  type JsonObject,
  type Snapshot,
  SNAPSHOT_LIMITS,
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
  const booking = keepFields(draft.booking, "", warnings);
  if (booking.extra !== undefined) booking.extra = keepExtra(booking.extra, warnings);
  for (const key of ["economics"] as const) {
    const value = booking[key];
    if (isJsonObject(value)) booking[key] = keepSmall(value, key, warnings) as JsonObject;
  }
  const kept: Draft = { ...draft, booking };
  const { dates, products, attachments } = draft;
  if (dates !== undefined) {
    const items = keepRows(dates.items, "dates", ["phase", "day"], warnings);
    kept.dates = items.length === dates.items.length
      ? { ...dates, items }
      : { ...dates, items, stated: [] };
  }
  if (products !== undefined) {
    const items = keepRows(products.items, "products", ["external_id"], warnings);
    kept.products = {
      ...products,
      items,
      stated: products.stated && items.length === products.items.length,
    };
  }
  if (attachments !== undefined) {
    const needed = ["url", "url_key", "listed_under"] as const;
    const items = keepRows(attachments.items, "attachments", needed, warnings);
    kept.attachments = items.length === attachments.items.length
      ? { ...attachments, items }
      : { ...attachments, items, stated: [] };
  }
  if (warnings.length > 0) kept.warnings = [...draft.warnings ?? [], ...warnings];
  return kept;
}

/** Most unmapped keys of a booking that are kept, and most bytes of one of their values as JSON. */
const EXTRA_KEYS = 500;
const VALUE_BYTES = 64_000;
/** Most bytes of UTF-8 in one text. */
const TEXT_BYTES = 100_000;

/** Rows without the fields that cannot be stored; a row that lacks one of `needed` is left out. */
function keepRows<T extends object>(
  rows: readonly T[],
  at: string,
  needed: readonly (keyof T)[],
  warnings: SnapshotWarning[],
): T[] {
  if (isStorable(rows)) return [...rows];
  return rows.flatMap((row, index) => {
    const field = `${at}[${index}].`;
    const kept = isStorable(row) ? row : keepFields(row, field, warnings);
    return needed.every((key) => kept[key] === row[key]) ? [kept] : [];
  });
}

/** A row without the fields that cannot be stored; large text becomes a mark. */
function keepFields<T extends object>(row: T, at: string, warnings: SnapshotWarning[]): T {
  if (isStorable(row)) return { ...row };
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(row)) {
    if (key === "extra") setKept(kept, key, value); // its own rules: keepExtra
    else if (typeof value === "string" && byteLength(value) > TEXT_BYTES) {
      setKept(kept, key, JSON.stringify(omitted(value, at + key, warnings)));
    } else {
      const storable = keep(value, at + key, 0, warnings);
      if (storable !== undefined) setKept(kept, key, storable);
    }
  }
  return kept as T;
}

/** Unmapped fields: of each what can be stored, the first 500 of them. */
function keepExtra(extra: JsonObject, warnings: SnapshotWarning[]): JsonObject {
  const kept: JsonObject = {};
  let left = EXTRA_KEYS;
  let dropped = 0;
  for (const key of Object.keys(extra)) {
    if (left === 0) {
      dropped += 1;
      continue;
    }
    if (!isStorableText(key)) {
      warnings.push(unstorable("unstorable_text", "a field's name", "cannot be stored"));
      continue;
    }
    const value = keep(extra[key], key, 0, warnings);
    if (value === undefined) continue;
    left -= 1;
    setKept(kept, key, keepSmall(value, key, warnings));
  }
  if (dropped > 0) {
    const message = `${dropped} more unmapped fields were left out; ${EXTRA_KEYS} are kept`;
    warnings.push({ field: "*", code: "too_many_fields", message });
  }
  return kept;
}

/** An unmapped value, or a mark in its place if it is too large. */
function keepSmall(value: unknown, field: string, warnings: SnapshotWarning[]): unknown {
  const text = JSON.stringify(value);
  // As many bytes as characters at least; only long ones need counting.
  if (text === undefined || text.length * 3 <= VALUE_BYTES || byteLength(text) <= VALUE_BYTES) {
    return value;
  }
  return omitted(text, field, warnings);
}

function omitted(text: string, field: string, warnings: SnapshotWarning[]): JsonObject {
  const mark = {
    omitted_bytes: byteLength(text),
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
    if (byteLength(value) > TEXT_BYTES) return omitted(value, field, warnings);
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
    if (kept !== undefined) setKept(rest, key, kept);
  }
  return rest;
}

function unstorable(code: string, field: string, rule: string): SnapshotWarning {
  const name = field.slice(0, 200).toWellFormed().replaceAll("\0", "");
  return { field: name, code, message: `${name} ${rule}; it was left out` };
}

/** Sets an own property, also `__proto__`. */
function setKept(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== "__proto__") {
    target[key] = value;
    return;
  }
  const own = { value, enumerable: true, configurable: true, writable: true };
  Object.defineProperty(target, key, own);
}

const encoder = new TextEncoder();

/** Bytes of UTF-8; text that is short enough in any case is not encoded. */
function byteLength(text: string): number {
  return text.length * 3 <= TEXT_BYTES ? text.length : encoder.encode(text).length;
}

function isStorableText(text: string): boolean {
  return byteLength(text) <= TEXT_BYTES && !text.includes("\0") && text.isWellFormed();
}
