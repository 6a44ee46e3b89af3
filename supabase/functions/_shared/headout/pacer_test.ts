import assert from "node:assert/strict";
import { createPacer } from "./pacer.ts";

Deno.test("createPacer() spaces calls that come together, in their order", async () => {
  const waits: number[] = [];
  let clock = 0;
  const pace = createPacer({
    minIntervalMs: 700,
    now: () => clock,
    sleep: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
  });
  await Promise.all([pace(), pace(), pace()]);
  assert.deepEqual(waits, [700, 1400]);
  clock = 10_000;
  await pace();
  assert.deepEqual(waits, [700, 1400]);
});

Deno.test("createPacer() stops waiting when the caller ends it", async () => {
  const pace = createPacer({ minIntervalMs: 60_000, now: () => 0 });
  await pace();
  const ended = new AbortController();
  const waiting = pace(ended.signal);
  ended.abort(new Error("budget over"));
  await assert.rejects(waiting, { message: "budget over" });
  await assert.rejects(pace(ended.signal), { message: "budget over" });
});
