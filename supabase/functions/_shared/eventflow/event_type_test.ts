import assert from "node:assert/strict";
import { cutText, normalizeEventType } from "./event_type.ts";

for (
  const [given, eventType, known] of [
    ["created", "created", true],
    ["Booking.Updated", "updated", true],
    ["booking_confirmed", "confirmed", true],
    [" offer ", "offer", true],
    ["", null, true],
    [null, null, true],
    ["booking.deleted", "booking.deleted", false],
    ["constructor", "constructor", false],
    ["😀".repeat(300), "😀".repeat(200), false],
    [{ a: 1 }, '{"a":1}', false],
    [["😀".repeat(300)], `["${"😀".repeat(198)}`, false],
    // Cut by code units it would end with half an emoji.
    [["x" + "😀".repeat(300)], `["x${"😀".repeat(197)}`, false],
  ] as const
) {
  Deno.test(`normalizeEventType() takes ${JSON.stringify(given).slice(0, 30)} as it should`, () => {
    assert.deepEqual(normalizeEventType(given), { eventType, known });
  });
}

for (
  const [text, cut] of [
    ["abcd", "abc"],
    ["ab", "ab"],
    ["", ""],
    ["a😀b😀", "a😀b"],
    ["😀😀😀😀", "😀😀😀"],
    ["ab😀😀", "ab😀"],
  ] as const
) {
  Deno.test(`cutText() cuts "${text}" to "${cut}"`, () => {
    assert.equal(cutText(text, 3), cut);
  });
}
