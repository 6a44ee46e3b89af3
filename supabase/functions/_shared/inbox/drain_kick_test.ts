import assert from "node:assert/strict";
import { withWallClock } from "../testing.ts";
import { createDrainKick } from "./drain_kick.ts";

/** A kick on a clock that only its own sleeps move; `during` runs in each sleep. */
function build(during: (time: number, kick: () => void) => void = () => {}) {
  let time = 0;
  const drainedAt: number[] = [];
  const tasks: Promise<void>[] = [];
  const kick = createDrainKick({
    importer: { drain: () => Promise.resolve(void drainedAt.push(time)) },
    background: { run: (task) => void tasks.push(task()) },
    now: () => time,
    sleep: (ms) => {
      time += ms;
      during(time, kick);
      return Promise.resolve();
    },
  });
  return { kick, drainedAt, settled: () => Promise.all(tasks) };
}

Deno.test("createDrainKick() drains once, two seconds after the last of several", async () => {
  const { kick, drainedAt, settled } = build((time, again) => {
    if (time === 2_000) again();
  });
  kick();
  kick();
  await settled();
  assert.deepEqual(drainedAt, [4_000]);
});

Deno.test("createDrainKick() is delayed by a burst for fifteen seconds at most", async () => {
  const { kick, drainedAt, settled } = build((_, again) => again());
  kick();
  await settled();
  assert.deepEqual(drainedAt, [15_000]);
});

Deno.test("createDrainKick() can be kicked again once it has begun to drain", async () => {
  const { kick, drainedAt, settled } = build();
  kick();
  await settled();
  kick();
  await settled();
  assert.deepEqual(drainedAt, [2_000, 4_000]);
});

/** A kick on the real clock with drains that last until the test ends them. */
function buildSlow() {
  let atOnce = 0;
  let mostAtOnce = 0;
  const drainedAt: number[] = [];
  const ends: (() => void)[] = [];
  const tasks: Promise<void>[] = [];
  const kick = createDrainKick({
    importer: {
      drain: () =>
        new Promise((resolve) => {
          drainedAt.push(performance.now());
          mostAtOnce = Math.max(mostAtOnce, ++atOnce);
          ends.push(() => {
            atOnce -= 1;
            resolve();
          });
        }),
    },
    background: { run: (task) => void tasks.push(task()) },
    now: () => performance.now(),
    quietMs: 20,
    longestMs: 80,
  });
  return {
    kick,
    ends,
    drainedAt,
    mostAtOnce: () => mostAtOnce,
    settled: () => Promise.all(tasks),
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("createDrainKick() drains once more for all kicks during a drain, never twice at once", async () => {
  const { kick, ends, drainedAt, mostAtOnce, settled } = buildSlow();
  kick();
  while (drainedAt.length === 0) await pause(5);
  for (let again = 0; again < 5; again++) {
    kick();
    await pause(30);
  }
  assert.equal(drainedAt.length, 1);
  kick();
  const last = performance.now();
  ends.shift()!();
  while (drainedAt.length === 1) await pause(5);
  assert.ok(drainedAt[1]! - last >= 15, "not before it has been quiet");
  await pause(60);
  ends.shift()!();
  await settled();
  assert.deepEqual([drainedAt.length, mostAtOnce()], [2, 1]);
});

Deno.test("createDrainKick() can be kicked again after a drain that failed", async () => {
  let drains = 0;
  const tasks: Promise<void>[] = [];
  const kick = createDrainKick({
    importer: { drain: () => ++drains === 1 ? Promise.reject(new Error("m")) : Promise.resolve() },
    background: { run: (task) => void tasks.push(task().catch(() => {})) },
    now: () => 0,
    sleep: () => Promise.resolve(),
    quietMs: 0,
  });
  for (const expected of [1, 2]) {
    kick();
    await Promise.all(tasks);
    assert.equal(drains, expected);
  }
});

Deno.test("createDrainKick() sleeps no longer when the wall clock is set back", async () => {
  await withWallClock(async (step) => {
    const tasks: Promise<void>[] = [];
    let drains = 0;
    const kick = createDrainKick({
      importer: { drain: () => Promise.resolve(void (drains += 1)) },
      background: { run: (task) => void tasks.push(task()) },
      quietMs: 20,
      sleep: async (ms) => {
        assert.ok(ms <= 20, `${ms} ms`);
        step(-3_600_000);
        await pause(ms);
      },
    });
    kick();
    await Promise.all(tasks);
    assert.equal(drains, 1);
  });
});
