import assert from "node:assert/strict";
import { useDatabase } from "../../support/booking_database.ts";
import {
  buildSnapshot,
  dayFromNow,
  days,
  secondsAgo,
  type SnapshotFields,
} from "../../support/booking_builder.ts";
import type { Tenant } from "../../support/tenant.ts";

const test = useDatabase();

const [D1, D2, D3, D9] = [100, 101, 102, 109].map(dayFromNow) as [string, string, string, string];

/** What the source says of the event days, in words: `complete` lists drop what they leave out. */
const event = (version: number, ...list: readonly string[]): SnapshotFields => ({
  source_version: version,
  fetched_at: secondsAgo(100 - version),
  dates: { ...days(...list.map((day) => ["event", day] as const)), complete: true },
});

const rows = async (tenant: Tenant) =>
  (await tenant.select<{ row: string }>(
    "calendar_events",
    `day || case when active then '' else ' inactive' end || case when day_dropped then ' dropped' else '' end
       || case when has_source_changes then ' changed' else '' end as row`,
    "and event_type = 'event' order by day",
  )).map(({ row }) => row);

/** Locks the calendar row of a day, as a planner does. */
const lock = (tenant: Tenant, day: string, locked = true) =>
  tenant.asPlanner((sql) =>
    sql.query(
      "update public.calendar_events set times_locked = $2 where event_type = 'event' and day = $1",
      [
        day,
        locked,
      ],
    )
  );

test("rule: a person's work is never overwritten: a locked row whose day is dropped stays, and takes part in no move", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(event(1, D1, D2, D3)));
  await lock(tenant, D3);
  await tenant.applyOne(buildSnapshot(event(2, D1, D2)));
  assert.deepEqual(await rows(tenant), [D1, D2, `${D3} dropped changed`]);
  await tenant.applyOne(buildSnapshot(event(3, D1, D9)));
  assert.deepEqual(await rows(tenant), [D1, `${D3} dropped changed`, D9], "it took no new day");
  await tenant.applyOne(buildSnapshot(event(4, D1, D9, D3)));
  assert.deepEqual(await rows(tenant), [D1, D3, D9], "its day is listed again");
});

test("rule: a person's work is never overwritten: a dropped row has its day back though others could move there", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(event(1, D1, D2)));
  await lock(tenant, D1);
  await tenant.applyOne(buildSnapshot(event(2, D2)));
  const [before] = await tenant.select<{ id: number }>(
    "calendar_events",
    "id",
    `and day = '${D1}'`,
  );
  await tenant.applyOne(buildSnapshot(event(3, D1)));
  const [after] = await tenant.select<{ id: number }>(
    "calendar_events",
    "id",
    `and day = '${D1}' and active and event_type = 'event'`,
  );
  assert.deepEqual(after, before);
  assert.deepEqual(await rows(tenant), [D1, `${D2} inactive`]);
});

test("rule: a person's work is never overwritten: unlocking a dropped row, or leaving CONFIRMED, ends it", async (db) => {
  for (const end of ["unlock", "cancel"]) {
    const tenant = await db.tenant();
    await tenant.applyOne(buildSnapshot(event(1, D1, D2)));
    await lock(tenant, D2);
    await tenant.applyOne(buildSnapshot(event(2, D1)));
    assert.deepEqual(await rows(tenant), [D1, `${D2} dropped changed`]);
    if (end === "unlock") {
      await lock(tenant, D2, false);
      assert.deepEqual(await rows(tenant), [D1, `${D2} inactive`]);
    } else {
      await tenant.applyOne(buildSnapshot({ ...event(3, D1), booking: { status: "CANCELLED" } }));
      assert.deepEqual(await rows(tenant), [`${D1} inactive`, `${D2} inactive changed`]);
    }
  }
});

test("rule: a person's work is never overwritten: a row that nobody decided goes with its day", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(event(1, D1, D2)));
  await tenant.applyOne(buildSnapshot(event(2, D1)));
  assert.deepEqual(await rows(tenant), [D1, `${D2} inactive`]);
});

test("rule: a person's work is never overwritten: an adjusted warehouse row whose day is dropped stays", async (db) => {
  const tenant = await db.tenant();
  const list = (version: number, ...phases: readonly ["rig" | "event", string][]) => ({
    ...event(version),
    dates: { ...days(...phases), complete: true },
  });
  await tenant.applyOne(buildSnapshot(list(1, ["rig", D1], ["event", D2])));
  await tenant.asPlanner((sql) =>
    sql.query(
      `update public.warehouse_events set starts_at = starts_at + interval '1 hour', ends_at = ends_at + interval '1 hour'
       where event_type = 'event'`,
    )
  );
  await tenant.applyOne(buildSnapshot(list(2, ["rig", D1])));
  assert.deepEqual(
    await tenant.select(
      "warehouse_events",
      "basis_day::text as day, active, day_dropped as dropped",
      "and event_type = 'event'",
    ),
    [{ day: D2, active: true, dropped: true }],
  );
});
