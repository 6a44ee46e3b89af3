import assert from "node:assert/strict";
import { buildSnapshot, complete, days } from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";

const test = useDatabase();

interface Case {
  readonly name: string;
  readonly zone?: string;
  readonly day: string;
  readonly start?: string;
  readonly end?: string;
  /** Instants in UTC, `DD HH:MM`. */
  readonly utc: readonly [string, string];
}

const spring = "2027-03-28";
const autumn = "2027-10-31";

// Stockholm goes from 02:00 to 03:00 on 2027-03-28 and from 03:00 to 02:00 on 2027-10-31.
const cases: readonly Case[] = [
  { name: "the default is 08:00 to 12:00 in spring", day: spring, utc: ["28 06:00", "28 10:00"] },
  { name: "the default is 08:00 to 12:00 in autumn", day: autumn, utc: ["31 07:00", "31 11:00"] },
  {
    name: "01:00 to 05:00 by the clock is three hours in spring",
    day: spring,
    start: "01:00:00",
    end: "05:00:00",
    utc: ["28 00:00", "28 03:00"],
  },
  {
    name: "01:00 to 05:00 by the clock is five hours in autumn",
    day: autumn,
    start: "01:00:00",
    end: "05:00:00",
    utc: ["30 23:00", "31 04:00"],
  },
  {
    name: "23:00 the evening before plus four hours by the clock is 03:00 in spring",
    day: "2027-03-27",
    start: "23:00:00",
    utc: ["27 22:00", "28 01:00"],
  },
  {
    name: "23:00 the evening before plus four hours by the clock is 03:00 in autumn",
    day: "2027-10-30",
    start: "23:00:00",
    utc: ["30 21:00", "31 02:00"],
  },
  {
    name: "a time that does not exist in spring still ends after it starts",
    day: spring,
    start: "02:30:00",
    end: "03:00:00",
    utc: ["28 01:30", "28 02:00"],
  },
  {
    name: "a time that exists twice in autumn still ends after it starts",
    day: autumn,
    start: "02:15:00",
    end: "02:45:00",
    utc: ["31 01:15", "31 01:45"],
  },
  {
    name: "an organization in New York has New York's wall clock",
    zone: "America/New_York",
    day: "2027-06-10",
    utc: ["10 12:00", "10 16:00"],
  },
  {
    name: "New York changes its clocks on its own day",
    zone: "America/New_York",
    day: "2027-03-14",
    start: "01:00:00",
    end: "04:00:00",
    utc: ["14 06:00", "14 08:00"],
  },
  {
    name: "New York's evening is the next day in UTC",
    zone: "America/New_York",
    day: "2027-06-10",
    start: "22:00:00",
    end: "02:00:00",
    utc: ["11 02:00", "11 06:00"],
  },
];

for (const { name, zone, day, start, end, utc } of cases) {
  test(`rule: local times use the organization's zone: ${name}`, async (db) => {
    const tenant = await db.tenant(zone === undefined ? {} : { time_zone: zone });
    const dates = complete(days(["rig", day, start, end]));
    const { verdict } = await tenant.applyOne(buildSnapshot({ dates }));
    assert.equal(verdict, "created");
    const [event] = await tenant.select<{ starts: string; ends: string; day: string }>(
      "calendar_events",
      `to_char(starts_at at time zone 'UTC', 'DD HH24:MI') as starts,
       to_char(ends_at at time zone 'UTC', 'DD HH24:MI') as ends, day::text`,
    );
    assert.deepEqual([event?.starts, event?.ends], utc);
    assert.equal(event?.day, day, "the row stands for another day");
  });
}

test("rule: local times use the organization's zone: a multi-day phase over the change of clocks keeps its wall clock", async (db) => {
  const tenant = await db.tenant();
  const list = ["2027-10-30", "2027-10-31", "2027-11-01"] as const;
  const dates = complete(
    days(...list.map((day) => ["event", day, "10:00:00", "16:00:00"] as const)),
  );
  await tenant.applyOne(buildSnapshot({ dates }));
  const shown = await tenant.select(
    "calendar_events",
    "to_char(starts_at at time zone 'UTC', 'MM-DD HH24:MI') as utc",
    "order by day",
  );
  assert.deepEqual(shown.map(({ utc }) => utc), ["10-30 08:00", "10-31 09:00", "11-01 09:00"]);
});

test("rule: local times use the organization's zone: only a place or UTC is a time zone", async (db) => {
  const none = [
    "Europe/Malmo",
    "UTC+2",
    "Etc/GMT-2",
    "EST5EDT",
    "CET",
    "europe/stockholm",
    "US/Eastern",
    "",
  ];
  for (const time_zone of none) {
    await assert.rejects(db.tenant({ time_zone }), { code: "22023" }, time_zone);
  }
  for (const time_zone of ["UTC", "America/Argentina/Buenos_Aires", "Asia/Kolkata"]) {
    assert.equal((await db.tenant({ time_zone })).timeZone, time_zone);
  }
});
