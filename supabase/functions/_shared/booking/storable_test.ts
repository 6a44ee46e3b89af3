import assert from "node:assert/strict";
import { sealSnapshot } from "./seal_snapshot.ts";
import type { JsonObject } from "./snapshot.ts";
import { type Draft, isStorable, keepStorable } from "./storable.ts";

const draft = (change: Partial<Draft> = {}): Draft => ({
  external_id: "b1",
  fetched_at: "2026-11-21T12:00:00Z",
  booking: {},
  ...change,
});

/** What is kept of unmapped fields, and the warnings as `field code`. */
function keptExtra(extra: JsonObject) {
  const kept = keepStorable(draft({ booking: { extra } }));
  return [kept.booking.extra, (kept.warnings ?? []).map(({ field, code }) => `${field} ${code}`)];
}

Deno.test("isStorable() takes everything that Postgres can keep", () => {
  assert.ok(isStorable({ a: [null, true, 0, -1.5, "ok \u0001 😀 ' ; <b>", {}, []] }));
  assert.ok(isStorable("x".repeat(100_000)));
  assert.ok(isStorable(JSON.parse('{"__proto__":{"constructor":1}}')));
  assert.ok(isStorable(JSON.parse("[".repeat(64) + "]".repeat(64))));
});

Deno.test("keepStorable() leaves out what Postgres cannot keep, by name, and keeps the rest", () => {
  const cases: [JsonObject, JsonObject, string][] = [
    [{ a: [{ b: "x\0", c: 1 }] }, { a: [{ c: 1 }] }, "a[0].b unstorable_text"],
    [{ a: "\ud83d", b: 1 }, { b: 1 }, "a unstorable_text"],
    [{ a: "\udc00x" }, {}, "a unstorable_text"],
    [{ a: { "k\0": 1, l: 2 } }, { a: { l: 2 } }, "a unstorable_text"],
    [{ a: Infinity, b: [NaN, 1] }, { b: [1] }, "a unstorable_number,b[0] unstorable_number"],
  ];
  for (const [sent, kept, warned] of cases) {
    const [rest, warnings] = keptExtra(sent);
    assert.deepEqual([rest, String(warnings)], [kept, warned]);
  }
});

Deno.test("keepStorable() ends at 64 levels, however deep the value is", () => {
  const deep = JSON.parse("[".repeat(5_000) + "]".repeat(5_000));
  const [kept, warnings] = keptExtra({ deep, other: 1 });
  assert.deepEqual((kept as JsonObject)["other"], 1);
  assert.match(String(warnings), /too_deep$/);
});

Deno.test("keepStorable() puts a mark in the place of what is too large", () => {
  const text = "å".repeat(60_000);
  const kept = keepStorable(
    draft({ booking: { source_notes: text, extra: { list: ["x".repeat(70_000)] } } }),
  );
  assert.deepEqual(JSON.parse(kept.booking.source_notes ?? "").omitted_bytes, 120_000);
  assert.deepEqual((kept.booking.extra?.["list"] as JsonObject)["omitted_bytes"], 70_004);
  assert.deepEqual(kept.warnings?.map(({ field, code }) => [field, code]), [
    ["source_notes", "omitted_content"],
    ["list", "omitted_content"],
  ]);
  const again = keepStorable(draft({ booking: { source_notes: text } }));
  assert.equal(
    again.booking.source_notes,
    kept.booking.source_notes,
    "the same text, the same mark",
  );
});

Deno.test("keepStorable() measures a value as Postgres prints it, with its spaces", () => {
  // 7 bytes a number as JSON, 8 as jsonb.
  const list = (count: number) => Array.from({ length: count }, () => 100_000);
  assert.deepEqual(keptExtra({ list: list(7_900) }), [{ list: list(7_900) }, []]);
  assert.deepEqual(keptExtra({ list: list(8_100) })[1], ["list omitted_content"]);
  const short = "å".repeat(31_000);
  assert.deepEqual(keptExtra({ short }), [{ short }, []]);
  assert.deepEqual(keptExtra({ long: "å".repeat(33_000) })[1], ["long omitted_content"]);
});

Deno.test("keepStorable() puts a mark in the place of a product's costs that are too large", () => {
  const costs = { labor_cost: 7, material_cost: Array.from({ length: 20_000 }, (_, n) => n) };
  const kept = keepStorable(draft({
    products: { complete: null, stated: true, items: [{ external_id: "p", costs }] },
  }));
  assert.ok(kept.products?.items[0]?.costs?.["omitted_bytes"]);
  assert.deepEqual(kept.warnings?.map(({ field }) => field), ["products[0].costs"]);
});

Deno.test("keepStorable() keeps 500 unmapped fields and counts the rest, in time linear in their number", () => {
  const extra = Object.fromEntries(Array.from({ length: 240_000 }, (_, n) => [`key_${n}`, n]));
  const began = performance.now();
  const [kept, warnings] = keptExtra(extra);
  assert.ok(performance.now() - began < 2_000);
  assert.equal(Object.keys(kept as JsonObject).length, 500);
  assert.deepEqual(warnings, ["* too_many_fields"]);
});

Deno.test("keepStorable() leaves out a row without its key, and takes nothing from its absence", () => {
  const sealed = sealSnapshot(draft({
    products: {
      complete: null,
      stated: true,
      items: [{ external_id: "a\0" }, { external_id: "b", name: "x\0", quantity: 2 }],
    },
  }));
  assert.deepEqual(sealed.products, {
    complete: null,
    stated: false,
    items: [{ external_id: "b", quantity: 2 }],
  });
});
