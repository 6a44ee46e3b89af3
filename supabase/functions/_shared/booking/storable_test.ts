import assert from "node:assert/strict";
import { BookingRefusal } from "./refusal.ts";
import { assertStorable, isStorable } from "./storable.ts";

Deno.test("assertStorable() lets everything pass that Postgres can keep", () => {
  assertStorable({ a: [null, true, 0, -1.5, "ok \u0001 😀 ' ; <b>", {}, []] });
  assertStorable("x".repeat(1_000_000));
  assertStorable(JSON.parse('{"__proto__":{"constructor":1}}'));
});

Deno.test("assertStorable() names the first value that Postgres cannot keep", () => {
  const cases: [unknown, string, string][] = [
    [{ a: [{ b: "x\0" }] }, "unstorable_text", "a[0].b"],
    [{ a: "\ud83d" }, "unstorable_text", "a"],
    [{ a: "\udc00x" }, "unstorable_text", "a"],
    [{ a: { "k\0": 1 } }, "unstorable_text", "a"],
    [JSON.parse('{"__proto__":"\\u0000"}'), "unstorable_text", "__proto__"],
    [{ a: Infinity }, "unstorable_number", "a"],
    [[NaN], "unstorable_number", "[0]"],
    [{ a: "x".repeat(1_000_001) }, "text_too_long", "a"],
  ];
  for (const [value, code, field] of cases) {
    assert.throws(() => assertStorable(value), (error: unknown) => {
      assert.ok(error instanceof BookingRefusal);
      assert.deepEqual([error.code, error.field], [code, field]);
      return true;
    });
    assert.equal(isStorable(value), false);
  }
});

Deno.test("assertStorable() ends at 64 levels, however deep the value is", () => {
  assert.ok(isStorable(JSON.parse("[".repeat(64) + "]".repeat(64))));
  const deep = JSON.parse("[".repeat(100_000) + "]".repeat(100_000));
  assert.throws(() => assertStorable(deep), { name: "BookingRefusal", code: "too_deep" });
});
