import { parseDay } from "../booking/day.ts";
import { pick, type Reading, setStated, warn } from "../source/reading.ts";
import { BookingRefusal } from "../booking/refusal.ts";
import type { Snapshot, SnapshotDate } from "../booking/snapshot.ts";
import { parseTime } from "../booking/time_of_day.ts";

/**
 * The day and start of the event from `startDateTime`, a local time without an offset. It is
 * Headout's only date, so the list is complete. Null adds no day and clears none (rule: absence is
 * not a statement); `undefined` if it is absent. An invalid day refuses the booking.
 */
export function readDates(reading: Reading): Snapshot["dates"] {
  const found = pick(reading, ["startDateTime"]);
  if (found === undefined) return undefined;
  if (found.value === null || found.value === "") return { complete: false, items: [] };
  const text = typeof found.value === "string" ? found.value : "";
  const day = parseDay(text);
  if (day === undefined) {
    throw new BookingRefusal(
      "invalid_day",
      "startDateTime",
      "startDateTime is not a local date-time from 1900 to 2200",
    );
  }
  const item: SnapshotDate = { phase: "event", day };
  if (text.trim().length > 10) {
    const time = parseTime(text);
    setStated(item, "start_time", time);
    if (time === undefined) {
      warn(reading, "startDateTime", "invalid_time", "Its time of day is invalid; it was ignored");
    }
  }
  return { complete: true, items: [item] };
}
