import {
  buildSnapshot,
  reread,
  secondsAgo,
  type SnapshotFields,
} from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { decodeAnswer, tombstoneAnswer } from "../../support/eventflow_answer.ts";
import assert from "node:assert/strict";

const test = useDatabase();

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
  test(`rule: older never overwrites newer: an older statement never overwrites a newer one, ${how}`, async (db) => {
    const tenant = await db.tenant();
    await tenant.applyOne(buildSnapshot({ ...first, booking: { title: "Nyast" } }));
    const mark = await db.mark();
    const verdict = await tenant.applyOne(buildSnapshot({ ...late, booking: { title: "Äldre" } }));
    assert.deepEqual(await tenant.select("bookings", "title"), [{ title: "Nyast" }]);
    assert.equal(verdict.verdict, "stale");
    assert.deepEqual(await db.writtenSince(mark), {});
  });
}

test("rule: older never overwrites newer: equal revision with other content is applied, equal content writes nothing", async (db) => {
  const tenant = await db.tenant();
  const revision = { source_version: 7, source_updated_at: "2026-02-01T00:00:00Z" };
  await tenant.applyOne(buildSnapshot(revision));
  const other = buildSnapshot({ ...revision, booking: { title: "Annat" } });
  assert.equal((await tenant.applyOne(other)).verdict, "updated");
  const mark = await db.mark();
  assert.equal((await tenant.applyOne(reread(other))).verdict, "unchanged");
  assert.deepEqual(await db.writtenSince(mark), {});
});

test("rule: a fetch is dated when it was read: a read is never dated later than now", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ fetched_at: "2099-01-01T00:00:00Z" }));
  await new Promise((resolve) => setTimeout(resolve, 5));
  const honest = buildSnapshot({ booking: { title: "Ärlig klocka" } });
  assert.equal((await tenant.applyOne(honest)).verdict, "updated");
});

test("rule: a fetch is dated when it was read: a read for a delivery is never dated before its claim", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(1) }));
  const { delivery_id, lease_token } = await tenant.receive("booking-1");
  const slowClock = buildSnapshot({ fetched_at: secondsAgo(600), booking: { title: "Ny" } });
  const verdict = await tenant.applyOne(slowClock, { delivery_id, lease_token });
  assert.equal(verdict.verdict, "updated");
});

test("incident: a second event within the second: two events of one second both count, the later in life wins", async (db) => {
  for (const order of [["COMPLETED", "CANCELLED"], ["CANCELLED", "COMPLETED"]] as const) {
    const tenant = await db.tenant();
    const answers = [];
    for (const type of order) answers.push(await tenant.event("7", type, "2026-06-01T10:00:00"));
    const kept = await tenant.select("bookings", "status::text, source_status");
    assert.deepEqual(kept, [{ status: "CANCELLED", source_status: "CANCELLED" }], order.join());
    const deliveries = await db.query(
      "select status from sync.deliveries where id in ($1, $2)",
      answers.map(({ delivery_id }) => delivery_id),
    );
    assert.deepEqual(new Set(deliveries.map(({ status }) => status)).has("duplicate"), false);
  }
});

test("incident: a second event within the second: a late update does not bring a deleted booking back", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60) }));
  const gone = decodeAnswer(tenant, tombstoneAnswer(tenant, "deleted"));
  assert.equal((await tenant.applyOne(gone)).verdict, "updated");
  const late = buildSnapshot({ fetched_at: secondsAgo(30), booking: { title: "Sent" } });
  assert.equal((await tenant.applyOne(late)).verdict, "stale");
  assert.deepEqual(
    await tenant.select("bookings", "title, source_missing_since is not null as missing"),
    [{ title: "Sommarfest", missing: true }],
  );
  assert.equal((await tenant.applyOne(buildSnapshot())).verdict, "updated");
  assert.deepEqual(await tenant.select("bookings", "source_missing_since"), [
    { source_missing_since: null },
  ]);
});

test("incident: a second event within the second: a late update does not bring back what was cancelled before it came", async (db) => {
  const tenant = await db.tenant();
  // The webhook's read is first to land: the source says cancelled (7). The page was read before.
  const cancelled = tombstoneAnswer(tenant, "cancelled", "booking-1", { source_version: 7 });
  await tenant.applyOne(decodeAnswer(tenant, cancelled));
  const late = buildSnapshot({ fetched_at: secondsAgo(30), source_version: 6 });
  const { verdict } = await tenant.applyOne(late);
  const confirmed = await tenant.select("bookings", "id", "and status = 'CONFIRMED'");
  assert.deepEqual([verdict, confirmed.length], ["stale", 0]);
});

test("incident: a second event within the second: a page read before a webhook does not overwrite it", async (db) => {
  const tenant = await db.tenant();
  const page = buildSnapshot({ fetched_at: secondsAgo(30), booking: { title: "Från sidan" } });
  const webhook = buildSnapshot({ fetched_at: secondsAgo(10), booking: { title: "Nyast" } });
  await tenant.applyOne(webhook);
  assert.equal((await tenant.applyOne(page)).verdict, "stale");
  assert.deepEqual(await tenant.select("bookings", "title"), [{ title: "Nyast" }]);
});

test("incident: a second event within the second: a page read before a Headout event does not undo it", async (db) => {
  const tenant = await db.tenant();
  const source = "headout";
  await tenant.applyOne(
    buildSnapshot({ external_id: "7", booking: { status: "PENDING" }, fetched_at: secondsAgo(60) }),
    { source },
  );
  const page = buildSnapshot({
    external_id: "7",
    booking: { status: "PENDING", title: "Från sidan" },
    fetched_at: secondsAgo(5),
  });
  assert.equal((await tenant.event("7", "COMPLETED", "2026-06-01T10:00:00")).outcome, "applied");
  assert.equal((await tenant.applyOne(page, { source })).verdict, "stale");
  assert.deepEqual(await tenant.select("bookings", "status::text"), [{ status: "CONFIRMED" }]);
});

test("rule: older never overwrites newer: of two snapshots in a page the higher revision wins, also if one has no version", async (db) => {
  const tenant = await db.tenant();
  const verdicts = await tenant.apply([
    buildSnapshot({
      source_version: 3,
      source_updated_at: "2026-05-01T10:00:00Z",
      booking: { title: "old" },
    }),
    buildSnapshot({ source_updated_at: "2026-05-02T10:00:00Z", booking: { title: "new" } }),
  ]);
  assert.deepEqual(verdicts.map(({ verdict }) => verdict), ["stale", "created"]);
  assert.deepEqual(await tenant.select("bookings", "title"), [{ title: "new" }]);
});

test("rule: older never overwrites newer: an event of a time that cannot be puts nothing in order, and a read decides", async (db) => {
  const tenant = await db.tenant();
  const ahead = (hours: number) =>
    new Date(Date.now() + hours * 3_600_000).toISOString().slice(0, 19);
  assert.equal((await tenant.event("7", "PENDING", ahead(-2))).outcome, "stub_created");
  const far = await tenant.event("7", "CANCELLED", "9999-12-31T00:00:00");
  assert.deepEqual([far.outcome, far.new_status], ["conflict", "PENDING"]);
  const kept = await db.query("select status from sync.deliveries where id = $1", [
    far.delivery_id,
  ]);
  assert.deepEqual(kept, [{ status: "pending" }], "no read was put up");
  assert.equal((await tenant.event("7", "COMPLETED", ahead(-1))).outcome, "applied");
  // Headout names no zone: a day ahead may be true somewhere.
  assert.equal((await tenant.event("7", "CANCELLED", ahead(25.9))).outcome, "applied");
  assert.equal((await tenant.event("8", "COMPLETED", ahead(27))).outcome, "stub_created");
  assert.equal((await tenant.event("8", "CANCELLED", ahead(-1))).outcome, "applied");
});
