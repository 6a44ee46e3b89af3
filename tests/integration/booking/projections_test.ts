import assert from "node:assert/strict";
import {
  addDays,
  buildSnapshot,
  complete,
  days,
  products,
  type SnapshotFields,
} from "../../support/booking_builder.ts";
import { type BookingDatabase, pgArray, useDatabase } from "../../support/booking_database.ts";
import type { Tenant } from "../../support/tenant.ts";

const test = useDatabase();

/** Two rig days, two event days, two rig-down days around midsummer: all of one offset. */
const week: SnapshotFields = {
  dates: complete(
    days(
      ["rig", "2027-06-10"],
      ["rig", "2027-06-11"],
      ["event", "2027-06-12", "17:00:00", "23:30:00"],
      ["event", "2027-06-13"],
      ["rigdown", "2027-06-14"],
      ["rigdown", "2027-06-15", "09:30:00", null],
    ),
  ),
};

function calendar(tenant: Tenant, rest = "and active"): Promise<readonly string[]> {
  return lines(tenant, "calendar_events", "day", rest);
}

function warehouse(tenant: Tenant, rest = "and active"): Promise<readonly string[]> {
  return lines(tenant, "warehouse_events", "basis_day", rest);
}

async function lines(tenant: Tenant, table: string, day: string, rest: string) {
  const at = (column: string) =>
    `to_char(${column} at time zone '${tenant.timeZone}', 'MM-DD HH24:MI')`;
  const rows = await tenant.select<{ line: string }>(
    table,
    `event_type || ' ' || to_char(${day}, 'MM-DD') || ': ' || ${at("starts_at")} || ' to '
     || ${at("ends_at")} || ' ' || title as line`,
    `${rest} order by starts_at, event_type`,
  );
  return rows.map(({ line }) => line);
}

test("project_bookings() fills the calendar by the rules", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(week));
  assert.deepEqual(await calendar(tenant), [
    "rig 06-10: 06-10 08:00 to 06-10 12:00 Sommarfest – Malmö Stad",
    "rig 06-11: 06-11 08:00 to 06-11 12:00 Sommarfest – Malmö Stad",
    "event 06-12: 06-12 17:00 to 06-12 23:30 Sommarfest – Malmö Stad",
    "event 06-13: 06-13 08:00 to 06-13 11:00 Sommarfest – Malmö Stad",
    "rigdown 06-14: 06-14 08:00 to 06-14 12:00 Sommarfest – Malmö Stad",
    "rigdown 06-15: 06-15 09:30 to 06-15 13:30 Sommarfest – Malmö Stad",
  ]);
});

test("project_bookings() names rental-only bookings by what is done", async (db) => {
  const tenant = await db.tenant();
  const dates = days(["rig", "2027-06-10"], ["event", "2027-06-11"], ["rigdown", "2027-06-12"]);
  await tenant.applyOne(buildSnapshot({ dates, booking: { rental_only: true } }));
  assert.deepEqual(await calendar(tenant), [
    "rig 06-10: 06-10 08:00 to 06-10 12:00 Leverans UT – Sommarfest – Malmö Stad",
    "event 06-11: 06-11 08:00 to 06-11 11:00 Sommarfest – Malmö Stad",
    "rigdown 06-12: 06-12 08:00 to 06-12 12:00 Retur IN – Sommarfest – Malmö Stad",
  ]);
});

test("project_bookings() fills the warehouse by the rules", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(week));
  assert.deepEqual(await warehouse(tenant), [
    "packing 06-10: 06-06 08:00 to 06-06 11:00 Packning - Malmö Stad",
    "delivery 06-10: 06-10 07:00 to 06-10 09:00 Utleverans - Malmö Stad",
    "event 06-12: 06-12 09:00 to 06-12 17:00 Event - Malmö Stad",
    "return 06-14: 06-14 17:00 to 06-14 19:00 Återleverans - Malmö Stad",
    "inventory 06-14: 06-15 08:00 to 06-15 10:00 Inventering - Malmö Stad",
    "unpacking 06-14: 06-15 10:00 to 06-15 12:00 Uppackning - Malmö Stad",
    "return 06-15: 06-15 17:00 to 06-15 19:00 Återleverans - Malmö Stad",
    "inventory 06-15: 06-16 08:00 to 06-16 10:00 Inventering - Malmö Stad",
    "unpacking 06-15: 06-16 10:00 to 06-16 12:00 Uppackning - Malmö Stad",
  ]);
});

test("project_bookings() makes the packing project, its tasks and its items", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(week));
  assert.deepEqual(
    await tenant.select(
      "packing_projects",
      "name, client_name, starts_on::text, ends_on::text, delivery_address, notes, status, active",
    ),
    [{
      name: "Malmö Stad - 2027-06-12",
      client_name: "Malmö Stad",
      starts_on: "2027-06-10",
      ends_on: "2027-06-15",
      delivery_address: "Storgatan 1",
      notes: "Ring en timme före.",
      status: "planning",
      active: true,
    }],
  );
  assert.deepEqual(
    await tenant.select("packing_tasks", "kind, title, due_on::text", "order by sort_order"),
    [
      { kind: "pack", title: "Packning", due_on: "2027-06-06" },
      { kind: "packed", title: "Utrustning packad", due_on: "2027-06-09" },
      { kind: "delivered", title: "Utleverans klarmarkerad", due_on: "2027-06-10" },
      { kind: "inventoried", title: "Inventering efter event", due_on: "2027-06-16" },
      { kind: "unpacked", title: "Uppackning klar", due_on: "2027-06-17" },
    ],
  );
});

test("project_bookings() packs components instead of their header, and no line of nothing or less", async (db) => {
  const tenant = await db.tenant();
  const rows = products(
    { external_id: "header", name: "Paket", quantity: 2 },
    { external_id: "part", quantity: 5, parent_external_id: "header", is_package_component: true },
    { external_id: "accessory", quantity: 4, parent_external_id: "header" },
    { external_id: "none", quantity: 0 },
    { external_id: "refund", quantity: -2 },
    {
      external_id: "refunded",
      quantity: -3,
      parent_external_id: "refund",
      is_package_component: true,
    },
    { external_id: "also", quantity: 3, parent_external_id: "refund", is_package_component: true },
  );
  await tenant.applyOne(buildSnapshot({ products: rows }));
  const packed = await db.query(
    `select p.external_id, i.quantity_to_pack from public.packing_items i
     join public.booking_products p on p.id = i.booking_product_id
     where i.organization_id = $1 order by 1`,
    [tenant.id],
  );
  assert.deepEqual(packed, [
    { external_id: "accessory", quantity_to_pack: 4 },
    { external_id: "part", quantity_to_pack: 10 },
  ]);
});

for (const status of ["OFFER", "PENDING", "CANCELLED", "REJECTED"] as const) {
  test(`project_bookings() projects nothing of a booking that is ${status}`, async (db) => {
    const tenant = await db.tenant();
    await tenant.applyOne(buildSnapshot({ booking: { status } }));
    for (const table of ["calendar_events", "warehouse_events", "packing_projects"]) {
      assert.deepEqual(await tenant.select(table, "id"), [], table);
    }
  });
}

test("project_bookings() shows a Headout booking's event and nothing else", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(week), { source: "headout" });
  assert.deepEqual(await calendar(tenant), [
    "event 06-12: 06-12 17:00 to 06-12 23:30 Sommarfest – Malmö Stad",
    "event 06-13: 06-13 08:00 to 06-13 11:00 Sommarfest – Malmö Stad",
  ]);
  assert.deepEqual(await warehouse(tenant), []);
  assert.deepEqual(await tenant.select("packing_projects", "id"), []);
});

async function setRule(db: BookingDatabase, tenant: Tenant, values: string): Promise<void> {
  await db.query(
    `insert into sync.projection_rules (organization_id, projection, kind, anchor, which,
       day_offset, start_time, duration, title_template, enabled)
     values ($1, ${values})`,
    [tenant.id],
  );
}

const earlier =
  "'warehouse', 'packing', 'rig', 'first', -6, '06:30', '90 minutes', 'Packa {client}', true";

test("project_bookings() follows an organization's own rule, and only there", async (db) => {
  const [tenant, other] = [await db.tenant(), await db.tenant()];
  const { booking_id } = await tenant.applyOne(buildSnapshot(week));
  await other.applyOne(buildSnapshot(week));
  await setRule(db, tenant, earlier);
  await setRule(
    db,
    tenant,
    "'calendar', 'event', 'event', 'each', 0, '08:00', '3 hours', '', false",
  );
  await db.rpc("project_bookings", { booking_ids: pgArray([Number(booking_id)]) });
  const [packing] = await warehouse(tenant);
  assert.equal(packing, "packing 06-10: 06-04 06:30 to 06-04 08:00 Packa Malmö Stad");
  assert.equal((await calendar(tenant, "and active and event_type = 'event'")).length, 0);
  const [others] = await warehouse(other);
  assert.equal(others, "packing 06-10: 06-06 08:00 to 06-06 11:00 Packning - Malmö Stad");
});

test("project_bookings() keeps Headout bookings out of the warehouse under an organization's rule", async (db) => {
  const tenant = await db.tenant();
  await setRule(db, tenant, earlier);
  await tenant.applyOne(buildSnapshot(week), { source: "headout" });
  assert.deepEqual(
    await warehouse(tenant),
    [],
    "a Headout booking has an event row and nothing else",
  );
});

test("project_bookings() leaves no dangling dash where client or title is unknown", async (db) => {
  const tenant = await db.tenant();
  const dates = days(["rig", "2027-06-10"]);
  await tenant.apply([
    buildSnapshot({ external_id: "1", dates, booking: { client_name: null } }),
    buildSnapshot({ external_id: "2", dates, booking: { title: null } }),
    buildSnapshot({ external_id: "3", dates, booking: { title: null, booking_number: null } }),
  ]);
  const titles = (await tenant.select<{ title: string }>("calendar_events", "title"))
    .map(({ title }) => title);
  assert.deepEqual(titles.sort(), [
    "2705-37 – Malmö Stad",
    "Malmö Stad",
    "Sommarfest – Okänd kund",
  ]);
});

test("project_bookings() writes nothing the second time", async (db) => {
  const tenant = await db.tenant();
  const { booking_id } = await tenant.applyOne(buildSnapshot(week));
  const mark = await db.mark();
  const written = await db.rpc("project_bookings", { booking_ids: pgArray([Number(booking_id)]) });
  assert.deepEqual(written, []);
  assert.deepEqual(await db.writtenSince(mark), {});
});

test("project_bookings() moves due dates until a task is done or adjusted", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(week));
  await tenant.asPlanner(async (sql) => {
    await sql.query("update public.packing_tasks set completed_at = now() where kind = 'pack'");
    await sql.query("update public.packing_tasks set due_on = '2027-06-01' where kind = 'packed'");
  });
  const later = {
    ...week.dates!,
    items: week.dates!.items.map((item) => ({ ...item, day: addDays(item.day, 7) })),
  };
  await tenant.applyOne(buildSnapshot({ dates: later }));
  assert.deepEqual(
    await tenant.select("packing_tasks", "kind, due_on::text", "order by sort_order"),
    [
      { kind: "pack", due_on: "2027-06-06" },
      { kind: "packed", due_on: "2027-06-01" },
      { kind: "delivered", due_on: "2027-06-17" },
      { kind: "inventoried", due_on: "2027-06-23" },
      { kind: "unpacked", due_on: "2027-06-24" },
    ],
  );
});

test("project_bookings() shows pending bookings too where a connection says so", async (db) => {
  const tenant = await db.tenant();
  const pending = { ...week, booking: { status: "PENDING" as const } };
  await tenant.applyOne(buildSnapshot(pending));
  assert.deepEqual(await calendar(tenant), []);
  const statuses = (list: string) =>
    db.query("update sync.connections set project_statuses = $2 where organization_id = $1", [
      tenant.id,
      list,
    ]);
  await statuses("{CONFIRMED,PENDING}");
  const [{ id } = { id: 0 }] = await tenant.select<{ id: number }>("bookings", "id");
  await db.rpc("project_bookings", { booking_ids: pgArray([id]) });
  const shown = await calendar(tenant);
  assert.equal(shown.length, 6);
  assert.equal((await tenant.select("packing_projects", "id", "and active")).length, 1);
  // Confirming it changes nothing of that; an offer is not shown.
  await tenant.applyOne(buildSnapshot({ ...week, booking: { status: "CONFIRMED" } }));
  assert.deepEqual(await calendar(tenant), shown);
  await tenant.applyOne(buildSnapshot({ ...week, booking: { status: "OFFER" } }));
  assert.deepEqual(await calendar(tenant), []);
  await assert.rejects(statuses("{PENDING}"), /project_statuses/);
  await assert.rejects(statuses("{CONFIRMED,CANCELLED}"), /project_statuses/);
});
