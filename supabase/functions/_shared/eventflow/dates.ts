import { parseDay } from "../booking/day.ts";
import { pick, type Reading, setStated, valueAt, warn } from "../source/reading.ts";
import { BookingRefusal } from "../booking/refusal.ts";
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
 * The days of all phases: per phase the union over every name that EventFlow has for them
 * (incidents 5 and 6), sorted, each with the phase's times. `undefined` if no name is present.
 * A day that is no day refuses the booking by name: leaving it out would be a false statement. An
 * empty entry names no day; it is warned of and keeps the list from counting as complete.
 */
export function readDates(reading: Reading, complete: boolean): Snapshot["dates"] {
  let present = false;
  let whole = complete;
  const items: SnapshotDate[] = [];
  for (const names of PHASES) {
    const days = new Set<string>();
    for (const name of names.days) {
      const value = valueAt(reading.source, name);
      if (value === undefined) continue;
      pick(reading, [name]);
      present = true;
      whole = addDays(reading, name, value, days) && whole;
    }
    const times = readPhaseTimes(reading, names);
    if (days.size === 0 && (times.start || times.end)) {
      warn(
        reading,
        names.starts[0] ?? names.range,
        "times_without_days",
        `Times of the ${names.phase} phase came without a day; they were not taken`,
      );
    }
    for (const day of [...days].sort()) {
      const item: SnapshotDate = { phase: names.phase, day };
      setStated(item, "start_time", times.start);
      setStated(item, "end_time", times.end);
      items.push(item);
    }
  }
  return present ? { complete: whole, items } : undefined;
}

/** Adds the days of one field, a day or a list of days; false if an entry named no day. */
function addDays(reading: Reading, name: string, value: unknown, days: Set<string>): boolean {
  if (!Array.isArray(value)) {
    if (value !== null && value !== "") days.add(dayOrRefuse(value, name));
    return true;
  }
  let whole = true;
  value.forEach((entry: unknown, index) => {
    if (entry !== null && entry !== "") {
      days.add(dayOrRefuse(entry, `${name}[${index}]`));
      return;
    }
    whole = false;
    warn(reading, `${name}[${index}]`, "empty_day", "An entry names no day; it was left out");
  });
  return whole;
}

function dayOrRefuse(value: unknown, field: string): string {
  const day = typeof value === "string" ? parseDay(value) : undefined;
  if (day !== undefined) return day;
  throw new BookingRefusal(
    "invalid_day",
    field,
    `${field} is no calendar day (YYYY-MM-DD) within 1900 and 2200`,
  );
}
