import { parseTime, parseTimeRange } from "../booking/time_of_day.ts";
import { pick, type Reading, type Stated, warn } from "../source/reading.ts";

/** The wall-clock times of a phase, `HH:MM:SS`, the same for each of its days. */
export interface PhaseTimes {
  readonly start: Stated<string>;
  readonly end: Stated<string>;
}

/** The fields that hold the times of a phase: starts and ends by precedence, then the range. */
export interface PhaseTimeNames {
  readonly starts: readonly string[];
  readonly ends: readonly string[];
  readonly range: string;
}

/** Start and end of a phase, each from the first name that is present, else from the range. */
export function readPhaseTimes(reading: Reading, names: PhaseTimeNames): PhaseTimes {
  const range = readRange(reading, names.range);
  const start = readTime(reading, names.starts);
  const end = readTime(reading, names.ends);
  return {
    start: start.present ? start.value : range.start,
    end: end.present ? end.value : range.end,
  };
}

function readTime(
  reading: Reading,
  names: readonly string[],
): { readonly present: boolean; readonly value: Stated<string> } {
  const found = pick(reading, names);
  if (found === undefined) return { present: false, value: undefined };
  if (isNone(found.value)) return { present: true, value: null };
  const value = typeof found.value === "string" ? parseTime(found.value) : undefined;
  if (value === undefined) refuse(reading, found.name, "is not a time of day (HH:MM)");
  return { present: true, value };
}

function readRange(reading: Reading, name: string): PhaseTimes {
  const found = pick(reading, [name]);
  if (found === undefined) return { start: undefined, end: undefined };
  if (isNone(found.value)) return { start: null, end: null };
  const range = typeof found.value === "string" ? parseTimeRange(found.value) : undefined;
  if (range === undefined) refuse(reading, name, "is not a range of times (HH:MM - HH:MM)");
  return { start: range?.start, end: range?.end };
}

/** Null and empty text both say that there is no time. */
function isNone(value: unknown): boolean {
  return value === null || (typeof value === "string" && value.trim() === "");
}

function refuse(reading: Reading, name: string, rule: string): void {
  reading.used.delete(name);
  warn(reading, name, "invalid_time", `${name} ${rule}; it was ignored`);
}
