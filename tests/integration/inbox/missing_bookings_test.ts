import assert from "node:assert/strict";
import { buildSnapshot, reread } from "../../support/booking_builder.ts";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";
import { type DeliveryAnswer, only, type Tenant } from "../../support/tenant.ts";

const test = useDatabase();
const SNAPSHOT = buildSnapshot();
const NOT_FOUND = { status: "succeeded", result: { outcome: "not_found" } } as const;

test("finish_delivery() marks a booking missing that two lists and a read of it have not had", async (db) => {
  const tenant = await db.tenant();
  const asked = await loseTwice(db, tenant);
  await db.rpc("finish_delivery", { ...asked, ...NOT_FOUND });
  assert.equal(await isMissing(tenant), true);
});

test("apply_snapshots() finds a missing booking again, though its content is the same", async (db) => {
  const tenant = await db.tenant();
  await db.rpc("finish_delivery", { ...await loseTwice(db, tenant), ...NOT_FOUND });
  const { verdict, changes } = await tenant.applyOne(reread(SNAPSHOT));
  assert.deepEqual([verdict, Object.keys(changes)], ["updated", ["bookings"]]);
  assert.equal(await isMissing(tenant), false);
  assert.equal((await tenant.applyOne(reread(SNAPSHOT))).verdict, "unchanged");
});

test("finish_delivery() believes no absence that is older than a statement", async (db) => {
  const tenant = await db.tenant();
  const asked = await loseTwice(db, tenant);
  await tenant.applyOne(buildSnapshot({ booking: { title: "Höstfest" } }));
  await db.rpc("finish_delivery", { ...asked, ...NOT_FOUND });
  assert.equal(await isMissing(tenant), false);
});

test("finish_delivery() takes the answer to another delivery for that to the question", async (db) => {
  const tenant = await db.tenant();
  await loseTwice(db, tenant, { claim: false });
  // A webhook comes first, and its read covers what was asked before.
  const webhook = await tenant.receive("booking-1");
  assert.equal(webhook.outcome, "claimed");
  await db.rpc("finish_delivery", { ...leaseOf(webhook), ...NOT_FOUND });
  assert.equal(await isMissing(tenant), true);
  assert.deepEqual(await db.rpc("claim_deliveries", {}), []);
});

test("apply_snapshots() takes a booking that is listed unchanged for seen", async (db) => {
  const tenant = await db.tenant();
  const asked = await loseTwice(db, tenant);
  assert.equal((await tenant.applyOne(reread(SNAPSHOT))).verdict, "unchanged");
  await db.rpc("finish_delivery", { ...asked, ...NOT_FOUND });
  assert.equal(await isMissing(tenant), false);
  // And when it goes later, it is asked for again.
  await db.rpc("finish_delivery", { ...await loseTwice(db, tenant), ...NOT_FOUND });
  assert.equal(await isMissing(tenant), true);
});

/** Stores the booking, and has two complete reconcile runs not see it; it is then asked for alone. */
async function loseTwice(
  db: BookingDatabase,
  tenant: Tenant,
  { claim = true } = {},
): Promise<ReturnType<typeof leaseOf>> {
  await tenant.applyOne(SNAPSHOT);
  const mode = { organization_id: tenant.id, source: "eventflow", mode: "reconcile" };
  for (let run = 1; run <= 2; run++) {
    const { run_id, lease_token } = only(await db.rpc("begin_run", { ...mode, parameters: {} }));
    const lease = { run_id, lease_token };
    await db.rpc("checkpoint_run", { ...lease, checkpoint: {}, counters: {}, snapshots: [] });
    await db.rpc("finish_run", { ...lease, status: "completed" });
  }
  if (!claim) return { delivery_id: "", lease_token: null };
  return leaseOf(only(await db.rpc<DeliveryAnswer>("claim_deliveries", {})));
}

function leaseOf({ delivery_id, lease_token }: DeliveryAnswer) {
  return { delivery_id, lease_token };
}

async function isMissing(tenant: Tenant): Promise<boolean> {
  const rows = await tenant.select<{ missing: boolean }>(
    "bookings",
    "source_missing_since is not null as missing",
  );
  return only(rows).missing;
}
