import assert from "node:assert/strict";
import { createHeavyReads } from "./heavy_reads.ts";

Deno.test("createHeavyReads() lets one large answer be held at a time, in the order of asking", async () => {
  const heavy = createHeavyReads();
  const events: string[] = [];
  const ends: (() => void)[] = [];
  const reads = ["a", "b", "c"].map((name) =>
    heavy.hold(async (enter) => {
      await enter();
      await enter();
      events.push(`${name} begins`);
      await new Promise<void>((resolve) => ends.push(resolve));
      events.push(`${name} ends`);
    })
  );
  for (const read of reads) {
    while (ends.length === 0) await Promise.resolve();
    ends.shift()!();
    await read;
  }
  assert.deepEqual(events, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

Deno.test("createHeavyReads() goes on after a read that failed, and after one that was given up", async () => {
  const heavy = createHeavyReads();
  let end = (): void => {};
  const first = heavy.hold(async (enter) => {
    await enter();
    await new Promise<void>((resolve) => end = resolve);
    throw new Error("broken");
  });
  const waiting = new AbortController();
  const second = heavy.hold((enter) => enter(waiting.signal));
  const third = heavy.hold((enter) => enter());
  waiting.abort(new Error("given up"));
  await assert.rejects(second, { message: "given up" });
  end();
  await assert.rejects(first, { message: "broken" });
  await third;
});
