import { holds, pick, type Reading, valueAt, warn } from "../source/reading.ts";
import type { JsonObject, Snapshot } from "../booking/snapshot.ts";
import { parseInstant } from "./instants.ts";

/**
 * The revision of a booking, else of the answer's root. Either part may be missing; one that is
 * malformed, or over five minutes ahead of our clock, counts as missing, with a warning.
 */
export function readRevision(
  reading: Reading,
  frame: JsonObject,
  fetchedAt: string,
): Pick<Snapshot, "source_updated_at" | "source_version"> {
  const at = pick(reading, ["updated_at", "source_updated_at"]);
  const version = pick(reading, ["version", "source_version"]);
  // Keeps the revision out of `extra`: it is not content, so the hash must not see it.
  for (const name of ["updated_at", "source_updated_at", "version", "source_version"]) {
    reading.used.add(name);
  }
  const own = (found: { readonly value: unknown } | undefined, name: string): unknown =>
    found !== undefined && holds(found.value) ? found.value : valueAt(frame, name);
  const updatedAt = readUpdatedAt(reading, own(at, "source_updated_at"), fetchedAt);
  const number = readVersion(reading, own(version, "source_version"));
  return {
    ...(updatedAt === undefined ? {} : { source_updated_at: updatedAt }),
    ...(number === undefined ? {} : { source_version: number }),
  };
}

/** How far ahead of our clock the source's may be, in milliseconds. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

function readUpdatedAt(reading: Reading, value: unknown, fetchedAt: string): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const instant = typeof value === "string" ? parseInstant(value) : undefined;
  if (instant === undefined) {
    warn(reading, "updated_at", "invalid_revision", "The revision's time is not an ISO instant");
  } else if (Date.parse(instant) > Date.parse(fetchedAt) + CLOCK_TOLERANCE_MS) {
    // It would outweigh every true revision until then.
    warn(reading, "updated_at", "future_revision", "The revision's time has not come yet");
    return undefined;
  }
  return instant;
}

function readVersion(reading: Reading, value: unknown): number | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (Number.isSafeInteger(number) && (number as number) >= 0) return number as number;
  warn(
    reading,
    "version",
    "invalid_revision",
    "The revision's number is not a whole number from 0",
  );
  return undefined;
}
