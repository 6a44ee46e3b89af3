import assert from "node:assert/strict";
import { sleepFor } from "./clock.ts";

Deno.test("sleepFor() waits for its time", async () => {
  const began = performance.now();
  await sleepFor(20);
  assert.ok(performance.now() - began >= 19);
});

Deno.test("sleepFor() rejects with the signal's reason and leaves no timer behind", async () => {
  const controller = new AbortController();
  const sleeping = sleepFor(60_000, controller.signal);
  controller.abort(new RangeError("over"));
  await assert.rejects(sleeping, RangeError);
  await assert.rejects(sleepFor(60_000, controller.signal), RangeError);
});
