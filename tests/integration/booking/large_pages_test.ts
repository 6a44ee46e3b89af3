import assert from "node:assert/strict";
import { buildSnapshot, complete, products } from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { fullScale } from "../../support/scale.ts";

const test = useDatabase();

function rows(count: number, change = 0) {
  return complete(products(...Array.from({ length: count }, (_, index) => ({
    external_id: `row-${index}`,
    name: `Rad ${index}`,
    quantity: index + change,
    unit_price: index / 4,
    sort_index: index,
    ...(index % 10 === 0
      ? {}
      : { parent_external_id: `row-${index - index % 10}`, is_package_component: index % 10 < 5 }),
  }))));
}

test("apply_snapshots() names one bad booking of 500, and the other 499 land", async (db) => {
  const tenant = await db.tenant();
  const page = Array.from({ length: 500 }, (_, index) =>
    buildSnapshot({
      external_id: `b-${index}`,
      products: products({ external_id: "p", quantity: index === 137 ? "x" as never : index }),
    }));
  const verdicts = await tenant.apply(page);
  assert.equal(verdicts.length, 500);
  const bad = verdicts.filter(({ verdict }) => verdict !== "created");
  assert.deepEqual(
    bad.map(({ external_id, verdict, error }) => [external_id, verdict, error?.field]),
    [
      ["b-137", "invalid", "products.items[0].quantity"],
    ],
  );
  assert.deepEqual(verdicts.map(({ external_id }) => external_id), page.map((s) => s.external_id));
  const stored = await tenant.select("bookings", "count(*)::integer as bookings");
  assert.deepEqual(stored, [{ bookings: 499 }]);
});

const bookings = fullScale ? 500 : 100;

test(`apply_snapshots() takes ${bookings} bookings of 300 products in one call`, async (db) => {
  const tenant = await db.tenant();
  const list = rows(300);
  const page = Array.from(
    { length: bookings },
    (_, index) =>
      buildSnapshot({ external_id: `b-${index}`, products: list, booking: { status: "OFFER" } }),
  );
  const began = performance.now();
  const verdicts = await tenant.apply(page);
  assert.ok(verdicts.every(({ verdict }) => verdict === "created"));
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds < 60, `it took ${seconds.toFixed(1)} s`);
  const stored = await tenant.select("booking_products", "count(*)::integer as n");
  assert.deepEqual(stored, [{ n: bookings * 300 }]);
});

test("apply_snapshots() takes one booking of 5,000 products, and its change", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ products: rows(5_000) }));
  const { changes } = await tenant.applyOne(buildSnapshot({ products: rows(5_000, 1) }));
  assert.deepEqual(changes.booking_products, { created: 0, updated: 5_000, marked_missing: 0 });
  const packed = await db.query(
    `select i.quantity_to_pack from public.packing_items i
     join public.booking_products p on p.id = i.booking_product_id
     where i.organization_id = $1 and p.external_id = 'row-4992' and i.active`,
    [tenant.id],
  );
  assert.deepEqual(packed, [{ quantity_to_pack: 4993 * 4991 }]);
  const mark = await db.mark();
  assert.equal(
    (await tenant.applyOne(buildSnapshot({ products: rows(5_000, 1) }))).verdict,
    "unchanged",
  );
  assert.deepEqual(await db.writtenSince(mark), {});
});

test("apply_snapshots() takes an empty page", async (db) => {
  const tenant = await db.tenant();
  assert.deepEqual(await tenant.apply([]), []);
});
