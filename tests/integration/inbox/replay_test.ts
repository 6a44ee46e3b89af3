import assert from "node:assert/strict";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";
import { type DeliveryAnswer, only, type Tenant } from "../../support/tenant.ts";

const test = useDatabase();

test("replay_deliveries() counts what was sent to us, not its own replays", async (db) => {
  const tenant = await db.tenant();
  const { delivery_id, lease_token } = await tenant.receive("booking-1");
  await db.rpc("finish_delivery", { delivery_id, lease_token, status: "succeeded" });
  const window = { received_from: "2020-01-01", organization_id: tenant.id, count_only: false };
  for (let times = 0; times < 3; times++) {
    assert.deepEqual(await replay(db, window), { matched: 1, replayed: 1 });
  }
});

test("replay_deliveries() leaves dead deliveries alone that a replay has brought to an end", async (db) => {
  const tenant = await db.tenant();
  const order = { status: "dead", organization_id: tenant.id, count_only: false };
  await die(db, await tenant.receive("booking-1"));
  assert.equal(await deadNow(db, tenant), 1);

  assert.deepEqual(await replay(db, order), { matched: 1, replayed: 1 });
  assert.deepEqual([await deadNow(db, tenant), await replay(db, order)], [0, {
    matched: 0,
    replayed: 0,
  }]);
  // The replay dies too: the delivery is given up again, and can be replayed again.
  await die(db, await claim(db, tenant));
  assert.equal(await deadNow(db, tenant), 1);
  assert.deepEqual(await replay(db, order), { matched: 1, replayed: 1 });
  const { delivery_id, lease_token } = await claim(db, tenant);
  await db.rpc("finish_delivery", { delivery_id, lease_token, status: "succeeded" });
  assert.deepEqual([await deadNow(db, tenant), await replay(db, order)], [0, {
    matched: 0,
    replayed: 0,
  }]);
});

async function claim(db: BookingDatabase, tenant: Tenant): Promise<DeliveryAnswer> {
  const claimed = await db.rpc<DeliveryAnswer & { organization_id: string }>(
    "claim_deliveries",
    { max_deliveries: 100 },
  );
  return only(claimed.filter(({ organization_id }) => organization_id === tenant.id));
}

async function die(db: BookingDatabase, lease: DeliveryAnswer): Promise<void> {
  const { delivery_id, lease_token } = lease;
  const last_error = { code: "source_invalid", message: "It is not valid." };
  await db.rpc("finish_delivery", { delivery_id, lease_token, status: "dead", last_error });
}

async function replay(
  db: BookingDatabase,
  order: Readonly<Record<string, unknown>>,
): Promise<{ readonly matched: number; readonly replayed: number }> {
  const { matched, replayed } = only(await db.rpc("replay_deliveries", order));
  return { matched: Number(matched), replayed: Number(replayed) };
}

async function deadNow(db: BookingDatabase, tenant: Tenant): Promise<number> {
  const rows = await db.rpc("sync_status", {});
  const row = rows.find(({ organization_id, source }) =>
    organization_id === tenant.id && source === "eventflow"
  );
  return Number(row?.["dead"]);
}
