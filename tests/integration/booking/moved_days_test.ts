import assert from "node:assert/strict";
import { buildSnapshot, complete, days, products } from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { only, type Tenant } from "../../support/tenant.ts";

const test = useDatabase();

/** A booking whose event phase has exactly these days of June 2027. */
function eventOn(...junes: readonly number[]) {
  const list = junes.map((june) => ["event", `2027-06-${String(june).padStart(2, "0")}`] as const);
  return buildSnapshot({ dates: complete(days(...list)), products: products() });
}

interface Shown {
  readonly id: number;
  readonly june: number;
  readonly resource_id: string | null;
  readonly active: boolean;
  readonly starts: string;
  readonly has_source_changes: boolean;
}

function read(tenant: Tenant, rest = ""): Promise<readonly Shown[]> {
  return tenant.select<Shown>(
    "calendar_events",
    `id, extract(day from day)::integer as june, resource_id, active, has_source_changes,
     to_char(starts_at at time zone 'Europe/Stockholm', 'DD HH24:MI') as starts`,
    `${rest} order by active desc, day, id`,
  );
}

async function assignTeams(tenant: Tenant): Promise<void> {
  await tenant.asPlanner((sql) =>
    sql.query("update public.calendar_events set resource_id = 'team ' || extract(day from day)")
  );
}

const moves: readonly (readonly [string, readonly number[], readonly number[], string])[] = [
  ["one day moves", [5], [9], "5>9"],
  ["all days shift by one", [5, 6, 7], [6, 7, 8], "5>6 6>7 7>8"],
  ["all days shift back by one", [5, 6, 7], [4, 5, 6], "5>4 6>5 7>6"],
  ["the last of three moves", [5, 6, 7], [5, 6, 12], "5>5 6>6 7>12"],
  ["days change places in the list", [7, 5, 6], [6, 7, 5], "5>5 6>6 7>7"],
  ["a day is added at the end", [5, 6], [5, 6, 7], "5>5 6>6"],
  ["a day is added before", [5, 6], [4, 5, 6], "5>5 6>6"],
  ["the first day is dropped", [5, 6, 7], [6, 7], "5>- 6>6 7>7"],
  ["the middle day is dropped", [5, 6, 7], [5, 7], "5>5 6>- 7>7"],
  ["one is dropped and one moves", [5, 6, 7], [5, 20], "5>5 6>20 7>-"],
  ["the range becomes one other day", [5, 6, 7], [20], "5>20 6>- 7>-"],
];

for (const [name, before, after, expected] of moves) {
  test(`project_bookings() keeps rows and teams when ${name}`, async (db) => {
    const tenant = await db.tenant();
    await tenant.applyOne(eventOn(...before));
    await assignTeams(tenant);
    const old = await read(tenant);
    await tenant.applyOne(eventOn(...after));
    const now = await read(tenant);
    const moved = old
      .map((row) => ({ from: row.june, to: now.find(({ id }) => id === row.id) }))
      .sort((a, b) => a.from - b.from)
      .map(({ from, to }) => `${from}>${to?.active ? to.june : "-"}`);
    assert.equal(moved.join(" "), expected);
    for (const row of old) {
      const later = now.find(({ id }) => id === row.id);
      assert.equal(later?.resource_id, row.resource_id, `the team of June ${row.june}`);
    }
    const active = now.filter((row) => row.active).map(({ june }) => june).sort((a, b) => a - b);
    assert.deepEqual(active, [...after].sort((a, b) => a - b));
    assert.equal(now.length, Math.max(before.length, after.length), "rows were added for nothing");
  });
}

test("project_bookings() makes room where an inactive row stands", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(eventOn(5, 6));
  await tenant.applyOne(eventOn(5));
  await tenant.applyOne(eventOn(6));
  const rows = await read(tenant);
  assert.deepEqual(rows.map(({ june, active }) => [june, active]), [[6, true], [5, false]]);
});

test("project_bookings() keeps the times a planner set when the day moves, and says so", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(eventOn(5, 6));
  await tenant.asPlanner((sql) =>
    sql.query(
      `update public.calendar_events set starts_at = starts_at + interval '2 hours',
         ends_at = ends_at + interval '2 hours' where day = '2027-06-05'`,
    )
  );
  await tenant.applyOne(eventOn(8, 9));
  const [adjusted, plain] = await read(tenant);
  assert.deepEqual(
    [adjusted?.june, adjusted?.starts, adjusted?.has_source_changes],
    [8, "05 10:00", true],
  );
  assert.deepEqual([plain?.june, plain?.starts, plain?.has_source_changes], [9, "09 08:00", false]);
  // A planner who sets the times again has seen what the source said.
  await tenant.asPlanner((sql) =>
    sql.query(
      `update public.calendar_events set starts_at = '2027-06-08 08:00+00',
         ends_at = '2027-06-08 09:00+00' where day = '2027-06-08'`,
    )
  );
  assert.equal((await read(tenant))[0]?.has_source_changes, false);
  await tenant.applyOne(eventOn(8, 9, 10));
  assert.equal((await read(tenant))[0]?.has_source_changes, false, "it was not the source");
});

test("project_bookings() says nothing of source changes once they are taken back", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(eventOn(5));
  await tenant.asPlanner((sql) =>
    sql.query("update public.calendar_events set ends_at = ends_at + interval '1 hour'")
  );
  await tenant.applyOne(eventOn(6));
  assert.equal(only(await read(tenant)).has_source_changes, true);
  const { starts } = only(await read(tenant));
  await tenant.applyOne(eventOn(5));
  assert.equal(only(await read(tenant)).starts, starts);
});

test("project_bookings() leaves locked times alone", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(eventOn(5));
  await tenant.asPlanner((sql) =>
    sql.query("update public.calendar_events set times_locked = true")
  );
  await tenant.applyOne(eventOn(7));
  const row = only(await read(tenant));
  assert.deepEqual([row.june, row.starts, row.has_source_changes], [7, "05 08:00", true]);
});

test("project_bookings() restores all that planners did when a booking comes back", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(eventOn(5, 6, 7));
  await assignTeams(tenant);
  await tenant.asPlanner((sql) =>
    sql.query(
      "update public.calendar_events set ends_at = ends_at + interval '1 hour' where day = '2027-06-06'",
    )
  );
  const before = await tenant.select(
    "calendar_events",
    "to_jsonb(calendar_events) - 'updated_at' as r",
    "order by id",
  );
  for (const status of ["OFFER", "CANCELLED", "PENDING"] as const) {
    const snapshot = eventOn(5, 6, 7);
    await tenant.applyOne({
      ...snapshot,
      content_hash: status,
      booking: { ...snapshot.booking, status },
    });
    assert.ok((await read(tenant)).every(({ active }) => !active), status);
    await tenant.applyOne(eventOn(5, 6, 7));
    const after = await tenant.select(
      "calendar_events",
      "to_jsonb(calendar_events) - 'updated_at' as r",
      "order by id",
    );
    assert.deepEqual(after, before, `back from ${status}`);
  }
});

test("project_bookings() gives a returning booking its own days' teams, not a dropped day's", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(eventOn(5, 6));
  await assignTeams(tenant);
  await tenant.applyOne(eventOn(6)); // the 5th is dropped, its row waits inactive
  const gone = eventOn(6, 7);
  await tenant.applyOne({
    ...gone,
    content_hash: "gone",
    booking: { ...gone.booking, status: "PENDING" },
  });
  await tenant.applyOne(eventOn(6, 7));
  const active = (await read(tenant)).filter((row) => row.active);
  const sixth = active.find(({ june }) => june === 6);
  assert.equal(sixth?.resource_id, "team 6");
});

test("project_bookings() moves the warehouse with its basis day", async (db) => {
  const tenant = await db.tenant();
  const on = (rig: string, down: readonly string[]) =>
    buildSnapshot({
      dates: complete(days(["rig", rig], ...down.map((day) => ["rigdown", day] as const))),
    });
  await tenant.applyOne(on("2027-06-10", ["2027-06-12", "2027-06-13"]));
  await tenant.asPlanner((sql) =>
    sql.query(
      `update public.warehouse_events set ends_at = ends_at + interval '1 hour'
       where event_type = 'return' and basis_day = '2027-06-13'`,
    )
  );
  const rows = () =>
    tenant.select(
      "warehouse_events",
      `id, event_type || ' ' || to_char(basis_day, 'DD') as of, has_source_changes as changed,
       to_char(starts_at at time zone 'Europe/Stockholm', 'DD HH24') as starts, active`,
      "order by id",
    );
  const before = await rows();
  await tenant.applyOne(on("2027-06-11", ["2027-06-13", "2027-06-14"]));
  const after = await rows();
  assert.deepEqual(after.map(({ id }) => id), before.map(({ id }) => id));
  assert.ok(after.every(({ active }) => active));
  const found = new Set(after.map(({ of, starts, changed }) => `${of}: ${starts} ${changed}`));
  assert.deepEqual(
    found,
    new Set([
      "packing 11: 07 08 false",
      "delivery 11: 11 07 false",
      "return 13: 13 17 false",
      "return 14: 13 17 true",
      "inventory 13: 14 08 false",
      "inventory 14: 15 08 false",
      "unpacking 13: 14 10 false",
      "unpacking 14: 15 10 false",
    ]),
  );
});

test("a new day takes the team that all other days of its phase share, and none if they differ", async (db) => {
  for (
    const [teams, expected] of [[["a", "a"], "a"], [["a", "b"], null], [["a", null], null]] as const
  ) {
    const tenant = await db.tenant();
    await tenant.applyOne(eventOn(1, 2));
    for (const [index, team] of teams.entries()) {
      await tenant.asPlanner((sql) =>
        sql.query(
          "update public.calendar_events set resource_id = $1 where day = $2 and event_type = 'event'",
          [team, `2027-06-0${index + 1}`],
        )
      );
    }
    await tenant.applyOne(eventOn(1, 2, 3));
    const [third] = (await read(tenant)).filter(({ june }) => june === 3);
    assert.equal(third?.resource_id, expected, JSON.stringify(teams));
  }
});
