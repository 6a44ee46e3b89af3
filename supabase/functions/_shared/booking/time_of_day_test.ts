import assert from "node:assert/strict";
import { parseTime, parseTimeRange } from "./time_of_day.ts";

Deno.test("parseTime() reads every form as the wall clock that is written", () => {
  const cases: Record<string, string> = {
    "08:00": "08:00:00",
    " 8:05 ": "08:05:00",
    "08.30": "08:30:00",
    "23:59:58": "23:59:58",
    "23:59:58.999": "23:59:58",
    "24:00": "24:00:00",
    "8": "08:00:00",
    "08": "08:00:00",
    "0800": "08:00:00",
    "1130": "11:30:00",
    "kl 8": "08:00:00",
    "kl. 08:00": "08:00:00",
    "Klockan 8.30": "08:30:00",
    "ca 08:00": "08:00:00",
    "ca kl 8": "08:00:00",
    "08:00h": "08:00:00",
    "7:30 PM": "19:30:00",
    "7:30 pm": "19:30:00",
    "7 p.m.": "19:00:00",
    "12 AM": "00:00:00",
    "12:15 PM": "12:15:00",
    "2026-03-29T02:30:00Z": "02:30:00",
    "2026-03-29T02:30:00.000+02:00": "02:30:00",
    "2026-03-29 02:30": "02:30:00",
  };
  for (const [text, time] of Object.entries(cases)) assert.equal(parseTime(text), time, text);
});

Deno.test("parseTime() refuses what is not a time", () => {
  for (
    const text of [
      "",
      "25",
      "25:00",
      "24:01",
      "08:60",
      "08:00:60",
      "2460",
      "08:00-09:00",
      "08:00Z",
      "13 PM",
      "0 AM",
      "TBD",
      "förmiddag",
      "800000",
    ]
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

Deno.test("parseTimeRange() takes ranges of every form", () => {
  const cases: Record<string, { start: string; end: string }> = {
    "8-12": { start: "08:00:00", end: "12:00:00" },
    "kl 08:00-12:00": { start: "08:00:00", end: "12:00:00" },
    "kl. 8 – 12": { start: "08:00:00", end: "12:00:00" },
    "0800-1130": { start: "08:00:00", end: "11:30:00" },
    "8.30 till 10": { start: "08:30:00", end: "10:00:00" },
    "7 - 9 PM": { start: "19:00:00", end: "21:00:00" },
    "11:30 AM - 2 PM": { start: "11:30:00", end: "14:00:00" },
    "18:00-24:00": { start: "18:00:00", end: "24:00:00" },
  };
  for (const [text, range] of Object.entries(cases)) {
    assert.deepEqual(parseTimeRange(text), range, text);
  }
});
