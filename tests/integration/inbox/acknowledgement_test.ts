import { buildSnapshot } from "../../support/booking_builder.ts";
import { pgArray, useDatabase } from "../../support/booking_database.ts";
import { only } from "../../support/tenant.ts";
import assert from "node:assert/strict";

const test = useDatabase();

test("rule: stored before acknowledged: an answer of the inbox means a committed delivery", async (db) => {
  const tenant = await db.tenant();
  const fields = { headers: { "x-request-id": "r-1" }, body: { booking_id: "1", more: [null] } };
  const stored = await tenant.receive("1", fields);
  const event = await tenant.event("7", "PENDING", "2026-06-01T10:00:00");
  const kept = await db.query(
    "select external_id, headers, body, status from sync.deliveries where id in ($1, $2) order by 1",
    [stored.delivery_id, event.delivery_id],
  );
  assert.deepEqual(kept, [
    { external_id: "1", ...fields, status: "processing" },
    {
      external_id: "7",
      headers: {},
      body: { bookingId: "7", status: "PENDING", eventTimestamp: "2026-06-01T10:00:00" },
      status: "processing",
    },
  ]);
});

test("rule: stored before acknowledged: an event that cannot be applied leaves nothing half done", async (db) => {
  const tenant = await db.tenant();
  const mark = await db.mark();
  await assert.rejects(tenant.event("7", "EXPLODED", "2026-06-01T10:00:00"), { code: "22023" });
  assert.deepEqual(await db.writtenSince(mark), {});
});

test("rule: same event, one effect: the same event twice gets one effect and the first answer", async (db) => {
  const tenant = await db.tenant();
  const first = await tenant.event("7", "COMPLETED", "2026-06-01T10:00:00");
  await tenant.event("7", "CANCELLED", "2026-06-01T11:00:00");
  const mark = await db.mark();
  const again = await tenant.event("7", "COMPLETED", "2026-06-01T10:00:00");
  assert.equal(again.outcome, "duplicate");
  assert.deepEqual(
    [again.booking_id, again.old_status, again.new_status],
    [first.booking_id, first.old_status, first.new_status],
  );
  assert.deepEqual(await db.writtenSince(mark), { "sync.deliveries": 1 });
  assert.deepEqual(await tenant.select("bookings", "status::text"), [{ status: "CANCELLED" }]);
});

test("rule: same event, one effect: the same webhook key twice is answered with the first one's result", async (db) => {
  const tenant = await db.tenant();
  const key = { dedupe_key: `key-${tenant.id}` };
  const first = await tenant.receive("booking-1", key);
  const during = await tenant.receive("booking-1", key);
  assert.deepEqual([during.outcome, during.duplicate_of, during.status], [
    "duplicate",
    first.delivery_id,
    "processing",
  ]);
  const { delivery_id, lease_token } = first;
  await tenant.applyOne(buildSnapshot(), { delivery_id, lease_token });
  const after = await tenant.receive("booking-1", key);
  assert.deepEqual([after.outcome, after.status, after.result?.outcome], [
    "duplicate",
    "succeeded",
    "created",
  ]);
});

test("incident: a replay swallowed by dedupe: a replay is never swallowed, however often", async (db) => {
  const tenant = await db.tenant();
  const event = await tenant.event("7", "COMPLETED", "2026-06-01T10:00:00");
  await db.rpc("finish_delivery", {
    delivery_id: event.delivery_id,
    lease_token: event.lease_token,
    status: "succeeded",
    result: { outcome: "updated" },
  });
  for (let replay = 1; replay <= 2; replay++) {
    const delivery_ids = pgArray([event.delivery_id]);
    const counted = only(await db.rpc("replay_deliveries", { delivery_ids }));
    assert.deepEqual(counted, { matched: 1, replayed: 0, without_booking: 0 });
    const done = only(await db.rpc("replay_deliveries", { delivery_ids, count_only: false }));
    assert.deepEqual(done, { matched: 1, replayed: 1, without_booking: 0 });
    const claimed = only(await db.rpc("claim_deliveries", {}));
    const kept = await db.query("select replay_of, status from sync.deliveries where id = $1", [
      claimed.delivery_id,
    ]);
    assert.deepEqual(kept, [{ replay_of: event.delivery_id, status: "processing" }]);
    const fresh = buildSnapshot({ external_id: "7", booking: { title: `Läst ${replay}` } });
    const verdict = await tenant.applyOne(fresh, {
      source: "headout",
      delivery_id: String(claimed.delivery_id),
      lease_token: String(claimed.lease_token),
    });
    assert.equal(verdict.verdict, "updated");
  }
});
