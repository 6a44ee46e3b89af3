import assert from "node:assert/strict";
import type { JsonObject, SnapshotWarning } from "../booking/snapshot.ts";
import {
  createReading,
  pick,
  readFlag,
  type Reading,
  readList,
  readNumber,
  readText,
  remainder,
} from "./reading.ts";

Deno.test("pick() takes the first name that holds something, else the first that is present", () => {
  for (const nothing of [null, "", " \n", [], {}]) {
    const found = pick(reading({ a: nothing, b: 1 }), ["x", "a", "b"]);
    assert.deepEqual(found, { name: "b", value: 1 });
    const silent = pick(reading({ a: nothing, b: null }), ["x", "a", "b"]);
    assert.deepEqual(silent, { name: "a", value: nothing });
  }
  for (const something of [0, false, "0", [null], { x: null }]) {
    const found = pick(reading({ a: something, b: 1 }), ["a", "b"]);
    assert.deepEqual(found, { name: "a", value: something });
  }
  assert.deepEqual(pick(reading({ c: { d: "" } }), ["c.e", "c.d"]), { name: "c.d", value: "" });
  assert.equal(pick(reading({ c: "text" }), ["c.d", "constructor", "__proto__"]), undefined);
});

Deno.test("readText() keeps absent, null, empty and value apart", () => {
  const read = (source: JsonObject): unknown => readText(reading(source), ["a"]);
  assert.equal(read({}), undefined);
  assert.equal(read({ a: null }), null);
  assert.equal(read({ a: "" }), "");
  assert.equal(read({ a: " x " }), " x ");
  assert.equal(read({ a: 12 }), "12");
});

Deno.test("readNumber() takes a number as a person writes it, and leaves out what is none", () => {
  const read = (a: unknown): unknown => readNumber(reading({ a }), ["a"]);
  assert.deepEqual(["12.50", " -3 ", 0, -0, null].map(read), [12.5, -3, 0, 0, null]);
  assert.deepEqual(["12,50", "1 000", "\u22124"].map(read), [12.5, 1000, -4]);
  for (const a of ["1e3", "0x10", "", true, [1], {}, 1e13, -1e13, Infinity]) {
    assert.equal(read(a), undefined, String(a));
  }
});

Deno.test("readFlag() takes a real boolean only", () => {
  const read = (a: unknown): unknown => readFlag(reading({ a }), ["a"]);
  assert.deepEqual([true, false, null].map(read), [true, false, null]);
  for (const a of ["true", 1, 0, "", {}]) assert.equal(read(a), undefined);
});

Deno.test("readList() takes a list only, and null is none", () => {
  assert.deepEqual(readList(reading({ a: [] }), "a"), []);
  for (const a of [null, {}, "x"]) assert.equal(readList(reading({ a }), "a"), undefined);
});

Deno.test("an unusable field is warned of by its full name and kept", () => {
  const row = reading({ a: {}, b: "x" });
  readText(row, ["a"]);
  readFlag(row, ["b"]);
  const warned = row.warnings.map(({ field, code }) => [field, code]);
  assert.deepEqual(warned, [["rows[1].a", "invalid_text"], ["rows[1].b", "invalid_boolean"]]);
  assert.deepEqual(remainder(row), { a: {}, b: "x" });
});

Deno.test("remainder() keeps unread fields verbatim, also in objects", () => {
  const source = JSON.parse('{"a":1,"c":{"d":1,"__proto__":2},"__proto__":{"x":1},"e":{"f":1}}');
  const row = reading(source);
  pick(row, ["a"]);
  pick(row, ["c.d"]);
  pick(row, ["e.f"]);
  assert.equal(JSON.stringify(remainder(row)), '{"c":{"__proto__":2},"__proto__":{"x":1}}');
  assert.equal(remainder(reading({})), undefined);
});

function reading(source: JsonObject): Reading {
  return createReading(source, [] as SnapshotWarning[], "rows[1].");
}
