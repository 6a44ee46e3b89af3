import assert from "node:assert/strict";
import { parseDay } from "./day.ts";

Deno.test("parseDay() keeps the calendar day that is written", () => {
  for (
    const text of [
      "2026-03-29",
      " 2026-03-29 ",
      "2026-03-29T00:00:00Z",
      "2026-03-29T23:59:59-11:00",
      "2026-03-29 01:00:00+14",
    ]
  ) assert.equal(parseDay(text), "2026-03-29", text);
});

Deno.test("parseDay() knows the calendar and its bounds", () => {
  assert.equal(parseDay("2028-02-29"), "2028-02-29");
  assert.equal(parseDay("1900-01-01"), "1900-01-01");
  assert.equal(parseDay("2200-12-31"), "2200-12-31");
  for (
    const text of [
      "2026-02-29",
      "1900-02-29",
      "2026-13-01",
      "2026-00-10",
      "2026-04-31",
      "1899-12-31",
      "2201-01-01",
      "0000-01-01",
      "29/03/2026",
      "2026-3-9",
      "2026-03-29junk",
      "",
    ]
  ) assert.equal(parseDay(text), undefined, text);
});
