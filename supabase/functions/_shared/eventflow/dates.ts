import { parseDay } from "../booking/day.ts";
import { pick, type Reading, setStated, warn } from "../source/reading.ts";
import type { Snapshot, SnapshotDate } from "../booking/snapshot.ts";
import { type PhaseTimeNames, readPhaseTimes } from "./times.ts";

interface PhaseNames extends PhaseTimeNames {
  readonly phase: SnapshotDate["phase"];
  readonly days: readonly string[];
}

const PHASES: readonly PhaseNames[] = [
  {
    phase: "rig",
    days: ["rig_up_dates", "rigdaydate", "rig_up_date", "rig_date", "rig_dates"],
    starts: ["rig_start_time", "rig_up_start_time"],
    ends: ["rig_end_time", "rig_up_end_time"],
    range: "rig_up_time",
  },
  {
    phase: "event",
    days: ["event_dates", "eventdate", "event_date"],
    starts: ["event_start_time", "event_start"],
    ends: ["event_end_time", "event_end"],
    range: "event_time",
  },
  {
    phase: "rigdown",
    days: ["rig_down_dates", "rigdowndate", "rig_down_date"],
    starts: ["rigdown_start_time", "rig_down_start_time"],
    ends: ["rigdown_end_time", "rig_down_end_time"],
    range: "rig_down_time",
  },
];

/**
 * The days of all phases, sorted, each with the times of its phase. The days of a phase are
 * collected from every name that EventFlow has for them (incident: wrong field names for dates).
 * `undefined` if none of the names is present. An entry that is empty or no day is left out with a
 * warning, and its phase is not stated: a day that is not listed may stand behind it.
 */
export function readDates(reading: Reading, complete: boolean | null): Snapshot["dates"] {
  let present = false;
  const stated: SnapshotDate["phase"][] = [];
  const items: SnapshotDate[] = [];
  for (const names of PHASES) {
    const days = new Set<string>();
    const found = names.days.map((name) => addDays(reading, name, days));
    present ||= found.some((field) => field !== undefined);
    if (found.includes("stated") && !found.includes("unreadable")) stated.push(names.phase);
    const times = readPhaseTimes(reading, names);
    if (days.size === 0 && (times.start || times.end)) {
      warn(
        reading,
        names.starts[0] ?? names.range,
        "times_without_days",
        `Times of the ${names.phase} phase came without a day; they were ignored`,
      );
    }
    for (const day of [...days].sort()) {
      const item: SnapshotDate = { phase: names.phase, day };
      setStated(item, "start_time", times.start);
      setStated(item, "end_time", times.end);
      items.push(item);
    }
  }
  return present ? { complete, stated, items } : undefined;
}

/**
 * Adds the days of one field, which is a day or a list of days, and returns what the field says:
 * `stated` for a list or a day that could be read, `silent` for null and blank text, `unreadable` if
 * anything in it is no day; `undefined` if it is absent.
 */
function addDays(
  reading: Reading,
  name: string,
  days: Set<string>,
): "stated" | "silent" | "unreadable" | undefined {
  const value = pick(reading, [name])?.value;
  if (value === undefined) return undefined;
  if (isBlank(value)) return "silent";
  let readable = true;
  for (const [index, entry] of (Array.isArray(value) ? value : [value]).entries()) {
    const day = typeof entry === "string" ? parseDay(entry) : undefined;
    if (day !== undefined) {
      days.add(day);
      continue;
    }
    readable = false;
    const field = Array.isArray(value) ? `${name}[${index}]` : name;
    if (isBlank(entry)) warn(reading, field, "empty_day", "An entry is empty; it was left out");
    else {
      warn(
        reading,
        field,
        "invalid_day",
        `${field} is not a calendar day (YYYY-MM-DD) from 1900 to 2200; it was left out`,
      );
      reading.used.delete(name);
    }
  }
  return readable ? "stated" : "unreadable";
}

/** Null and empty text both say nothing. */
function isBlank(value: unknown): boolean {
  return value === null || (typeof value === "string" && value.trim() === "");
}
