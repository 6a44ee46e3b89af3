import assert from "node:assert/strict";
import { withWallClock } from "../testing.ts";
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

Deno.test("createPacer() gives no turn to a caller that has given up", async () => {
  let clock = 0;
  const asleep: { ms: number; signal: AbortSignal | undefined; wake: () => void }[] = [];
  const pace = createPacer({
    minIntervalMs: 700,
    now: () => clock,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        asleep.push({ ms, signal, wake: resolve });
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      }),
  });
  await pace();
  const budget = new AbortController();
  const reads = Promise.allSettled(Array.from({ length: 60 }, () => pace(budget.signal)));
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(asleep.map(({ ms }) => ms), [700]); // only the head of the queue waits
  budget.abort(new Error("budget over"));
  assert.ok((await reads).every(({ status }) => status === "rejected"));
  clock = 300;
  const next = pace();
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(asleep.map(({ ms }) => ms), [700, 400]);
  clock = 700;
  asleep[1]!.wake();
  await next;
  clock = 20_000;
  await pace(); // at once
  assert.equal(asleep.length, 2);
});

Deno.test("createPacer() keeps the order and the distance when a waiter in between leaves", async () => {
  const started = performance.now();
  const sent: [string, number][] = [];
  const pace = createPacer({ minIntervalMs: 100, now: () => performance.now() });
  const leaving = new AbortController();
  const call = async (name: string, signal?: AbortSignal) => {
    await pace(signal);
    sent.push([name, performance.now() - started]);
  };
  const calls = [call("a"), call("b"), call("c", leaving.signal), call("d")];
  leaving.abort(new Error("left"));
  await assert.rejects(calls[2]!, { message: "left" });
  await Promise.all([calls[0], calls[1], calls[3]]);
  assert.deepEqual(sent.map(([name]) => name), ["a", "b", "d"]);
  const [a, b, d] = sent.map(([, at]) => at);
  assert.ok(b! - a! >= 95 && d! - b! >= 95 && d! - a! < 295, `${sent}`);
});

Deno.test("createPacer() waits no longer when the wall clock is set back", async () => {
  await withWallClock(async (step) => {
    const pace = createPacer({
      minIntervalMs: 20,
      sleep: (ms) => Promise.resolve(assert.ok(ms <= 20, `${ms} ms`)),
    });
    await pace();
    step(-3_600_000);
    await pace();
  });
});
