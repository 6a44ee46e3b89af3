import { parseTimeRange } from "../booking/time_of_day.ts";
import { holds, pick, type Reading, type Stated, warn } from "../source/reading.ts";

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

/**
 * Start and end of a phase, each from the first name that holds something, else from the range. A
 * start that is itself a range has the end too.
 */
export function readPhaseTimes(reading: Reading, names: PhaseTimeNames): PhaseTimes {
  const range = readRange(reading, [names.range]);
  const start = readRange(reading, names.starts);
  const end = readRange(reading, names.ends);
  return {
    start: start.start ?? range.start ?? start.start,
    end: endOfDay(end.start ?? range.end ?? start.end ?? end.start),
  };
}

/** An end of 24:00 is midnight; which day that is follows from the start. */
function endOfDay(end: Stated<string>): Stated<string> {
  return end === "24:00:00" ? "00:00:00" : end;
}

/** A time or a range of times; null if every name that is present is empty. */
function readRange(reading: Reading, names: readonly string[]): PhaseTimes {
  const found = pick(reading, names);
  if (found === undefined) return { start: undefined, end: undefined };
  if (!holds(found.value)) return { start: null, end: null };
  const range = parseTimeRange(String(found.value));
  if (range === undefined) {
    refuse(reading, found.name, "is not a time of day (HH:MM), nor a range of them");
  }
  return { start: range?.start, end: range?.end };
}

function refuse(reading: Reading, name: string, rule: string): void {
  reading.used.delete(name);
  warn(reading, name, "invalid_time", `${name} ${rule}; it was ignored`);
}
