import {
  addDays,
  buildSnapshot,
  complete,
  days,
  EVENT_DAY,
  RIG_DAY,
  RIGDOWN_DAY,
} from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import {
  decodeAnswer,
  decodePage,
  eventflowBooking,
  foundAnswer,
} from "../../support/eventflow_answer.ts";
import assert from "node:assert/strict";

const test = useDatabase();

const dateNames: readonly (readonly [string, string])[] = [
  ["rig_up_dates", "rig"],
  ["rigdaydate", "rig"],
  ["rig_up_date", "rig"],
  ["rig_date", "rig"],
  ["rig_dates", "rig"],
  ["event_dates", "event"],
  ["eventdate", "event"],
  ["event_date", "event"],
  ["rig_down_dates", "rigdown"],
  ["rigdowndate", "rigdown"],
  ["rig_down_date", "rigdown"],
];

function text(value: unknown): string {
  return JSON.stringify(value);
}

test("incident: wrong field names for dates: every name of a date is read, and a second sync finds nothing new", async (db) => {
  const tenant = await db.tenant();
  const bookings = dateNames.map(([name]) => ({
    ...eventflowBooking({ id: name, rig_up_dates: [], event_dates: [], rig_down_dates: [] }),
    [name]: name.endsWith("s") ? [RIG_DAY] : RIG_DAY,
  }));
  await tenant.apply(decodePage(tenant, bookings).snapshots);
  const stored = await db.query(
    `select b.external_id, d.phase::text from public.booking_dates d
     join public.bookings b on b.id = d.booking_id where b.organization_id = $1`,
    [tenant.id],
  );
  const expected = dateNames.map(([external_id, phase]) => ({ external_id, phase }));
  assert.deepEqual(new Set(stored.map(text)), new Set(expected.map(text)));
  const mark = await db.mark();
  const again = await tenant.apply(decodePage(tenant, bookings).snapshots);
  assert.ok(again.every(({ verdict }) => verdict === "unchanged"), JSON.stringify(again));
  assert.deepEqual(await db.writtenSince(mark), {});
});

test("incident: only the first day imported: all days of a phase are imported and shown", async (db) => {
  const tenant = await db.tenant();
  const week = [0, 1, 2, 3].map((offset) => addDays(EVENT_DAY, offset));
  const booking = eventflowBooking({ event_dates: week, rig_down_dates: [addDays(EVENT_DAY, 4)] });
  await tenant.applyOne(decodeAnswer(tenant, foundAnswer(booking)));
  const stored = await tenant.select(
    "booking_dates",
    "day::text",
    "and phase = 'event' order by day",
  );
  assert.deepEqual(stored.map(({ day }) => day), week);
  const shown = await tenant.select(
    "calendar_events",
    "day::text",
    "and event_type = 'event' and active order by day",
  );
  assert.deepEqual(shown.map(({ day }) => day), week);
});

test("incident: flickering dates: days that flicker between one and the range lose no row and no team", async (db) => {
  const tenant = await db.tenant();
  const range = [0, 1, 2].map((offset) => addDays(EVENT_DAY, offset));
  const listed = (...event: string[]) =>
    buildSnapshot({
      dates: complete(
        days(
          ["rig", RIG_DAY],
          ...event.map((day) => ["event", day] as const),
          ["rigdown", addDays(RIGDOWN_DAY, 5)],
        ),
      ),
    });
  await tenant.applyOne(listed(...range));
  await tenant.asPlanner((sql) =>
    sql.query("update public.calendar_events set resource_id = 'team ' || event_type || day")
  );
  const read = () =>
    tenant.select("calendar_events", "id, day::text, resource_id, active", "order by id");
  const before = await read();
  for (let flicker = 0; flicker < 3; flicker++) {
    await tenant.applyOne(listed(range[flicker] ?? ""));
    const during = await read();
    assert.equal(during.length, before.length, "the flicker made rows");
    assert.equal(during.filter(({ active }) => active).length, 3);
    await tenant.applyOne(listed(...range));
    assert.deepEqual(await read(), before, `flicker ${flicker + 1} lost something`);
  }
});

const summerRig = "2027-06-10";

test("incident: times shifted through UTC: a wall-clock time is stored as said and shifted once", async (db) => {
  const tenant = await db.tenant();
  const answer = foundAnswer(eventflowBooking({
    rig_up_dates: [summerRig],
    rig_start_time: "08:00",
    rig_end_time: `${summerRig}T12:00:00+02:00`,
  }));
  await tenant.applyOne(decodeAnswer(tenant, answer));
  const stored = await tenant.select(
    "booking_dates",
    "start_time::text, end_time::text",
    "and phase = 'rig'",
  );
  assert.deepEqual(stored, [{ start_time: "08:00:00", end_time: "12:00:00" }]);
  const shown = await tenant.select(
    "calendar_events",
    "to_char(starts_at at time zone 'UTC', 'HH24:MI') || '-' || to_char(ends_at at time zone 'UTC', 'HH24:MI') as utc",
    "and event_type = 'rig'",
  );
  assert.deepEqual(shown, [{ utc: "06:00-10:00" }]);
  for (let read = 0; read < 3; read++) {
    const mark = await db.mark();
    const { verdict } = await tenant.applyOne(decodeAnswer(tenant, answer));
    assert.equal(verdict, "unchanged");
    assert.deepEqual(await db.writtenSince(mark), {}, `read ${read + 2} wrote rows`);
  }
});

test("incident: times shifted through UTC: equal instants in other words are no newer revision", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ source_updated_at: "2026-08-04T17:11:00Z" }));
  const mark = await db.mark();
  for (const same of ["2026-08-04T17:11:00.000Z", "2026-08-04T19:11:00+02:00"]) {
    await tenant.applyOne(buildSnapshot({ source_updated_at: same }));
    assert.deepEqual(await db.writtenSince(mark), {}, same);
  }
});

const evenings: readonly (readonly [string, string, string])[] = [
  ["20:00", "01:00", "5:00"],
  ["23:59", "00:00", "0:01"],
  ["08:00", "07:59", "23:59"],
];

for (const [start, end, hours] of evenings) {
  test(`incident: an end before its start: ${start} to ${end} ends on the next day`, async (db) => {
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

test("incident: an end before its start: a start at 23:00 without an end lasts four hours into the next day", async (db) => {
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
