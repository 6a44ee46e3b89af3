import { parseDay } from "../booking/day.ts";
import { holds, pick, type Reading, setStated, warn } from "../source/reading.ts";
import type { Snapshot, SnapshotDate } from "../booking/snapshot.ts";
import { parseTime } from "../booking/time_of_day.ts";

/**
 * The day and start of the event from `startDateTime`, a local time without an offset, and its end
 * from `endDateTime`. It is
 * Headout's only date, so a day that can be read states the whole phase. Null adds no day and clears
 * none (rule: absence is not a statement); `undefined` if it is absent. Anything else is left out
 * with a warning.
 */
export function readDates(reading: Reading): Snapshot["dates"] {
  const found = pick(reading, ["startDateTime"]);
  if (found === undefined) return undefined;
  const nothing: Snapshot["dates"] = { complete: null, stated: [], items: [] };
  if (found.value === null || found.value === "") return nothing;
  const text = typeof found.value === "string" ? found.value : "";
  const day = parseDay(text);
  if (day === undefined) {
    reading.used.delete("startDateTime");
    warn(
      reading,
      "startDateTime",
      "invalid_day",
      "startDateTime is not a local date-time from 1900 to 2200; it was left out",
    );
    return nothing;
  }
  const item: SnapshotDate = { phase: "event", day };
  if (text.trim().length > 10) {
    const time = parseTime(text);
    setStated(item, "start_time", time);
    if (time === undefined) {
      warn(reading, "startDateTime", "invalid_time", "Its time of day is invalid; it was ignored");
    }
  }
  setStated(item, "end_time", readEnd(reading));
  return { complete: null, stated: ["event"], items: [item] };
}

/** The wall-clock time of `endDateTime`; an end before the start is on the next day. */
function readEnd(reading: Reading): string | null | undefined {
  const found = pick(reading, ["endDateTime"]);
  if (found === undefined) return undefined;
  if (!holds(found.value)) return null;
  const text = typeof found.value === "string" ? found.value.trim() : "";
  const time = text.length > 10 ? parseTime(text) : undefined;
  if (time !== undefined) return time === "24:00:00" ? "00:00:00" : time;
  reading.used.delete("endDateTime");
  warn(
    reading,
    "endDateTime",
    "invalid_time",
    "endDateTime is not a local date-time; it was ignored",
  );
  return undefined;
}
