import assert from "node:assert/strict";
import { splitPage } from "./split_page.ts";
import { snapshotOf } from "./testing_source.ts";

Deno.test("splitPage() makes one part of a page that fits, and one empty part of an empty page", () => {
  assert.deepEqual(splitPage([]), [[]]);
  const page = Array.from({ length: 500 }, (_, index) => snapshotOf(`b${index}`));
  assert.deepEqual(splitPage(page).map((part) => part.length), [500]);
});

Deno.test("splitPage() splits by bookings and by rows, in order, and never an empty part", () => {
  const page = Array.from({ length: 1_001 }, (_, index) => snapshotOf(`b${index}`));
  assert.deepEqual(splitPage(page).map((part) => part.length), [500, 500, 1]);
  const items = Array.from({ length: 5_000 }, (_, index) => ({ external_id: `p${index}` }));
  const heavy = page.slice(0, 7).map((each) => ({ ...each, products: { complete: false, items } }));
  assert.deepEqual(splitPage(heavy).map((part) => part.length), [2, 2, 2, 1]);
  assert.deepEqual(splitPage(heavy).flat(), heavy);
  const huge = {
    ...heavy[0]!,
    products: { complete: false, items: [...items, ...items, ...items, ...items] },
  };
  assert.deepEqual(splitPage([huge, huge]).map((part) => part.length), [1, 1]);
});
