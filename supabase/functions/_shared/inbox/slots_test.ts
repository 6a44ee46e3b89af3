import assert from "node:assert/strict";
import { withWallClock } from "../testing.ts";
import { createSlots } from "./slots.ts";

Deno.test("createSlots() gives out no more slots than it has, and takes each back once", () => {
  const slots = createSlots(2);
  const first = slots.take();
  assert.ok(first && slots.take());
  assert.equal(slots.take(), undefined);
  first();
  first();
  assert.ok(slots.take());
  assert.equal(slots.take(), undefined);
});

Deno.test("createSlots() rests for a while once its slots have run out", () => {
  let time = 0;
  const slots = createSlots(1, { restMs: 5_000, now: () => time });
  const first = slots.take();
  assert.ok(first);
  assert.equal(slots.take(), undefined);
  first();
  time = 4_999;
  assert.equal(slots.take(), undefined);
  time = 5_000;
  assert.ok(slots.take());
});

Deno.test("createSlots() rests no longer when the wall clock is set back", async () => {
  await withWallClock(async (step) => {
    const slots = createSlots(1, { restMs: 20 });
    const first = slots.take();
    assert.equal(slots.take(), undefined);
    first?.();
    step(-3_600_000);
    await new Promise((resolve) => setTimeout(resolve, 40));
    assert.ok(slots.take());
  });
});
