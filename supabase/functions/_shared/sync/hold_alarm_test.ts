import assert from "node:assert/strict";
import type { Snapshot } from "../booking/snapshot.ts";
import { captureLog, ORGANIZATION, OTHER_ORGANIZATION, withWallClock } from "../testing.ts";
import type { Verdict } from "./booking_store.ts";
import { createHoldAlarm, withHoldAlarm } from "./hold_alarm.ts";

const HOLD = { organizationId: ORGANIZATION, source: "eventflow", bookings: 1 } as const;

Deno.test("createHoldAlarm() says it once a minute, and then how many were held", () => {
  let time = 0;
  const log = captureLog();
  const alarm = createHoldAlarm({ log, now: () => time });
  for (let webhook = 0; webhook < 60; webhook++) alarm(HOLD);
  assert.deepEqual(log.lines, [{
    level: "error",
    message: "the brake holds changes",
    organization_id: ORGANIZATION,
    source: "eventflow",
    held: 1,
  }]);
  time = 60_000;
  alarm({ ...HOLD, bookings: 3 });
  assert.equal(log.lines[1]?.["held"], 62);
});

Deno.test("createHoldAlarm() keeps connections apart", () => {
  const log = captureLog();
  const alarm = createHoldAlarm({ log, now: () => 0 });
  alarm(HOLD);
  alarm({ ...HOLD, source: "headout" });
  alarm({ ...HOLD, organizationId: OTHER_ORGANIZATION });
  assert.equal(log.lines.length, 3);
});

for (
  const [what, dryRun, verdicts, expected] of [
    ["raises it once for a call", false, ["held", "updated", "held"], [2]],
    ["is silent when nothing is held", false, ["updated"], []],
    ["is silent in a dry run", true, ["held"], []],
  ] as const
) {
  Deno.test(`withHoldAlarm() ${what}`, async () => {
    const raised: number[] = [];
    const store = withHoldAlarm({
      applySnapshots: () => Promise.resolve(verdicts.map((verdict) => ({ verdict }) as Verdict)),
    }, ({ bookings }) => void raised.push(bookings));
    const snapshots: Snapshot[] = [];
    await store.applySnapshots({
      organizationId: ORGANIZATION,
      source: "headout",
      snapshots,
      dryRun,
    });
    assert.deepEqual(raised, expected);
  });
}

Deno.test("createHoldAlarm() is quiet no longer when the wall clock is set back", async () => {
  await withWallClock(async (step) => {
    const log = captureLog();
    const alarm = createHoldAlarm({ log, quietMs: 20 });
    alarm(HOLD);
    step(-3_600_000);
    await new Promise((resolve) => setTimeout(resolve, 40));
    alarm(HOLD);
    assert.equal(log.lines.length, 2);
  });
});
