import assert from "node:assert/strict";
import { SourceError } from "../../../supabase/functions/_shared/source/source_error.ts";
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
  tombstoneAnswer,
} from "../../support/eventflow_answer.ts";

const test = useDatabase();
const ids = Array.from({ length: 80 }, (_, index) => `booking-${index + 1}`);

test("incident 1: an answer of another shape cancels nothing", async (db) => {
  const tenant = await db.tenant();
  await tenant.apply(ids.map((external_id) => buildSnapshot({ external_id })));
  const mark = await db.mark();
  for (const externalId of ids) {
    const shape = { success: true, mode: "single", result: { booking: { id: externalId } } };
    assert.throws(() => decodeAnswer(tenant, shape, externalId), SourceError);
  }
  assert.deepEqual(await db.writtenSince(mark), {}, "an unknown shape wrote rows");
});

test("incident 1: of 80 true cancellations in a row 20 pass and 60 are held", async (db) => {
  const tenant = await db.tenant();
  await tenant.apply(ids.map((external_id) => buildSnapshot({ external_id })));
  for (const id of ids) {
    await tenant.applyOne(decodeAnswer(tenant, tombstoneAnswer(tenant, "cancelled", id), id));
  }
  const statuses = await tenant.select(
    "bookings",
    "status::text, count(*)::integer",
    "group by status order by 1",
  );
  assert.deepEqual(statuses, [
    { status: "CANCELLED", count: 20 },
    { status: "CONFIRMED", count: 60 },
  ]);
  const open = await tenant.select(
    "sync.held_changes",
    "count(*)::integer",
    "and released_at is null and dismissed_at is null and kind = 'CANCELLED'",
  );
  assert.deepEqual(open, [{ count: 60 }]);
  const kept = await db.query(
    `select count(*)::integer as products,
       (select count(*)::integer from public.calendar_events c where c.organization_id = $1 and c.active) as events,
       (select count(*)::integer from public.packing_projects p where p.organization_id = $1 and p.active) as projects
     from public.booking_products where organization_id = $1 and source_missing_since is null`,
    [tenant.id],
  );
  assert.deepEqual(kept, [{ products: 160, events: 180, projects: 60 }]);
});

for (const version of ["1", "1.0", "1.1", "1.7", "1.42.3"]) {
  test(`incident 2: contract version ${version} is accepted`, async (db) => {
    const tenant = await db.tenant();
    const answer = foundAnswer(eventflowBooking(), { contract_version: version });
    assert.equal((await tenant.applyOne(decodeAnswer(tenant, answer))).verdict, "created");
  });
}

test("incident 3: zero rows for a moment leave a confirmed booking as it is", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const mark = await db.mark();
  for (const nothing of [{ data: [] }, { data: null }, [], { bookings: [] }, { data: {} }]) {
    assert.throws(() => decodeAnswer(tenant, nothing), SourceError, JSON.stringify(nothing));
  }
  const page = decodePage(tenant, []);
  assert.deepEqual(await tenant.apply(page.snapshots), []);
  assert.deepEqual(await db.writtenSince(mark), {}, "an empty answer wrote rows");
});

test("incident 4: an empty product list wipes neither products nor packing", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(decodeAnswer(tenant, foundAnswer(eventflowBooking())));
  const empty = foundAnswer(eventflowBooking({ products: [], attachments: [] }));
  const verdict = await tenant.applyOne(decodeAnswer(tenant, empty));
  assert.deepEqual(verdict.changes, {});
  const rows = await db.query(
    `select p.external_id, p.source_missing_since, i.active, i.quantity_to_pack
     from public.booking_products p join public.packing_items i on i.booking_product_id = p.id
     where p.organization_id = $1 order by 1`,
    [tenant.id],
  );
  assert.deepEqual(rows, [
    { external_id: "chair", source_missing_since: null, active: true, quantity_to_pack: 40 },
    { external_id: "tent", source_missing_since: null, active: true, quantity_to_pack: 2 },
  ]);
});

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

test("incident 5: every name of a date is read, and a second sync finds nothing new", async (db) => {
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

test("incident 6: all days of a phase are imported and shown", async (db) => {
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

test("incident 7: days that flicker between one and the range lose no row and no team", async (db) => {
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

test("incident 8: a change of any field at all is noticed and named", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 1000 });
  await tenant.applyOne(buildSnapshot());
  const changes: Record<string, unknown> = {
    booking_number: "2705-38",
    title: "Höstfest",
    client_name: "Lunds Stad",
    source_status: "Confirmed",
    delivery_address: "Storgatan 2",
    delivery_city: "Lund",
    delivery_postal_code: "222 33",
    latitude: 55.7,
    longitude: 13.2,
    contact_name: "Göran Ek",
    contact_phone: "+46709999999",
    contact_email: "goran@example.se",
    carry_more_than_10m: true,
    ground_nails_allowed: false,
    exact_time_needed: true,
    exact_time_info: "07.30",
    rental_only: true,
    source_notes: "Ring inte.",
    economics: { total_ex_vat: 45001 },
    price_amount: 12.5,
    price_currency: "SEK",
    partner_reference: "P-1",
    map_drawing_url: "https://files.example/map2.png",
    extra: { campaign: "höst" },
  };
  for (const [field, value] of Object.entries(changes)) {
    const { verdict } = await tenant.applyOne(buildSnapshot({ booking: { [field]: value } }));
    assert.equal(verdict, "updated", field);
    const [entry] = await tenant.select<{ changes: Record<string, unknown[]> }>(
      "booking_history",
      "changes",
      "order by id desc limit 1",
    );
    assert.deepEqual(entry?.changes[`bookings.${field}`]?.[1], value, `history of ${field}`);
  }
});

test("incident 8: a changed time alone moves the calendar", async (db) => {
  const tenant = await db.tenant();
  const at = (start: string) => buildSnapshot({ dates: days(["rig", RIG_DAY, start, "16:00:00"]) });
  await tenant.applyOne(at("08:00:00"));
  assert.equal((await tenant.applyOne(at("09:30:00"))).verdict, "updated");
  const [event] = await tenant.select(
    "calendar_events",
    "to_char(starts_at at time zone 'Europe/Stockholm', 'HH24:MI') as starts",
    "and event_type = 'rig'",
  );
  assert.deepEqual(event, { starts: "09:30" });
});

function text(value: unknown): string {
  return JSON.stringify(value);
}
