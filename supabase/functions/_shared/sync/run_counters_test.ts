import assert from "node:assert/strict";
import type { Page } from "../source/booking_source.ts";
import type { Verdict } from "./booking_store.ts";
import {
  addCounters,
  countPage,
  countVerdicts,
  NO_COUNTERS,
  readCounters,
} from "./run_counters.ts";
import { snapshotOf } from "./testing_source.ts";

const PAGE: Page = {
  snapshots: [snapshotOf("a"), snapshotOf("b")],
  invalid: [{ external_id: "c", code: "invalid_field", field: "event_dates[0]", message: "no" }],
  ids: ["a", "b", "c"],
  last: true,
  bytes: 10,
};

Deno.test("countPage() counts what was refused as invalid and names it", () => {
  const counters = countPage(NO_COUNTERS, PAGE, 12.4);
  assert.deepEqual([counters.pages, counters.bookings, counters.bytes_read, counters.source_ms], [
    1,
    3,
    10,
    12,
  ]);
  assert.deepEqual(counters.verdicts, { invalid: 1 });
  assert.deepEqual(counters.refused, [
    { external_id: "c", code: "invalid_field", field: "event_dates[0]" },
  ]);
});

Deno.test("countVerdicts() names at most 50 refused bookings and counts all", () => {
  const refused = Array.from({ length: 60 }, (_, index) => verdict(`x${index}`, "invalid"));
  const counters = countVerdicts(NO_COUNTERS, [...refused, verdict("a", "created")]);
  assert.deepEqual(counters.verdicts, { invalid: 60, created: 1 });
  assert.equal(counters.refused.length, 50);
  assert.deepEqual(counters.refused[0], { external_id: "x0", code: "unstorable", field: "title" });
});

Deno.test("readCounters() takes stored counters as they are and nonsense for nothing", () => {
  const counters = countPage(NO_COUNTERS, PAGE, 1);
  assert.deepEqual(readCounters(JSON.parse(JSON.stringify(counters))), counters);
  assert.deepEqual(readCounters(null), NO_COUNTERS);
  assert.deepEqual(
    readCounters({ pages: "7", verdicts: { created: "1" }, refused: {} }),
    NO_COUNTERS,
  );
});

Deno.test("addCounters() adds sums and keeps the greater peak", () => {
  const one = { ...countPage(NO_COUNTERS, PAGE, 1), peak_heap_bytes: 5, cpu_ms: 2 };
  const sum = addCounters(one, { ...one, peak_heap_bytes: 9, cpu_ms: null });
  assert.deepEqual([sum.bookings, sum.verdicts, sum.peak_heap_bytes, sum.cpu_ms], [
    6,
    { invalid: 2 },
    9,
    2,
  ]);
});

function verdict(externalId: string, verdict: Verdict["verdict"]): Verdict {
  const error = verdict === "invalid" ? { code: "unstorable", field: "title" } : null;
  return { externalId, verdict, bookingId: null, changes: {}, error };
}
