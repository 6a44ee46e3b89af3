import { parseNumber } from "../booking/number.ts";
import {
  isJsonObject,
  type JsonObject,
  setOwn,
  SNAPSHOT_LIMITS,
  type SnapshotWarning,
} from "../booking/snapshot.ts";

/**
 * One object of a source while it is being decoded: which fields have been read, and which could
 * not be used. Fields that are not read are kept verbatim (rule: unknown fields are kept).
 */
export interface Reading {
  readonly source: JsonObject;
  /** Prefix of field names in warnings, such as `products[3].`; empty at the top. */
  readonly at: string;
  /** Names (`title`) and paths (`client.name`) that have been read. */
  readonly used: Set<string>;
  /** Shared by all readings of one booking. */
  readonly warnings: SnapshotWarning[];
}

/**
 * What a field says: a value, null (clear it), or `undefined` (nothing; rule: absence is not a
 * statement).
 */
export type Stated<T> = T | null | undefined;

/** A reading of `source`; `warnings` is the booking's list. */
export function createReading(
  source: JsonObject,
  warnings: SnapshotWarning[],
  at = "",
): Reading {
  return { source, at, used: new Set(), warnings };
}

/** Adds a warning that `field` could not be used as it was sent. */
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

/** Whether a value says something: not null, white space, `{}` or `[]`. Zero and false do. */
export function holds(value: unknown): boolean {
  if (typeof value === "string") return /\S/.test(value);
  if (Array.isArray(value)) return value.length > 0;
  if (isJsonObject(value)) return Object.keys(value).length > 0;
  return value !== undefined && value !== null;
}

/**
 * The first of `names` that holds something, else the first that is present. Names that say the same
 * or nothing count as read too; the others go to `extra`.
 */
export function pick(
  reading: Reading,
  names: readonly string[],
): { readonly name: string; readonly value: unknown } | undefined {
  let found: { name: string; value: unknown } | undefined;
  let says = false;
  for (const name of names) {
    const value = valueAt(reading.source, name);
    if (value === undefined) continue;
    if (!holds(value)) {
      found ??= { name, value };
      reading.used.add(name);
    } else if (!says) {
      found = { name, value };
      says = true;
      reading.used.add(name);
    } else if (value === found?.value) reading.used.add(name);
  }
  return found;
}

/** Text as it was sent. A number becomes its digits; anything else is left out with a warning. */
export function readText(reading: Reading, names: readonly string[]): Stated<string> {
  const found = pick(reading, names);
  if (found === undefined || found.value === null) return found === undefined ? undefined : null;
  if (typeof found.value === "string") return found.value;
  if (typeof found.value === "number" && Number.isFinite(found.value)) return String(found.value);
  return refuseField(reading, found.name, "invalid_text", "must be text");
}

/**
 * A number, also as a person writes it (`3,5`, `1 200,50`). Anything else, and a number that no
 * column can hold, is left out with a warning.
 */
export function readNumber(reading: Reading, names: readonly string[]): Stated<number> {
  const found = pick(reading, names);
  if (found === undefined || found.value === null) return found === undefined ? undefined : null;
  const { name, value } = found;
  const number = typeof value === "string" ? parseNumber(value) : value;
  if (typeof number !== "number") {
    return refuseField(reading, name, "invalid_number", "must be a number");
  }
  if (!(Math.abs(number) <= SNAPSHOT_LIMITS.amount)) {
    const rule = `must be within ±${SNAPSHOT_LIMITS.amount}`;
    return refuseField(reading, name, "unstorable_number", rule);
  }
  return number === 0 ? 0 : number;
}

/** A real boolean; anything else is left out with a warning. */
export function readFlag(reading: Reading, names: readonly string[]): Stated<boolean> {
  const found = pick(reading, names);
  if (found === undefined || found.value === null) return found === undefined ? undefined : null;
  if (typeof found.value === "boolean") return found.value;
  return refuseField(reading, found.name, "invalid_boolean", "must be true or false");
}

/**
 * A list; `undefined` if it is absent. Anything else, also null, is left out with a warning: a
 * missing list is not an empty one (rule: absence is not a statement).
 */
export function readList(reading: Reading, name: string): readonly unknown[] | undefined {
  const found = pick(reading, [name]);
  if (found === undefined || Array.isArray(found.value)) {
    return found?.value as unknown[] | undefined;
  }
  if (found.value !== null) return refuseField(reading, name, "invalid_list", "must be a list");
  warn(reading, name, "null_list", `${name} is null, which is not a list; it was ignored`);
  return undefined;
}

/** All fields that were not read, verbatim; `undefined` if there are none. */
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

/** Sets `key` unless `value` is undefined. */
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
  warn(reading, name, code, `${name} ${rule}; it was ignored`);
  return undefined;
}
