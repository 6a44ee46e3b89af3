import assert from "node:assert/strict";
import type { SnapshotProduct } from "../../../supabase/functions/_shared/booking/snapshot.ts";
import {
  buildSnapshot,
  complete,
  days,
  products,
  reread,
  RIG_DAY,
} from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { decodeAnswer, eventflowBooking, foundAnswer } from "../../support/eventflow_answer.ts";
import { packedPieces } from "../../support/packing.ts";

const test = useDatabase();
const summerRig = "2027-06-10";

test("incident 9: a wall-clock time is stored as said and shifted once", async (db) => {
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

test("incident 9: equal instants in other words are no newer revision", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ source_updated_at: "2026-08-04T17:11:00Z" }));
  const mark = await db.mark();
  for (const same of ["2026-08-04T17:11:00.000Z", "2026-08-04T19:11:00+02:00"]) {
    await tenant.applyOne(buildSnapshot({ source_updated_at: same }));
    assert.deepEqual(await db.writtenSince(mark), {}, same);
  }
});

test("incident 10: a changed product keeps its row and what is packed of it", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const read = () =>
    db.query<{ id: number; item: number; quantity_packed: number }>(
      `select p.id, i.id as item, i.quantity_packed from public.booking_products p
       join public.packing_items i on i.booking_product_id = p.id
       where p.organization_id = $1 order by 1`,
      [tenant.id],
    );
  await tenant.asPlanner((sql) =>
    sql.query("update public.packing_items set quantity_packed = 1, packed_at = now()")
  );
  const before = await read();
  const changed = products(
    { external_id: "chair", name: "Stol, vit", quantity: 44, unit_price: 14 },
    { external_id: "tent", name: "Tält 6x12", quantity: 3, unit_price: 1200 },
  );
  assert.equal((await tenant.applyOne(buildSnapshot({ products: changed }))).verdict, "updated");
  assert.deepEqual(await read(), before);
});

test("incident 11: two products of one name stay two", async (db) => {
  const tenant = await db.tenant();
  const rows = [{ id: "a", name: "Stol", quantity: 10 }, { id: "b", name: "Stol", quantity: 7 }];
  const answer = foundAnswer(eventflowBooking({ products: rows }));
  await tenant.applyOne(decodeAnswer(tenant, answer));
  assert.deepEqual(await packedPieces(db, tenant), { a: 10, b: 7 });
});

test("incident 11: an edit of a price alone is seen", async (db) => {
  const tenant = await db.tenant();
  const priced = (unit_price: number) =>
    buildSnapshot({ products: products({ external_id: "a", name: "Stol", unit_price }) });
  await tenant.applyOne(priced(12));
  assert.deepEqual((await tenant.applyOne(priced(0))).changes, {
    booking_products: { created: 0, updated: 1, marked_missing: 0 },
  });
  assert.deepEqual(await tenant.select("booking_products", "unit_price"), [{ unit_price: 0 }]);
});

test("incident 12: component quantities are multiplied", async (db) => {
  const tenant = await db.tenant();
  const answer = foundAnswer(eventflowBooking({
    products: [
      {
        id: "package",
        name: "Paket Tält",
        quantity: 3,
        package_components: [
          { name: "Stolpe", quantity: 4, item_type_id: "pole" },
          { name: "Duk", quantity: 1, sku: "S-1" },
        ],
      },
      { id: "accessory", name: "↳ Vägg", quantity: 6 },
    ],
  }));
  await tenant.applyOne(decodeAnswer(tenant, answer));
  assert.deepEqual(
    await packedPieces(db, tenant),
    { "package#pole": 12, "package#S-1": 3, accessory: 6 },
  );
  const stored = await tenant.select(
    "booking_products",
    "quantity",
    "and external_id = 'package#pole'",
  );
  assert.deepEqual(stored, [{ quantity: 4 }], "the stored row is per unit of its parent");
});

/** A chain of packages within packages; each holds `quantity` of the next. */
function chain(...quantities: readonly number[]): SnapshotProduct[] {
  return quantities.map((quantity, level) => ({
    external_id: `level-${level}`,
    quantity,
    parent_external_id: level === 0 ? null : `level-${level - 1}`,
    is_package_component: level > 0,
  }));
}

for (const depth of [2, 3, 4, 5]) {
  test(`incident 12: packages within packages multiply ${depth} levels deep`, async (db) => {
    const tenant = await db.tenant();
    const items = chain(...[2, 3, 5, 7, 11].slice(0, depth));
    await tenant.applyOne(buildSnapshot({ products: products(...items) }));
    const expected = [2, 3, 5, 7, 11].slice(0, depth).reduce((all, each) => all * each, 1);
    assert.deepEqual(await packedPieces(db, tenant), { [`level-${depth - 1}`]: expected });
  });
}

test("incident 12: a changed package changes what is packed of its components", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ products: products(...chain(2, 3)) }));
  await tenant.applyOne(buildSnapshot({ products: products(...chain(4, 3)) }));
  assert.deepEqual(await packedPieces(db, tenant), { "level-1": 12 });
});

test("incident 12: a component whose package has gone counts alike, whatever was known before", async (db) => {
  const orphan = { ...chain(4, 3)[1], external_id: "orphan", parent_external_id: "level-0" };
  const alone = buildSnapshot({ products: complete(products(orphan)) });
  const [fresh, knowing] = [await db.tenant(), await db.tenant()];
  await fresh.applyOne(alone);
  await knowing.applyOne(buildSnapshot({ products: complete(products(...chain(4, 3))) }));
  await knowing.applyOne(reread(alone));
  assert.deepEqual(await packedPieces(db, knowing), await packedPieces(db, fresh));
});

test("incident 13: a product that left a complete list is marked, and stays so", async (db) => {
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

test("incident 13: what comes back to the list is there again, the same row", async (db) => {
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
