import assert from "node:assert/strict";
import { useDatabase } from "../../support/booking_database.ts";
import {
  attachments,
  buildPartialSnapshot,
  buildSnapshot,
  complete,
  dayFromNow,
  days,
  products,
  secondsAgo,
  type SnapshotFields,
} from "../../support/booking_builder.ts";
import { only, type Tenant } from "../../support/tenant.ts";

const test = useDatabase();

const [D1, D2, D3, D9] = [100, 101, 102, 109].map(dayFromNow) as [string, string, string, string];
const tent = { external_id: "tent", name: "Tält 6x9", quantity: 2 };
const chair = { external_id: "chair", name: "Stol", quantity: 40 };
const three = days(["event", D1], ["event", D2], ["event", D3]);
const first = days(["event", D1]);

/** A read that began so many seconds ago. */
function read(ago: number, fields: SnapshotFields = {}) {
  return buildSnapshot({ fetched_at: secondsAgo(ago), ...fields });
}

async function eventDays(tenant: Tenant) {
  const rows = await tenant.select<
    { day: string; missing: boolean; doubted: boolean }
  >(
    "booking_dates",
    "day::text as day, source_missing_since is not null as missing, source_doubted_since is not null as doubted",
    "and phase = 'event' order by day",
  );
  return rows.map((row) =>
    `${row.day}${row.missing ? " missing" : ""}${row.doubted ? " doubted" : ""}`
  );
}

async function calendar(tenant: Tenant) {
  return (await tenant.select<{ day: string }>(
    "calendar_events",
    "day::text as day",
    "and active and event_type = 'event' order by day",
  )).map((row) => row.day);
}

async function productStates(tenant: Tenant) {
  const rows = await tenant.select<{ key: string; missing: boolean; doubted: boolean }>(
    "booking_products",
    "external_id as key, source_missing_since is not null as missing, source_doubted_since is not null as doubted",
    "order by external_id",
  );
  return rows.map((row) =>
    `${row.key}${row.missing ? " missing" : ""}${row.doubted ? " doubted" : ""}`
  );
}

async function confirms(tenant: Tenant) {
  const rows = await tenant.select<{ seconds: number }>(
    "sync.deliveries d join sync.connections c on c.id = d.connection_id",
    "extract(epoch from d.next_attempt_at - now())::int as seconds",
    "and d.function = 'confirm' and d.status = 'pending'",
  );
  return rows.map((row) => row.seconds);
}

const packed = (tenant: Tenant) =>
  tenant.select<{ name: string }>(
    "packing_items",
    "(select p.external_id from public.booking_products p where p.id = booking_product_id) as name",
    "and active order by 1",
  );

test(`incident: a moved event on both days: a move is believed at once, and the first old row becomes the first new one`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(60, { dates: three }));
  const [before] = await tenant.select<{ id: number }>(
    "calendar_events",
    "id",
    `and event_type = 'event' and day = '${D1}'`,
  );
  await tenant.asPlanner((sql) =>
    sql.query(
      "update public.calendar_events set resource_id = 'team-a' where booking_id is not null",
    )
  );
  await tenant.applyOne(read(5, { dates: days(["event", D9]) }));
  assert.deepEqual(await eventDays(tenant), [
    `${D1} missing`,
    `${D2} missing`,
    `${D3} missing`,
    D9,
  ]);
  const active = await tenant.select<{ id: number; day: string; resource_id: string }>(
    "calendar_events",
    "id, day::text as day, resource_id",
    "and event_type = 'event' and active",
  );
  assert.deepEqual(active, [{ id: before!.id, day: D9, resource_id: "team-a" }]);
  const [delivery] = await tenant.select(
    "warehouse_events",
    "basis_day::text as day",
    "and event_type = 'event' and active",
  );
  assert.deepEqual(delivery, { day: D9 });
  assert.deepEqual(await confirms(tenant), []);
});

test(`rule: absence is not a statement: a shorter range is doubted, stays in force, and is read again in two minutes`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(60, { dates: three }));
  const verdict = await tenant.applyOne(read(5, { dates: first }));
  assert.equal(verdict.verdict, "updated");
  assert.deepEqual(await eventDays(tenant), [D1, `${D2} doubted`, `${D3} doubted`]);
  assert.deepEqual(await calendar(tenant), [D1, D2, D3]);
  const [seconds] = await confirms(tenant);
  assert.ok(seconds! > 100 && seconds! <= 115, `${seconds}`);
});

test(`rule: absence is not a statement: a range that flickers to its first day and back changes no active row`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(60, { dates: three }));
  const before = await tenant.select(
    "calendar_events",
    "id, day, active, updated_at",
    "order by id",
  );
  await tenant.applyOne(read(30, { dates: first }));
  await tenant.applyOne(read(5, { dates: three }));
  assert.deepEqual(await eventDays(tenant), [D1, D2, D3]);
  assert.deepEqual(
    await tenant.select("calendar_events", "id, day, active, updated_at", "order by id"),
    before,
  );
  assert.deepEqual(await confirms(tenant), []);
  assert.deepEqual(await tenant.select("sync.doubts", "item_id"), []);
});

test(`rule: absence is not a statement: a range that was shifted and flickers to its new first day is doubted, not moved`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(90, { dates: three }));
  const [E1, E2, E3] = [110, 111, 112].map(dayFromNow) as [string, string, string];
  await tenant.applyOne(read(60, { dates: days(["event", E1], ["event", E2], ["event", E3]) }));
  const before = await tenant.select("calendar_events", "id, day, active", "order by id");
  await tenant.applyOne(read(30, { dates: days(["event", E1]) }));
  assert.deepEqual(await calendar(tenant), [E1, E2, E3]);
  await tenant.applyOne(read(5, { dates: days(["event", E1], ["event", E2], ["event", E3]) }));
  assert.deepEqual(
    await tenant.select("calendar_events", "id, day, active", "order by id"),
    before,
  );
});

test(`incident: a moved event on both days: a removed product is doubted at once, and off the list after the confirming read`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(300, { products: products(tent, chair) }));
  await tenant.applyOne(read(200, { products: products(tent) }));
  assert.deepEqual(await productStates(tenant), ["chair doubted", "tent"]);
  assert.deepEqual(await packed(tenant), [{ name: "chair" }, { name: "tent" }]);
  // Equal to the first sighting, and still counted.
  await tenant.applyOne(read(60, { products: products(tent) }));
  assert.deepEqual(await productStates(tenant), ["chair missing", "tent"]);
  assert.deepEqual(await packed(tenant), [{ name: "tent" }]);
  const lines = (await db.rpc<{ summary: string }>("explain_booking", {
    booking_id: only(await tenant.select<{ id: number }>("bookings", "id")).id,
  })).map((line) => line.summary);
  assert.ok(
    lines.some((line) =>
      line.includes(
        "the product chair is no longer listed by the source, which is not believed yet",
      )
    ),
    lines.join("\n"),
  );
  assert.ok(
    lines.some((line) => /the product chair is no longer listed by the source\./.test(line)),
    lines.join("\n"),
  );
});

test(`rule: absence is not a statement: a read before the wait is over neither confirms nor shortens it`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(300, { products: products(tent, chair) }));
  await tenant.applyOne(read(100, { products: products(tent) }));
  await tenant.applyOne(read(50, { products: products(tent) }));
  assert.deepEqual(await productStates(tenant), ["chair doubted", "tent"]);
  assert.equal((await confirms(tenant)).length, 1);
  assert.deepEqual(await tenant.select("sync.doubts", "reads"), [{ reads: 1 }]);
});

test(`rule: absence is not a statement: a page of a run is a first sighting and never a confirming one`, async (db) => {
  const tenant = await db.tenant();
  const [run] = await db.rpc<{ run_id: string }>("begin_run", {
    organization_id: tenant.id,
    source: "eventflow",
    mode: "full",
  });
  await tenant.applyOne(read(600, { products: products(tent, chair) }));
  await tenant.applyOne(read(500, { products: products(tent) }), { run_id: run!.run_id });
  await tenant.applyOne(read(100, { products: products(tent), booking: { title: "x" } }), {
    run_id: run!.run_id,
  });
  assert.deepEqual(await productStates(tenant), ["chair doubted", "tent"]);
  await tenant.applyOne(read(50, { products: products(tent), booking: { title: "x" } }));
  assert.deepEqual(await productStates(tenant), ["chair missing", "tent"]);
});

test(`rule: absence is not a statement: days without a new revision take three reads over fifteen minutes`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(3_000, { dates: three }));
  await tenant.applyOne(read(2_000, { dates: first }));
  await tenant.applyOne(read(1_800, { dates: first }));
  assert.deepEqual(await eventDays(tenant), [D1, `${D2} doubted`, `${D3} doubted`]);
  await tenant.applyOne(read(1_200, { dates: first }));
  assert.deepEqual(await eventDays(tenant), [D1, `${D2} doubted`, `${D3} doubted`], "13 minutes");
  await tenant.applyOne(read(1_000, { dates: first }));
  assert.deepEqual(await eventDays(tenant), [D1, `${D2} missing`, `${D3} missing`]);
  assert.deepEqual(await calendar(tenant), [D1]);
});

test(`rule: absence is not a statement: days with a new revision take two reads`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(3_000, { dates: three, source_version: 1 }));
  await tenant.applyOne(read(2_000, { dates: first, source_version: 2 }));
  await tenant.applyOne(read(1_800, { dates: first, source_version: 2 }));
  assert.deepEqual(await eventDays(tenant), [D1, `${D2} missing`, `${D3} missing`]);
});

test(`rule: absence is not a statement: an empty list is never believed alone; a person accepts it`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(9_000, { products: products(tent, chair) }));
  for (const ago of [8_000, 7_000, 6_000, 5_000]) {
    await tenant.applyOne(read(ago, { products: products() }));
  }
  assert.deepEqual(await productStates(tenant), ["chair doubted", "tent doubted"]);
  assert.deepEqual(await packed(tenant), [{ name: "chair" }, { name: "tent" }]);
  assert.deepEqual(await confirms(tenant), []);
  const { id } = only(await tenant.select<{ id: number }>("bookings", "id"));
  const [accepted] = await db.rpc("accept_absence", {
    booking_id: id,
    collection: "products",
    by: "op@example.test",
  });
  assert.deepEqual(accepted, { accept_absence: 2 });
  assert.deepEqual(await productStates(tenant), ["chair missing", "tent missing"]);
  assert.deepEqual(await packed(tenant), []);
});

test(`rule: absence is not a statement: what a person dismisses is asked again only after it was listed once more`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(9_000, { products: products(tent, chair) }));
  await tenant.applyOne(read(8_000, { products: products(tent) }));
  const { id } = only(await tenant.select<{ id: number }>("bookings", "id"));
  await db.rpc("dismiss_absence", { booking_id: id, collection: "products", by: "op" });
  assert.deepEqual(await productStates(tenant), ["chair", "tent"]);
  assert.deepEqual(await confirms(tenant), []);
  await tenant.applyOne(read(7_000, { products: products(tent) }));
  await tenant.applyOne(read(6_000, { products: products(tent) }));
  assert.deepEqual(await productStates(tenant), ["chair", "tent"]);
  await tenant.applyOne(read(5_000, { products: products(tent, chair) }));
  await tenant.applyOne(read(4_000, { products: products(tent) }));
  assert.deepEqual(await productStates(tenant), ["chair doubted", "tent"]);
});

test(`rule: absence is not a statement: a flag decides at once, and a flag that says no decides nothing`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(300, { products: products(tent, chair) }));
  await tenant.applyOne(read(200, { products: { ...products(tent), complete: false } }));
  assert.deepEqual(await productStates(tenant), ["chair", "tent"]);
  await tenant.applyOne(read(100, { products: complete(products(tent)) }));
  assert.deepEqual(await productStates(tenant), ["chair missing", "tent"]);
  await tenant.applyOne(read(50, { products: products(tent, chair) }));
  assert.deepEqual(await productStates(tenant), ["chair", "tent"]);
});

test(`rule: absence is not a statement: nothing follows from a list that is not stated wholly`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(300, { products: products(tent, chair), dates: three }));
  await tenant.applyOne(read(200, {
    products: { ...products(tent), complete: true, stated: false },
    dates: { ...first, complete: true, stated: ["rig"] },
    attachments: { ...attachments(), complete: true, stated: [] },
  }));
  assert.deepEqual(await productStates(tenant), ["chair", "tent"]);
  assert.deepEqual(await eventDays(tenant), [D1, D2, D3]);
  assert.deepEqual(
    await tenant.select(
      "booking_attachments",
      "id",
      "and (source_doubted_since is not null or source_missing_since is not null)",
    ),
    [],
  );
});

test(`rule: absence is not a statement: more than 25 rows and more than half of a collection wait for a person`, async (db) => {
  const tenant = await db.tenant();
  const many = Array.from(
    { length: 40 },
    (_, index) => ({ external_id: `p${index}`, name: "Stol", quantity: 1 }),
  );
  await tenant.applyOne(read(900, { products: products(...many) }));
  await tenant.applyOne(read(800, { products: products(...many.slice(0, 5)) }));
  await tenant.applyOne(
    read(500, { products: products(...many.slice(0, 5)), booking: { title: "Ny" } }),
  );
  const states = await productStates(tenant);
  assert.equal(states.filter((state) => state.endsWith("doubted")).length, 35);
  assert.deepEqual(await tenant.select("bookings", "title"), [{ title: "Ny" }], "the rest applies");
  const [hold] = await tenant.select<{ id: number; kind: string; items: number }>(
    "sync.held_changes",
    "id, kind, jsonb_array_length(snapshot -> 'items') as items",
    "and released_at is null and dismissed_at is null",
  );
  assert.deepEqual([hold!.kind, hold!.items], ["products", 35]);
  assert.deepEqual(await confirms(tenant), [], "only a person decides");
  await db.rpc("release_held_changes", { held_change_ids: `{${hold!.id}}`, by: "op" });
  assert.equal(
    (await productStates(tenant)).filter((state) => state.endsWith("missing")).length,
    35,
  );
});

test(`rule: absence is not a statement: a held move changes no day`, async (db) => {
  const tenant = await db.tenant();
  await db.query("update sync.connections set absence_budget = 2 where organization_id = $1", [
    tenant.id,
  ]);
  await tenant.applyOne(read(900, { dates: three }));
  await tenant.applyOne(read(800, { dates: days(["event", D9]), booking: { title: "Ny" } }));
  assert.deepEqual(await calendar(tenant), [D1, D2, D3]);
  assert.deepEqual(await eventDays(tenant), [`${D1} doubted`, `${D2} doubted`, `${D3} doubted`]);
  assert.deepEqual(await tenant.select("bookings", "title"), [{ title: "Ny" }]);
});

test(`rule: absence is not a statement: confirming reads wait for webhooks, spend no attempt and are never dead`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(900, { products: products(tent, chair) }));
  await tenant.applyOne(read(800, { products: products(tent) }));
  await db.query(
    `update sync.deliveries d set next_attempt_at = now() - interval '1 second'
     from sync.connections c where c.id = d.connection_id and c.organization_id = $1 and d.function = 'confirm'`,
    [tenant.id],
  );
  await tenant.receive("another", { claim: false });
  const claim = async () =>
    (await db.rpc<
      { delivery_id: string; function: string; lease_token: string; organization_id: string }
    >(
      "claim_deliveries",
      { max_deliveries: 1000 },
    )).filter((row) => row.organization_id === tenant.id);
  assert.deepEqual((await claim()).map((row) => row.function), ["receive-booking"]);
  const claimed = only(await claim());
  assert.equal(claimed.function, "confirm");
  const [ended] = await db.rpc<{ status: string }>("finish_delivery", {
    delivery_id: claimed.delivery_id,
    lease_token: claimed.lease_token,
    status: "dead",
    last_error: { code: "source_contradiction", message: "m" },
  });
  assert.equal(ended!.status, "pending");
  assert.equal((await confirms(tenant)).length, 1);
});

test(`rule: absence is not a statement: what was dismissed can be accepted after all`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(9_000, { products: products(tent, chair) }));
  await tenant.applyOne(read(8_000, { products: products(tent) }));
  const { id } = only(await tenant.select<{ id: number }>("bookings", "id"));
  const decision = { booking_id: id, collection: "products", by: "op" };
  await db.rpc("dismiss_absence", decision);
  assert.deepEqual(await productStates(tenant), ["chair", "tent"]);
  assert.deepEqual(await db.rpc("accept_absence", decision), [{ accept_absence: 1 }]);
  assert.deepEqual(await productStates(tenant), ["chair missing", "tent"]);
});

test(`rule: absence is not a statement: of a cancelled or deleted booking nothing is confirmed any more`, async (db) => {
  for (const end of [{ booking: { status: "CANCELLED" } }, { deleted: true }] as const) {
    const tenant = await db.tenant();
    await tenant.applyOne(read(900, { products: products(tent, chair) }));
    await tenant.applyOne(read(600, { products: products(tent) }));
    assert.equal((await confirms(tenant)).length, 1);
    await tenant.applyOne(buildPartialSnapshot({ fetched_at: secondsAgo(60), ...end }));
    assert.deepEqual(await confirms(tenant), []);
    assert.deepEqual(await productStates(tenant), ["chair doubted", "tent"]);
  }
});
