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

Deno.test("pick() takes the first name that is present, null too", () => {
  assert.deepEqual(pick(reading({ a: null, b: 1 }), ["x", "a", "b"]), { name: "a", value: null });
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

Deno.test("readNumber() takes decimal digits in text and no more", () => {
  const read = (a: unknown): unknown => readNumber(reading({ a }), ["a"]);
  assert.deepEqual(["12.50", " -3 ", 0, -0, null].map(read), [12.5, -3, 0, 0, null]);
  for (const a of ["12,50", "1e3", "0x10", "", "1 000", true, [1], {}]) {
    assert.equal(read(a), undefined, String(a));
  }
  for (const a of [1e13, -1e13, Infinity]) {
    assert.throws(() => read(a), { code: "unstorable_number", field: "rows[1].a" });
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
