import assert from "node:assert/strict";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";
import { buildSnapshot, products, secondsAgo } from "../../support/booking_builder.ts";
import { only, type Tenant } from "../../support/tenant.ts";
import type { Snapshot } from "../../../supabase/functions/_shared/booking/snapshot.ts";

const test = useDatabase();

const chair = { external_id: "chair", name: "Stol", quantity: 40 };
const tent = { external_id: "tent", name: "Tält 6x9", quantity: 2 };

/** One reconcile run over these snapshots; returns its drift as "field cause repaired". */
async function reconcile(
  db: BookingDatabase,
  tenant: Tenant,
  snapshots: readonly Snapshot[],
  repair?: boolean,
): Promise<readonly string[]> {
  const run = only(
    await db.rpc<{ run_id: string; lease_token: string }>("begin_run", {
      organization_id: tenant.id,
      source: "eventflow",
      mode: "reconcile",
      parameters: repair === undefined ? {} : { repair },
    }),
  );
  const lease = { run_id: run.run_id, lease_token: run.lease_token };
  await db.rpc("checkpoint_run", { ...lease, checkpoint: {}, counters: {}, snapshots });
  await db.rpc("finish_run", { ...lease, status: "completed" });
  const rows = await db.rpc<{ field: string; cause: string; repaired_at: string | null }>(
    "list_drift",
    { run_id: run.run_id },
  );
  return rows.map(({ field, cause, repaired_at }) =>
    `${field} ${cause}${repaired_at === null ? "" : " repaired"}`
  ).sort();
}

const booking = async (tenant: Tenant) =>
  only(await tenant.select<{ title: string; status: string }>("bookings", "title, status"));

test("rule: it heals by itself: the nightly run applies what the source states, and says so", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60), source_version: 3 }));
  const stated = buildSnapshot({
    source_version: 4,
    booking: { status: "CANCELLED", title: "Ny titel" },
  });
  assert.deepEqual(await reconcile(db, tenant, [stated], false), [
    "bookings.status missed_webhook",
    "bookings.title missed_webhook",
  ]);
  assert.deepEqual(await booking(tenant), { title: "Sommarfest", status: "CONFIRMED" });
  assert.deepEqual(await reconcile(db, tenant, [{ ...stated, fetched_at: secondsAgo(0) }]), [
    "bookings.status missed_webhook repaired",
    "bookings.title missed_webhook repaired",
  ]);
  assert.deepEqual(await booking(tenant), { title: "Ny titel", status: "CANCELLED" });
});

test("rule: it heals by itself: a row that was changed by hand is mended though its hash is known", async (db) => {
  const tenant = await db.tenant();
  const snapshot = buildSnapshot({ fetched_at: secondsAgo(60), source_version: 3 });
  await tenant.applyOne(snapshot);
  await db.query("update public.bookings set title = 'Fel' where organization_id = $1", [
    tenant.id,
  ]);
  await reconcile(db, tenant, [{ ...snapshot, fetched_at: secondsAgo(0) }]);
  assert.equal((await booking(tenant)).title, "Sommarfest");
});

test("rule: it heals by itself: a list that lags undoes nothing, unless it was asked for", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(
    buildSnapshot({ fetched_at: secondsAgo(60), source_version: 5, booking: { title: "Ny" } }),
  );
  const lagging = () => buildSnapshot({ source_version: 4, booking: { title: "Gammal" } });
  assert.deepEqual(await reconcile(db, tenant, [lagging()]), ["bookings.title stale"]);
  assert.equal((await booking(tenant)).title, "Ny");
  assert.deepEqual(await reconcile(db, tenant, [lagging()], true), [
    "bookings.title stale repaired",
  ]);
  assert.equal((await booking(tenant)).title, "Gammal");
});

test("rule: it heals by itself: a cancellation that the run finds goes through the brake", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60), source_version: 1 }));
  const cancelled = buildSnapshot({ source_version: 2, booking: { status: "CANCELLED" } });
  assert.deepEqual(await reconcile(db, tenant, [cancelled]), ["bookings.status held"]);
  assert.equal((await booking(tenant)).status, "CONFIRMED");
  assert.deepEqual(await tenant.select("sync.held_changes", "kind"), [{ kind: "CANCELLED" }]);
});

test("rule: it heals by itself: what a run no longer lists is a first sighting, and no list of it shortens a wait", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(
    buildSnapshot({ fetched_at: secondsAgo(900), products: products(tent, chair) }),
  );
  for (const ago of [600, 300, 0]) {
    const without = buildSnapshot({ fetched_at: secondsAgo(ago), products: products(tent) });
    assert.deepEqual(await reconcile(db, tenant, [without]), [
      "booking_products[chair].source_doubted_since doubted",
    ]);
  }
  assert.deepEqual(
    await tenant.select(
      "booking_products",
      "external_id, source_missing_since as missing",
      "and external_id = 'chair'",
    ),
    [{ external_id: "chair", missing: null }],
  );
});

test("rule: it heals by itself: with repair every booking that is not listed is read alone", async (db) => {
  for (const [repair, reads] of [[undefined, 0], [true, 1]] as const) {
    const tenant = await db.tenant();
    await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60) }));
    assert.deepEqual(await reconcile(db, tenant, [], repair), ["bookings.* missing_at_source"]);
    assert.equal(
      (await tenant.select(
        "sync.deliveries d join sync.connections c on c.id = d.connection_id",
        "d.id",
        "and d.event_type = 'missing'",
      )).length,
      reads,
    );
  }
});

test("rule: it heals by itself: a booking that its source has cancelled and lists no longer is in agreement", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60) }));
  await tenant.applyOne(buildSnapshot({ booking: { status: "CANCELLED" } }));
  assert.deepEqual(await reconcile(db, tenant, []), []);
});
