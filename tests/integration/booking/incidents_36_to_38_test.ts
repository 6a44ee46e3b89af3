import assert from "node:assert/strict";
import { openPglite } from "../../../local/database/open_pglite.ts";
import { readMigrations } from "../../../local/database/migrate.ts";
import { openEmptyDatabase } from "../../../local/database/test_database.ts";
import { prepareDatabase } from "../../../local/database/prepare.ts";
import { projectPaths } from "../../../local/paths.ts";
import {
  buildPartialSnapshot,
  buildSnapshot,
  complete,
  days,
  EVENT_DAY,
} from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { decodeAnswer, eventflowBooking, foundAnswer } from "../../support/eventflow_answer.ts";

const test = useDatabase();

test("incident 36: the source's notes never touch the planners'", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  await tenant.asPlanner((sql) => sql.query("update public.bookings set planner_notes = 'Vårt'"));
  // Not even a statement that names the planners' column.
  const names = { source_notes: "Deras", planner_notes: "Deras" } as { source_notes: string };
  await tenant.applyOne(buildSnapshot({ booking: names }));
  await tenant.applyOne(buildPartialSnapshot({ booking: { source_notes: null } }));
  assert.deepEqual(await tenant.select("bookings", "planner_notes, source_notes"), [
    { planner_notes: "Vårt", source_notes: null },
  ]);
});

test("incident 36: no statement reaches a column that is not the source's", async (db) => {
  const tenant = await db.tenant();
  const other = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const foreign = {
    id: 999_999,
    organization_id: other.id,
    source: "headout",
    created_at: "2001-01-01T00:00:00Z",
    updated_at: "2001-01-01T00:00:00Z",
    is_stub: true,
    confirmed_at: null,
    cancelled_at: "2001-01-01T00:00:00Z",
    source_missing_since: "2001-01-01T00:00:00Z",
    title: "Nytt",
  };
  const read = () =>
    tenant.select(
      "bookings",
      `id, organization_id, source::text, created_at, is_stub, confirmed_at, cancelled_at,
       source_missing_since`,
    );
  const before = await read();
  const { verdict } = await tenant.applyOne(buildSnapshot({
    booking: foreign as { title: string },
    products: { complete: false, items: [{ external_id: "tent", ...foreign } as never] },
    dates: { complete: false, items: [{ phase: "rig", day: EVENT_DAY, ...foreign } as never] },
  }));
  assert.equal(verdict, "updated");
  assert.deepEqual(await read(), before);
  assert.deepEqual(await other.select("bookings", "id"), []);
  for (const table of ["booking_products", "booking_dates"]) {
    const marked = await tenant.select(table, "id", "and source_missing_since is not null");
    assert.deepEqual(marked, [], table);
  }
});

Deno.test({
  name: "incident 37: every migration replays from an empty database, and once is enough",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(): Promise<void> {
    const migrations = await readMigrations(projectPaths().migrations);
    const url = Deno.env.get("DATABASE_URL") ?? "";
    const database = url === "" ? await openPglite() : await openEmptyDatabase(url);
    try {
      const first = await prepareDatabase(database, migrations);
      assert.deepEqual(first.applied, migrations.map(({ file }) => file));
      const second = await prepareDatabase(database, migrations);
      assert.deepEqual(second, { applied: [], edited: [] });
    } finally {
      await database.close();
    }
  },
});

const evenings: readonly (readonly [string, string, string])[] = [
  ["20:00", "01:00", "5:00"],
  ["22:30", "22:30", "24:00"],
  ["23:59", "00:00", "0:01"],
  ["08:00", "07:59", "23:59"],
];

for (const [start, end, hours] of evenings) {
  test(`incident 38: ${start} to ${end} ends on the next day`, async (db) => {
    const tenant = await db.tenant();
    const booking = eventflowBooking({
      event_dates: ["2027-06-12"],
      event_time: `${start} - ${end}`,
    });
    const { verdict } = await tenant.applyOne(decodeAnswer(tenant, foundAnswer(booking)));
    assert.equal(verdict, "created");
    const [event] = await tenant.select(
      "calendar_events",
      `to_char(starts_at at time zone 'Europe/Stockholm', 'DD HH24:MI') as starts,
       to_char(ends_at at time zone 'Europe/Stockholm', 'DD HH24:MI') as ends,
       extract(epoch from ends_at - starts_at)::integer / 60 as minutes`,
      "and event_type = 'event'",
    );
    const [hour = 0, minute = 0] = hours.split(":").map(Number);
    assert.deepEqual(event, {
      starts: `12 ${start}`,
      ends: `13 ${end}`,
      minutes: hour * 60 + minute,
    });
  });
}

test("incident 38: a start at 23:00 without an end lasts four hours into the next day", async (db) => {
  const tenant = await db.tenant();
  const dates = complete(days(["rig", "2027-06-12", "23:00:00"]));
  await tenant.applyOne(buildSnapshot({ dates }));
  const [event] = await tenant.select(
    "calendar_events",
    `to_char(starts_at at time zone 'Europe/Stockholm', 'DD HH24:MI') as starts,
     to_char(ends_at at time zone 'Europe/Stockholm', 'DD HH24:MI') as ends, day::text`,
  );
  assert.deepEqual(event, { starts: "12 23:00", ends: "13 03:00", day: "2027-06-12" });
});
