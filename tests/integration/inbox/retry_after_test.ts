import assert from "node:assert/strict";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";
import { type DeliveryAnswer, only, type Tenant } from "../../support/tenant.ts";

const test = useDatabase();

interface State {
  readonly status: string;
  readonly attempts: number;
  readonly waits: number;
  /** Seconds from now. */
  readonly due: number | null;
}

test("finish_delivery() gives nothing up because a source asks to wait, however often", async (db) => {
  const tenant = await db.tenant();
  let lease: Lease = await tenant.receive("booking-1");
  for (let attempt = 1; attempt <= 30; attempt++) {
    const { status } = await giveBack(db, lease, 1_000);
    assert.equal(status, "pending", `attempt ${attempt}`);
    lease = await claimNow(db, tenant);
  }
  const state = await stateOf(db, lease.delivery_id);
  assert.deepEqual([state.attempts, state.waits], [31, 30]);
  // Its own failures go on where they were: all eight waits are still to come.
  assert.ok(Math.abs((await giveBack(db, lease)).due! - 10) <= 2.5);
});

test("finish_delivery() gives up in the end what a source has asked to wait for a day", async (db) => {
  const tenant = await db.tenant();
  let lease: Lease = await tenant.receive("booking-1");
  await db.query(
    "update sync.deliveries set received_at = now() - interval '25 hours' where id = $1",
    [lease.delivery_id],
  );
  const waits: number[] = [];
  for (;;) {
    const { status, due } = await giveBack(db, lease, 1_000);
    if (status === "dead") break;
    waits.push(due!);
    assert.ok(waits.length < 20, "it is tried for ever");
    lease = await claimNow(db, tenant);
  }
  // What may have waited for a paused connection is not given up within seconds either.
  assert.equal(waits.length, 8);
  assert.ok(waits.every((wait, index) => wait > (waits[index - 1] ?? 7)), `${waits}`);
});

test("finish_delivery() has the whole booking wait for as long as the source asked", async (db) => {
  const tenant = await db.tenant();
  const first = await tenant.receive("booking-1");
  const second = await tenant.receive("booking-1");
  assert.equal(second.reason, "busy");
  await giveBack(db, first, 3_600_000);
  for (const { delivery_id } of [first, second]) {
    assert.ok((await stateOf(db, delivery_id)).due! > 3_500, "it is due before its time");
  }
  assert.deepEqual(await db.rpc("claim_deliveries", {}), []);
});

test("finish_delivery() brings nothing forward that was put off", async (db) => {
  const tenant = await db.tenant();
  const first = await tenant.receive("booking-1");
  await giveBack(db, first, 3_600_000);
  const second = await tenant.receive("booking-1");
  assert.equal(second.outcome, "claimed");
  await giveBack(db, second);
  assert.ok((await stateOf(db, first.delivery_id)).due! > 3_500);
});

test("claim_deliveries() gives up nothing of a paused connection", async (db) => {
  const tenant = await db.tenant();
  const { delivery_id } = await tenant.receive("booking-1");
  await db.query(
    "update sync.deliveries set attempts = 9, leased_until = now() - interval '1 second' where id = $1",
    [delivery_id],
  );
  const connection = { organization_id: tenant.id, source: "eventflow" };
  await db.rpc("pause_connection", { ...connection, reason: "maintenance" });
  assert.deepEqual(await db.rpc("claim_deliveries", {}), []);
  assert.equal((await stateOf(db, delivery_id)).status, "pending");
  await db.rpc("resume_connection", connection);
  assert.equal(only(await db.rpc("claim_deliveries", {}))["delivery_id"], delivery_id);
});

type Lease = Pick<DeliveryAnswer, "delivery_id" | "lease_token">;

async function giveBack(
  db: BookingDatabase,
  { delivery_id, lease_token }: Lease,
  retry_after_ms?: number,
): Promise<State> {
  await db.rpc("finish_delivery", {
    delivery_id,
    lease_token,
    status: "pending",
    last_error: { code: "source_unavailable", message: "EventFlow answered with HTTP 429" },
    ...(retry_after_ms === undefined ? {} : { retry_after_ms }),
  });
  return await stateOf(db, delivery_id);
}

async function claimNow(db: BookingDatabase, tenant: Tenant): Promise<Lease> {
  await db.query(
    `update sync.deliveries set next_attempt_at = now()
     where status = 'pending' and connection_id in (
       select id from sync.connections where organization_id = $1)`,
    [tenant.id],
  );
  return only(await db.rpc<DeliveryAnswer>("claim_deliveries", {}));
}

async function stateOf(db: BookingDatabase, id: string): Promise<State> {
  return only(
    await db.query<State>(
      `select status, attempts, waits,
         extract(epoch from next_attempt_at - now())::float8 as due
       from sync.deliveries where id = $1`,
      [id],
    ),
  );
}
