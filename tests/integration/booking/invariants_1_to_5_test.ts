import assert from "node:assert/strict";
import {
  buildSnapshot,
  reread,
  secondsAgo,
  type SnapshotFields,
} from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { only } from "../../support/tenant.ts";

const test = useDatabase();

test("invariant 1: an answer of the inbox means a committed delivery", async (db) => {
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

test("invariant 1: an event that cannot be applied leaves nothing half done", async (db) => {
  const tenant = await db.tenant();
  const mark = await db.mark();
  await assert.rejects(tenant.event("7", "EXPLODED", "2026-06-01T10:00:00"), { code: "22023" });
  assert.deepEqual(await db.writtenSince(mark), {});
});

test("invariant 2: the same event twice gets one effect and the first answer", async (db) => {
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

test("invariant 2: the same webhook key twice is answered with the first one's result", async (db) => {
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

const older: Readonly<Record<string, readonly [first: SnapshotFields, late: SnapshotFields]>> = {
  "by version": [{ source_version: 7 }, { source_version: 6 }],
  "by version, whatever the clocks say": [
    { source_version: 7, source_updated_at: "2026-01-01T00:00:00Z", fetched_at: secondsAgo(90) },
    { source_version: 6, source_updated_at: "2026-02-01T00:00:00Z" },
  ],
  "by revision time": [
    { source_updated_at: "2026-02-01T00:00:00Z", fetched_at: secondsAgo(90) },
    { source_updated_at: "2026-01-31T23:59:59.999Z" },
  ],
  "by revision time at an equal version": [
    { source_version: 7, source_updated_at: "2026-02-01T00:00:00Z" },
    { source_version: 7, source_updated_at: "2026-01-01T00:00:00Z" },
  ],
  "by the read where there is no revision": [{}, { fetched_at: secondsAgo(30) }],
  "by the read at an equal revision": [
    { source_version: 7 },
    { source_version: 7, fetched_at: secondsAgo(30) },
  ],
  "by the read where only the late one has a version": [
    {},
    { source_version: 7, fetched_at: secondsAgo(30) },
  ],
  "by the read where only the late one has a revision time": [
    {},
    { source_updated_at: "2026-02-01T00:00:00Z", fetched_at: secondsAgo(30) },
  ],
  "by the read where only the first one has a version": [
    { source_version: 7 },
    { fetched_at: secondsAgo(30) },
  ],
};

for (const [how, [first, late]] of Object.entries(older)) {
  test(`invariant 3: an older statement never overwrites a newer one, ${how}`, async (db) => {
    const tenant = await db.tenant();
    await tenant.applyOne(buildSnapshot({ ...first, booking: { title: "Nyast" } }));
    const mark = await db.mark();
    const verdict = await tenant.applyOne(buildSnapshot({ ...late, booking: { title: "Äldre" } }));
    assert.deepEqual(await tenant.select("bookings", "title"), [{ title: "Nyast" }]);
    assert.equal(verdict.verdict, "stale");
    assert.deepEqual(await db.writtenSince(mark), {});
  });
}

test("invariant 3: equal revision with other content is applied, equal content writes nothing", async (db) => {
  const tenant = await db.tenant();
  const revision = { source_version: 7, source_updated_at: "2026-02-01T00:00:00Z" };
  await tenant.applyOne(buildSnapshot(revision));
  const other = buildSnapshot({ ...revision, booking: { title: "Annat" } });
  assert.equal((await tenant.applyOne(other)).verdict, "updated");
  const mark = await db.mark();
  assert.equal((await tenant.applyOne(reread(other))).verdict, "unchanged");
  assert.deepEqual(await db.writtenSince(mark), {});
});

test("invariant 4: a read is never dated later than now", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ fetched_at: "2099-01-01T00:00:00Z" }));
  await new Promise((resolve) => setTimeout(resolve, 5));
  const honest = buildSnapshot({ booking: { title: "Ärlig klocka" } });
  assert.equal((await tenant.applyOne(honest)).verdict, "updated");
});

test("invariant 4: a read for a delivery is never dated before its claim", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(1) }));
  const { delivery_id, lease_token } = await tenant.receive("booking-1");
  const slowClock = buildSnapshot({ fetched_at: secondsAgo(600), booking: { title: "Ny" } });
  const verdict = await tenant.applyOne(slowClock, { delivery_id, lease_token });
  assert.equal(verdict.verdict, "updated");
});

test("invariant 5: a webhook that arrives during a sync stays due after it", async (db) => {
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

test("invariant 5: one booking has one worker at a time, another booking its own", async (db) => {
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
