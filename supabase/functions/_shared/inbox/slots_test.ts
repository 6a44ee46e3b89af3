import assert from "node:assert/strict";
import { createSlots } from "./slots.ts";

Deno.test("createSlots() gives out no more places than it has, and takes them back once", () => {
  const slots = createSlots(2);
  const first = slots.take();
  assert.ok(first && slots.take());
  assert.equal(slots.take(), undefined);
  first();
  first();
  assert.ok(slots.take());
  assert.equal(slots.take(), undefined);
});
