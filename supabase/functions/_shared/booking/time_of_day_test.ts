import assert from "node:assert/strict";
import { parseTime, parseTimeRange } from "./time_of_day.ts";

Deno.test("parseTime() reads every form as the wall clock that is written", () => {
  const cases: Record<string, string> = {
    "08:00": "08:00:00",
    " 8:05 ": "08:05:00",
    "08.30": "08:30:00",
    "23:59:58": "23:59:58",
    "23:59:58.999": "23:59:58",
    "24:00": "00:00:00",
    "2026-03-29T02:30:00Z": "02:30:00",
    "2026-03-29T02:30:00.000+02:00": "02:30:00",
    "2026-03-29 02:30": "02:30:00",
  };
  for (const [text, time] of Object.entries(cases)) assert.equal(parseTime(text), time, text);
});

Deno.test("parseTime() refuses what is not a time", () => {
  for (
    const text of ["", "8", "25:00", "24:01", "08:60", "08:00:60", "kl 8", "08:00-09:00", "08:00Z"]
  ) {
    assert.equal(parseTime(text), undefined, text);
  }
});

Deno.test("parseTimeRange() takes every dash, with and without spaces", () => {
  for (const dash of ["-", " - ", "–", " – ", "—", " —"]) {
    const range = parseTimeRange(`08:00${dash}12:30`);
    assert.deepEqual(range, { start: "08:00:00", end: "12:30:00" }, dash);
  }
  for (const dash of [" - ", "–", " — "]) {
    const range = parseTimeRange(`2026-05-01T22:00:00+02:00${dash}2026-05-02T02:00:00Z`);
    assert.deepEqual(range, { start: "22:00:00", end: "02:00:00" }, dash);
  }
});

Deno.test("parseTimeRange() takes a single time as a start and refuses half a range", () => {
  assert.deepEqual(parseTimeRange("08:00"), { start: "08:00:00" });
  assert.equal(parseTimeRange("08:00 -"), undefined);
  assert.equal(parseTimeRange("08:00 - 26:00"), undefined);
});
