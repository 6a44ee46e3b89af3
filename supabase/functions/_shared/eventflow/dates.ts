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
 * The days of all phases, sorted, each with the times of its phase. The days of a phase are
 * collected from every name that EventFlow has for them (incident: wrong field names for dates).
 * `undefined` if none of the names is present. An invalid day refuses the booking, since leaving it
 * out would say that there is no such day. An empty entry is left out with a warning, and the list
 * no longer counts as complete.
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
  return present ? { complete: whole, items } : undefined;
}

/** Adds the days of one field, which is a day or a list of days; false if an entry was empty. */
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
    warn(reading, `${name}[${index}]`, "empty_day", "An entry is empty; it was left out");
  });
  return whole;
}

function dayOrRefuse(value: unknown, field: string): string {
  const day = typeof value === "string" ? parseDay(value) : undefined;
  if (day !== undefined) return day;
  throw new BookingRefusal(
    "invalid_day",
    field,
    `${field} is not a calendar day (YYYY-MM-DD) from 1900 to 2200`,
  );
}
