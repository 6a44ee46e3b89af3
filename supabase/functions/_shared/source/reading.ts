import { BookingRefusal } from "../booking/refusal.ts";
import {
  isJsonObject,
  type JsonObject,
  SNAPSHOT_LIMITS,
  type SnapshotWarning,
} from "../booking/snapshot.ts";

/**
 * One object of a source while it is being decoded: which of its fields have been taken, and what
 * could not be taken as it stood. What nobody takes is kept verbatim (invariant 16).
 */
export interface Reading {
  readonly source: JsonObject;
  /** Prefix of field names in warnings, such as `products[3].`; empty at the top. */
  readonly at: string;
  /** Names (`title`) and paths (`client.name`) that were taken. */
  readonly used: Set<string>;
  /** Shared by all readings of one booking. */
  readonly warnings: SnapshotWarning[];
}

/** What a field says: a value, null (cleared), or `undefined` (no statement; invariant 6). */
export type Stated<T> = T | null | undefined;

/** A reading of `source`; `warnings` is the booking's list. */
export function createReading(
  source: JsonObject,
  warnings: SnapshotWarning[],
  at = "",
): Reading {
  return { source, at, used: new Set(), warnings };
}

/** Notes that `field` could not be taken as it stood. */
export function warn(reading: Reading, field: string, code: string, message: string): void {
  reading.warnings.push({ field: reading.at + field, code, message });
}

/** The value at a name or at a path of two names; `undefined` if it is absent. */
export function valueAt(source: JsonObject, path: string): unknown {
  const dot = path.indexOf(".");
  if (dot < 0) return Object.hasOwn(source, path) ? source[path] : undefined;
  const parent = valueAt(source, path.slice(0, dot));
  return isJsonObject(parent) ? valueAt(parent, path.slice(dot + 1)) : undefined;
}

/**
 * The first of `names` that is present, also if it is null: of alternates the first present wins.
 * Later ones that say nothing else are taken too; the others stay for `extra`.
 */
export function pick(
  reading: Reading,
  names: readonly string[],
): { readonly name: string; readonly value: unknown } | undefined {
  let found: { name: string; value: unknown } | undefined;
  for (const name of names) {
    const value = valueAt(reading.source, name);
    if (value === undefined) continue;
    if (found === undefined) {
      found = { name, value };
      reading.used.add(name);
    } else if (value === null || value === "" || value === found.value) {
      reading.used.add(name);
    }
  }
  return found;
}

/** Text as it was sent; a number is taken as its digits, anything else is warned of. */
export function readText(reading: Reading, names: readonly string[]): Stated<string> {
  const found = pick(reading, names);
  if (found === undefined || found.value === null) return found === undefined ? undefined : null;
  if (typeof found.value === "string") return found.value;
  if (typeof found.value === "number" && Number.isFinite(found.value)) return String(found.value);
  return refuseField(reading, found.name, "invalid_text", "must be text");
}

/**
 * A number, also as decimal digits in text. A number that no column can hold refuses the booking:
 * leaving it out would keep an older one as if it still stood.
 */
export function readNumber(reading: Reading, names: readonly string[]): Stated<number> {
  const found = pick(reading, names);
  if (found === undefined || found.value === null) return found === undefined ? undefined : null;
  const { name, value } = found;
  const number = typeof value === "string" && /^\s*-?\d+(\.\d+)?\s*$/.test(value)
    ? Number(value)
    : value;
  if (typeof number !== "number") {
    return refuseField(reading, name, "invalid_number", "must be a number");
  }
  if (!(Math.abs(number) <= SNAPSHOT_LIMITS.amount)) {
    throw new BookingRefusal(
      "unstorable_number",
      reading.at + name,
      `The number is beyond ${SNAPSHOT_LIMITS.amount}`,
    );
  }
  return number === 0 ? 0 : number;
}

/** A real boolean; anything else is no statement and is warned of. */
export function readFlag(reading: Reading, names: readonly string[]): Stated<boolean> {
  const found = pick(reading, names);
  if (found === undefined || found.value === null) return found === undefined ? undefined : null;
  if (typeof found.value === "boolean") return found.value;
  return refuseField(reading, found.name, "invalid_boolean", "must be true or false");
}

/**
 * A list; `undefined` if it is absent. Anything else, null too, is no statement: a list that is not
 * there is not an empty one (invariant 6). It is warned of.
 */
export function readList(reading: Reading, name: string): readonly unknown[] | undefined {
  const found = pick(reading, [name]);
  if (found === undefined || Array.isArray(found.value)) {
    return found?.value as unknown[] | undefined;
  }
  if (found.value !== null) return refuseField(reading, name, "invalid_list", "must be a list");
  warn(reading, name, "null_list", `${name} is null, which states no list; it was not taken`);
  return undefined;
}

/** Everything in a reading that nobody took, verbatim; `undefined` if nothing is left. */
export function remainder(reading: Reading): JsonObject | undefined {
  const rest: JsonObject = {};
  let any = false;
  for (const key of Object.keys(reading.source)) {
    if (reading.used.has(key)) continue;
    const value = reading.source[key];
    const kept = isJsonObject(value) ? untaken(reading, key, value) : value;
    if (kept === undefined) continue;
    setOwn(rest, key, kept);
    any = true;
  }
  return any ? rest : undefined;
}

/** Sets an own property, also one named `__proto__`, which an assignment would lose. */
export function setOwn(target: JsonObject, key: string, value: unknown): void {
  if (key !== "__proto__") {
    target[key] = value;
    return;
  }
  const own = { value, enumerable: true, configurable: true, writable: true };
  Object.defineProperty(target, key, own);
}

/** Sets `key` unless there is no statement. */
export function setStated<T extends object, K extends keyof T>(
  target: T,
  key: K,
  value: T[K] | undefined,
): void {
  if (value !== undefined) target[key] = value;
}

function untaken(reading: Reading, key: string, value: JsonObject): JsonObject | undefined {
  const members = Object.keys(value);
  if (!members.some((member) => reading.used.has(`${key}.${member}`))) return value;
  const rest: JsonObject = {};
  let any = false;
  for (const member of members) {
    if (reading.used.has(`${key}.${member}`)) continue;
    setOwn(rest, member, value[member]);
    any = true;
  }
  return any ? rest : undefined;
}

function refuseField(reading: Reading, name: string, code: string, rule: string): undefined {
  reading.used.delete(name);
  warn(reading, name, code, `${name} ${rule}; it was not taken`);
  return undefined;
}
