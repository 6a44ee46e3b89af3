import {
  addDays,
  buildSnapshot,
  days,
  EVENT_DAY,
  RIG_DAY,
  RIGDOWN_DAY,
} from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { only } from "../../support/tenant.ts";
import assert from "node:assert/strict";

const test = useDatabase();

test("rule: a webhook during a sync causes a second pass: a webhook that arrives during a sync stays due after it", async (db) => {
  const tenant = await db.tenant();
  const first = await tenant.receive("booking-1");
  const waiting = [await tenant.receive("booking-1"), await tenant.receive("booking-1")];
  const { delivery_id, lease_token } = first;
  await tenant.applyOne(buildSnapshot(), { delivery_id, lease_token });
  const state = () =>
    tenant.select("sync.source_states", "requested_seq - processed_seq as undone");
  assert.deepEqual(await state(), [{ undone: 2 }]);
  // The newest stands for both: its read is newer than either request.
  const claimed = only(await db.rpc("claim_deliveries", {}));
  assert.equal(claimed.delivery_id, waiting[1]?.delivery_id);
  await tenant.applyOne(buildSnapshot({ booking: { title: "Andra varvet" } }), {
    delivery_id: String(claimed.delivery_id),
    lease_token: String(claimed.lease_token),
  });
  assert.deepEqual(await state(), [{ undone: 0 }]);
  assert.deepEqual(await db.rpc("claim_deliveries", {}), []);
  const coalesced = await db.query(
    "select status, result ->> 'coalesced_into' as into from sync.deliveries where id = $1",
    [waiting[0]?.delivery_id],
  );
  assert.deepEqual(coalesced, [{ status: "succeeded", into: claimed.delivery_id }]);
});

test("rule: a webhook during a sync causes a second pass: one booking has one worker at a time, another booking its own", async (db) => {
  const tenant = await db.tenant();
  for (const id of ["a", "a", "b", "c"]) await tenant.receive(id);
  const lanes = await db.query(
    `select d.external_id, count(*) filter (where d.status = 'processing')::integer as workers
     from sync.deliveries d join sync.connections c on c.id = d.connection_id
     where c.organization_id = $1 group by 1 order by 1`,
    [tenant.id],
  );
  assert.deepEqual(lanes, [
    { external_id: "a", workers: 1 },
    { external_id: "b", workers: 1 },
    { external_id: "c", workers: 1 },
  ]);
});

test("incident: a cooldown dropped updates: an update within the same second causes a second pass", async (db) => {
  const tenant = await db.tenant();
  const first = await tenant.receive("booking-1");
  const second = await tenant.receive("booking-1");
  assert.deepEqual([first.outcome, second.outcome, second.reason], ["claimed", "deferred", "busy"]);
  const { delivery_id, lease_token } = first;
  await tenant.applyOne(buildSnapshot(), { delivery_id, lease_token });
  const claimed = await db.rpc("claim_deliveries", {});
  assert.deepEqual(claimed.map((row) => row.delivery_id), [second.delivery_id]);
  const moved = days(["rig", addDays(RIG_DAY, 1)], ["event", EVENT_DAY], ["rigdown", RIGDOWN_DAY]);
  const verdict = await tenant.applyOne(buildSnapshot({ dates: moved }), {
    delivery_id: second.delivery_id,
    lease_token: String(claimed[0]?.lease_token),
  });
  assert.equal(verdict.verdict, "updated");
  const [state] = await tenant.select("sync.source_states", "requested_seq, processed_seq");
  assert.deepEqual(state, { requested_seq: 2, processed_seq: 2 });
});
