import assert from "node:assert/strict";
import { createDrainKick } from "./drain_kick.ts";

/** A kick on a clock that only its own sleeping moves; `during` runs in each sleep. */
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

Deno.test("createDrainKick() is put off by a burst for fifteen seconds at most", async () => {
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
