import assert from "node:assert/strict";
import { normalizeEventTimestamp } from "./event_timestamp.ts";

for (
  const [given, taken] of [
    ["2024-01-15T10:30:00", "2024-01-15T10:30:00"],
    ["2024-01-15T10:30:00z", "2024-01-15T10:30:00"],
    ["2024-01-15T10:30:00-0800", "2024-01-15T10:30:00"],
    ["2024-01-15T10:30:00.120300Z", "2024-01-15T10:30:00.1203"],
    ["2024-01-15T10:30:00,5", "2024-01-15T10:30:00.5"],
    ["2024-02-29T23:59:59", "2024-02-29T23:59:59"],
    ["2023-02-29T10:00:00", undefined],
    ["2024-13-01T10:00:00", undefined],
    ["2024-01-01T10:60:00", undefined],
    ["2024-01-01T10:00:60", undefined],
    ["2024-01-01 10:00:00", "2024-01-01T10:00:00"],
    ["2024-1-1T10:00:00", undefined],
    ["2024-01-01T10:00:00[Europe/Stockholm]", undefined],
    ["1705314600", undefined],
    ["", undefined],
  ] as const
) {
  Deno.test(`normalizeEventTimestamp() takes ${given || "nothing"} as ${taken}`, () => {
    assert.equal(normalizeEventTimestamp(given), taken);
  });
}

Deno.test("normalizeEventTimestamp() makes later events compare as later text", () => {
  const texts = ["2024-01-15T10:30:00.0Z", "2024-01-15T10:30:00.25", "2024-01-15T10:30:01"]
    .map(normalizeEventTimestamp);
  assert.deepEqual([...texts].sort(), texts);
});
