import assert from "node:assert/strict";
import { TimeUp, within } from "./within.ts";

Deno.test("within() returns what the work returns", async () => {
  assert.equal(await within(1_000, () => Promise.resolve(7)), 7);
});

Deno.test("within() throws what the work throws", async () => {
  await assert.rejects(within(1_000, () => Promise.reject(new RangeError("no"))), RangeError);
});

Deno.test("within() gives up and aborts work that ignores the time", async () => {
  let reason: unknown;
  const work = (signal: AbortSignal) => {
    signal.addEventListener("abort", () => reason = signal.reason);
    return new Promise<never>(() => {});
  };
  await assert.rejects(within(10, work), TimeUp);
  assert.ok(reason instanceof TimeUp);
});

Deno.test("within() leaves no timer behind when the work throws at once", async () => {
  const work = (): Promise<never> => {
    throw new RangeError("no");
  };
  await assert.rejects(within(5, work), RangeError);
  // A timer left running would reject a promise that nothing awaits any more.
  await new Promise((resolve) => setTimeout(resolve, 20));
});

Deno.test("within() does not start without time", async () => {
  let begun = false;
  await assert.rejects(within(0, () => Promise.resolve(begun = true)), TimeUp);
  assert.equal(begun, false);
});
