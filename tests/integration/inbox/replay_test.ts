import assert from "node:assert/strict";
import { type BookingDatabase, pgArray, useDatabase } from "../../support/booking_database.ts";
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

test("replay_deliveries() takes the replay of a replay for one of the delivery itself", async (db) => {
  const tenant = await db.tenant();
  const first = await tenant.receive("booking-1");
  await die(db, first);
  await replay(db, { delivery_ids: pgArray([first.delivery_id]), count_only: false });
  const second = await claim(db, tenant);
  await die(db, second);
  await replay(db, { delivery_ids: pgArray([second.delivery_id]), count_only: false });
  const { delivery_id, lease_token } = await claim(db, tenant);
  await db.rpc("finish_delivery", { delivery_id, lease_token, status: "succeeded" });
  assert.equal(await deadNow(db, tenant), 0);
});

test("replay_deliveries() and pause_connection() refuse what there is not", async (db) => {
  const tenant = await db.tenant();
  await assert.rejects(db.rpc("replay_deliveries", { status: "ded" }), {
    message: /ded is not a status of deliveries/,
  });
  const nowhere = { organization_id: crypto.randomUUID(), source: "eventflow" };
  await assert.rejects(db.rpc("pause_connection", { ...nowhere, reason: "x" }), { code: "P0002" });
  await assert.rejects(db.rpc("resume_connection", nowhere), { code: "P0002" });
  const here = { organization_id: tenant.id, source: "eventflow" };
  await db.rpc("pause_connection", { ...here, reason: "maintenance" });
  await db.rpc("resume_connection", here);
});

test("sync_status() counts what was sent to us, whatever came of it", async (db) => {
  const tenant = await db.tenant();
  await tenant.receive("booking-1");
  await tenant.receive("booking-1", { status: "invalid" });
  await replay(db, { organization_id: tenant.id, status: "invalid", count_only: false });
  await db.query(
    "update sync.connections set last_delivery_at = now() - interval '1 day' where organization_id = $1",
    [tenant.id],
  );
  const rows = await db.rpc("sync_status", {});
  const row = rows.find(({ organization_id, source }) =>
    organization_id === tenant.id && source === "eventflow"
  );
  assert.equal(Number(row?.["deliveries_last_hour"]), 2);
  assert.ok(Date.now() - Date.parse(String(row?.["last_delivery_at"])) < 60_000);
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
