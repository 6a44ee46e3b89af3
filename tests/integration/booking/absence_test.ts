import { SourceError } from "../../../supabase/functions/_shared/source/source_error.ts";
import {
  addDays,
  buildPartialSnapshot,
  buildSnapshot,
  complete,
  days,
  EVENT_DAY,
  products,
  reread,
  RIG_DAY,
  secondsAgo,
} from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import {
  decodeAnswer,
  decodePage,
  eventflowBooking,
  foundAnswer,
} from "../../support/eventflow_answer.ts";
import { packedPieces } from "../../support/packing.ts";
import { only } from "../../support/tenant.ts";
import assert from "node:assert/strict";

const test = useDatabase();

test("rule: absence is not a statement: what is not said changes nothing, what is empty deletes nothing", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const { changes } = await tenant.applyOne(buildPartialSnapshot({
    dates: { complete: false, items: [] },
    products: { complete: false, items: [] },
    attachments: { complete: false, items: [] },
  }));
  assert.deepEqual(changes, {});
});

test("rule: absence is not a statement: an empty list that is said to be whole marks, and deletes nothing", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const before = await tenant.select("booking_products", "id, quantity", "order by id");
  await tenant.applyOne(buildSnapshot({ products: complete(products()) }));
  assert.deepEqual(await tenant.select("booking_products", "id, quantity", "order by id"), before);
  const marked = await tenant.select("booking_products", "id", "and source_missing_since is null");
  assert.deepEqual(marked, []);
});

const ids = Array.from({ length: 80 }, (_, index) => `booking-${index + 1}`);

test("incident: changed shape read as cancelled: an answer of another shape cancels nothing", async (db) => {
  const tenant = await db.tenant();
  await tenant.apply(ids.map((external_id) => buildSnapshot({ external_id })));
  const mark = await db.mark();
  for (const externalId of ids) {
    const shape = { success: true, mode: "single", result: { booking: { id: externalId } } };
    assert.throws(() => decodeAnswer(tenant, shape, externalId), SourceError);
  }
  assert.deepEqual(await db.writtenSince(mark), {}, "an unknown shape wrote rows");
});

test("incident: a moment of zero rows: zero rows for a moment leave a confirmed booking as it is", async (db) => {
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

test("incident: a moment without products: an empty product list wipes neither products nor packing", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(decodeAnswer(tenant, foundAnswer(eventflowBooking())));
  const empty = foundAnswer(eventflowBooking({ products: [], attachments: [] }));
  const verdict = await tenant.applyOne(decodeAnswer(tenant, empty));
  // Doubted for a person to see, and in force.
  assert.deepEqual(verdict.changes.booking_products, { created: 0, updated: 2, marked_missing: 0 });
  const rows = await db.query(
    `select p.external_id, p.source_doubted_since is not null as doubted, p.source_missing_since,
       i.active, i.quantity_to_pack
     from public.booking_products p join public.packing_items i on i.booking_product_id = p.id
     where p.organization_id = $1 order by 1`,
    [tenant.id],
  );
  assert.deepEqual(rows, [
    {
      external_id: "chair",
      doubted: true,
      source_missing_since: null,
      active: true,
      quantity_to_pack: 40,
    },
    {
      external_id: "tent",
      doubted: true,
      source_missing_since: null,
      active: true,
      quantity_to_pack: 2,
    },
  ]);
});

test("incident: removed products never left: a product that left a complete list is marked, and stays so", async (db) => {
  const tenant = await db.tenant();
  const tent = { external_id: "tent", quantity: 2 };
  await tenant.applyOne(buildSnapshot());
  // Without the flag its absence says nothing; with it the same list is another statement.
  await tenant.applyOne(buildSnapshot({ products: products(tent) }));
  assert.deepEqual(await missing(), []);
  const whole = buildSnapshot({ products: complete(products(tent)) });
  const { changes } = await tenant.applyOne(whole);
  assert.equal(changes.booking_products.marked_missing, 1);
  assert.deepEqual(await missing(), [{ external_id: "chair" }]);
  assert.deepEqual(await packedPieces(db, tenant), { tent: 2 });
  const mark = await db.mark();
  assert.equal((await tenant.applyOne(whole)).verdict, "unchanged");
  assert.deepEqual(await db.writtenSince(mark), {});
  assert.deepEqual(await missing(), [{ external_id: "chair" }]);

  function missing() {
    return tenant.select(
      "booking_products",
      "external_id",
      "and source_missing_since is not null",
    );
  }
});

test("incident: removed products never left: what comes back to the list is there again, the same row", async (db) => {
  const tenant = await db.tenant();
  const dates = complete(days(["rig", RIG_DAY], ["event", RIG_DAY]));
  const whole = buildSnapshot({ dates, products: complete(buildSnapshot().products!) });
  await tenant.applyOne(whole);
  const ids = await tenant.select("booking_products", "id, external_id", "order by id");
  const tables = ["booking_dates", "booking_products"];
  await tenant.applyOne(buildSnapshot({
    dates: complete(days(["rig", RIG_DAY])),
    products: complete(products({ external_id: "tent", quantity: 2 })),
  }));
  for (const table of tables) assert.equal(await marks(table), 1, table);
  await tenant.applyOne(reread(whole));
  for (const table of tables) assert.equal(await marks(table), 0, table);
  assert.deepEqual(await tenant.select("booking_products", "id, external_id", "order by id"), ids);
  assert.deepEqual(await packedPieces(db, tenant), { chair: 40, tent: 2 });
  const [entry] = await tenant.select<{ changes: Record<string, unknown[]> }>(
    "booking_history",
    "changes",
    "order by id desc limit 1",
  );
  assert.equal(entry?.changes["booking_products[chair].source_missing_since"]?.[1], null);

  async function marks(table: string): Promise<number> {
    const rows = await tenant.select(table, "id", "and source_missing_since is not null");
    return rows.length;
  }
});

test("incident: a partial payload changed the status: a partial payload changes only what it says", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(decodeAnswer(tenant, foundAnswer(eventflowBooking())));
  const read = () => tenant.select("bookings", "status::text, source_notes, client_name, title");
  const before = only(await read());
  const partial = foundAnswer({ id: "booking-1", title: "Bara titeln" });
  const { changes } = await tenant.applyOne(decodeAnswer(tenant, partial));
  assert.deepEqual(only(await read()), { ...before, title: "Bara titeln" });
  assert.deepEqual(changes.bookings, { created: 0, updated: 1, marked_missing: 0 });
  const active = await tenant.select("calendar_events", "title", "and active");
  assert.equal(active.length, 3);
});

test("incident: a partial payload changed the status: three things in every field: absent keeps, null clears, a value sets", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ dates: days(["rig", RIG_DAY, "08:00:00", "09:00:00"]) }));
  await tenant.applyOne(buildPartialSnapshot({
    booking: { source_notes: null, title: "", contact_name: "Ny" },
    dates: days(["rig", RIG_DAY, null]),
    products: { complete: false, items: [{ external_id: "tent", unit_price: null, sku: "T-1" }] },
    attachments: { complete: false, items: [{ url: "u:a", url_key: "u:a", file_name: null }] },
  }));
  assert.deepEqual(
    await tenant.select("bookings", "source_notes, title, contact_name, client_name, status::text"),
    [{
      source_notes: null,
      title: "",
      contact_name: "Ny",
      client_name: "Malmö Stad",
      status: "CONFIRMED",
    }],
  );
  assert.deepEqual(await tenant.select("booking_dates", "start_time::text, end_time::text"), [
    { start_time: null, end_time: "09:00:00" },
  ]);
  assert.deepEqual(
    await tenant.select(
      "booking_products",
      "name, quantity, unit_price, sku, vat_rate",
      "order by id",
    ),
    [
      { name: "Tält 6x9", quantity: 2, unit_price: null, sku: "T-1", vat_rate: 25 },
      { name: "Stol", quantity: 40, unit_price: 12, sku: null, vat_rate: 25 },
    ],
  );
});

test("incident: a partial payload changed the status: an absent list, and a day left out of one that is not whole, say nothing", async (db) => {
  const tenant = await db.tenant();
  const range = days(["event", EVENT_DAY], ["event", addDays(EVENT_DAY, 1)]);
  await tenant.applyOne(buildSnapshot({ dates: complete(range) }));
  const read = () => tenant.select("booking_dates", "id, day::text, source_missing_since");
  const before = await read();
  await tenant.applyOne(buildSnapshot({ dates: undefined, products: undefined }));
  await tenant.applyOne(buildSnapshot({ dates: days(["event", EVENT_DAY]) }));
  assert.deepEqual(await read(), before);
});

test("incident: a failed source emptied the destination: a source that lists nothing empties nothing", async (db) => {
  const tenant = await db.tenant();
  await tenant.apply(
    ["a", "b"].map((external_id) => buildSnapshot({ external_id, fetched_at: secondsAgo(60) })),
  );
  assert.throws(() => decodeAnswer(tenant, "<!doctype html><h1>Logga in</h1>"), SourceError);
  const domain = () =>
    db.query(
      `select to_jsonb(b) - array['updated_at'] as row from public.bookings b
       where organization_id = $1 order by id`,
      [tenant.id],
    );
  const before = await domain();
  for (let night = 0; night < 3; night++) {
    const run = only(
      await db.rpc("begin_run", {
        organization_id: tenant.id,
        source: "eventflow",
        mode: "reconcile",
        parameters: { repair: true },
      }),
    );
    const lease = { run_id: run.run_id, lease_token: run.lease_token };
    await db.rpc("checkpoint_run", {
      ...lease,
      checkpoint: {},
      counters: {},
      snapshots: decodePage(tenant, []).snapshots,
    });
    await db.rpc("finish_run", { ...lease, status: "completed" });
    const drift = await db.rpc("list_drift", { run_id: run.run_id });
    assert.deepEqual(drift.map(({ cause }) => cause), ["missing_at_source", "missing_at_source"]);
  }
  assert.deepEqual(await domain(), before);
});
