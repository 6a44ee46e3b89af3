import assert from "node:assert/strict";
import { parseInstant } from "./instants.ts";

Deno.test("parseInstant() writes equal instants as equal text", () => {
  for (
    const text of [
      "2026-08-04T17:11:00Z",
      "2026-08-04T17:11:00",
      "2026-08-04 17:11:00.000000",
      "2026-08-04T19:11:00+02:00",
      "2026-08-04T12:11:00-0500",
      "2026-08-04T19:11+02",
      "2026-08-05T02:41:00.0+09:30",
    ]
  ) assert.equal(parseInstant(text), "2026-08-04T17:11:00Z", text);
});

Deno.test("parseInstant() keeps microseconds, so that two changes of a second differ", () => {
  assert.equal(parseInstant("2026-08-04T17:11:00.123456789Z"), "2026-08-04T17:11:00.123456Z");
  assert.equal(parseInstant("2026-08-04T17:11:00.1200Z"), "2026-08-04T17:11:00.12Z");
});

Deno.test("parseInstant() takes a day as its first moment and refuses the rest", () => {
  assert.equal(parseInstant("2026-08-04"), "2026-08-04T00:00:00Z");
  for (
    const text of [
      "",
      "now",
      "1767225600",
      "2026-02-30T00:00:00Z",
      "2026-08-04T24:00:00Z",
      "2026-08-04T17:60:00Z",
      "2026-08-04T17:11:00+25:00",
      "1800-01-01T00:00:00Z",
      "9999-01-01T00:00:00Z",
    ]
  ) assert.equal(parseInstant(text), undefined, text);
});
