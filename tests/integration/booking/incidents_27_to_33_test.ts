import assert from "node:assert/strict";
import { SourceError } from "../../../supabase/functions/_shared/source/source_error.ts";
import {
  buildPartialSnapshot,
  buildSnapshot,
  days,
  EVENT_DAY,
  secondsAgo,
} from "../../support/booking_builder.ts";
import { pgArray, useDatabase } from "../../support/booking_database.ts";
import { decodeAnswer, decodePage, tombstoneAnswer } from "../../support/eventflow_answer.ts";
import { only } from "../../support/tenant.ts";

const test = useDatabase();

test("incident 27: two events of one second both count, the later in life wins", async (db) => {
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

test("incident 27: a late update does not bring a deleted booking back", async (db) => {
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

test("incident 27: a late update does not bring back what was cancelled before it came", async (db) => {
  const tenant = await db.tenant();
  // The webhook's read is first to land: the source says cancelled (7). The page was read before.
  const cancelled = tombstoneAnswer(tenant, "cancelled", "booking-1", { source_version: 7 });
  await tenant.applyOne(decodeAnswer(tenant, cancelled));
  const late = buildSnapshot({ fetched_at: secondsAgo(30), source_version: 6 });
  const { verdict } = await tenant.applyOne(late);
  const confirmed = await tenant.select("bookings", "id", "and status = 'CONFIRMED'");
  assert.deepEqual([verdict, confirmed.length], ["stale", 0]);
});

test("incident 27: a page read before a webhook does not overwrite it", async (db) => {
  const tenant = await db.tenant();
  const page = buildSnapshot({ fetched_at: secondsAgo(30), booking: { title: "Från sidan" } });
  const webhook = buildSnapshot({ fetched_at: secondsAgo(10), booking: { title: "Nyast" } });
  await tenant.applyOne(webhook);
  assert.equal((await tenant.applyOne(page)).verdict, "stale");
  assert.deepEqual(await tenant.select("bookings", "title"), [{ title: "Nyast" }]);
});

test("incident 27: a page read before a Headout event does not undo it", async (db) => {
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

test("incident 29: a replay is never swallowed, however often", async (db) => {
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

test("incident 30: a read that was throttled half way counts as not done", async (db) => {
  const tenant = await db.tenant();
  const place = { organization_id: tenant.id, source: "eventflow", mode: "incremental" };
  const first = only(await db.rpc("begin_run", place));
  await db.rpc("finish_run", {
    run_id: first.run_id,
    lease_token: first.lease_token,
    status: "completed",
  });
  const cursor = async () =>
    only(await tenant.select("sync.connections", "cursor", "and source = 'eventflow'")).cursor;
  const before = await cursor();
  const run = only(await db.rpc("begin_run", place));
  const lease = { run_id: run.run_id, lease_token: run.lease_token };
  await db.rpc("checkpoint_run", {
    ...lease,
    checkpoint: { page: 2 },
    counters: {},
    snapshots: [buildSnapshot()],
  });
  assert.throws(() => decodePage429(), SourceError);
  await db.rpc("finish_run", { ...lease, status: "failed", error: { code: "rate_limited" } });
  assert.equal(await cursor(), before);
  assert.equal(only(await db.rpc("begin_run", place)).outcome, "started");

  function decodePage429(): unknown {
    return decodeAnswer(tenant, { success: false, error: "too many requests" });
  }
});

test("incident 31: a source that lists nothing empties nothing", async (db) => {
  const tenant = await db.tenant();
  await tenant.apply(
    ["a", "b"].map((external_id) => buildSnapshot({ external_id, fetched_at: secondsAgo(60) })),
  );
  assert.throws(() => decodeAnswer(tenant, "<!doctype html><h1>Logga in</h1>"), SourceError);
  const domain = () =>
    db.query(
      `select to_jsonb(b) - array['updated_at'] as row from public.bookings b
       where organization_id = $1 order by id`,
      [tenant.id],
    );
  const before = await domain();
  for (let night = 0; night < 3; night++) {
    const run = only(
      await db.rpc("begin_run", {
        organization_id: tenant.id,
        source: "eventflow",
        mode: "reconcile",
        parameters: { repair: true },
      }),
    );
    const lease = { run_id: run.run_id, lease_token: run.lease_token };
    await db.rpc("checkpoint_run", {
      ...lease,
      checkpoint: {},
      counters: {},
      snapshots: decodePage(tenant, []).snapshots,
    });
    await db.rpc("finish_run", { ...lease, status: "completed" });
    const drift = await db.rpc("list_drift", { run_id: run.run_id });
    assert.deepEqual(drift.map(({ cause }) => cause), ["missing_at_source", "missing_at_source"]);
  }
  assert.deepEqual(await domain(), before);
});

test("incident 32: a reschedule goes through CANCELLED and loses nothing", async (db) => {
  const tenant = await db.tenant();
  await tenant.event("7", "COMPLETED", "2026-06-01T10:00:00");
  await tenant.applyOne(
    buildSnapshot({ external_id: "7", dates: days(["event", EVENT_DAY, "10:00:00"]) }),
    { source: "headout" },
  );
  await tenant.asPlanner((sql) =>
    sql.query("update public.calendar_events set resource_id = 'guide-4'")
  );
  const read = () => tenant.select("calendar_events", "id, resource_id, active");
  const before = await read();
  assert.equal(before.length, 1);
  const path = [["CANCELLED", "11"], ["PENDING", "12"], ["COMPLETED", "13"]] as const;
  for (const [type, hour] of path) {
    const answer = await tenant.event("7", type, `2026-06-01T${hour}:00:00`);
    assert.equal(answer.outcome, "applied", type);
    if (type !== "COMPLETED") assert.equal((await read())[0]?.active, false, type);
  }
  assert.deepEqual(await read(), before);
  const refund = await tenant.event("7", "CANCELLED", "2026-06-01T10:30:00");
  assert.equal(refund.outcome, "stale", "an older CANCELLED after a reschedule was believed");
});

test("incident 33: drift is found field by field, explained and mended", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const missed = buildPartialSnapshot({ booking: { title: "Ny titel", client_name: "Ny kund" } });
  const found = await reconcile(false);
  assert.deepEqual(
    found.map(({ field, theirs, ours, cause }) => [field, theirs, ours, cause]),
    [
      ["bookings.client_name", "Ny kund", "Malmö Stad", "missed_webhook"],
      ["bookings.title", "Ny titel", "Sommarfest", "missed_webhook"],
    ],
  );
  assert.deepEqual(await tenant.select("bookings", "title"), [{ title: "Sommarfest" }]);
  const mended = await reconcile(true);
  assert.ok(mended.length === 2 && mended.every(({ repaired_at }) => repaired_at !== null));
  assert.deepEqual(await tenant.select("bookings", "title"), [{ title: "Ny titel" }]);
  assert.deepEqual(await reconcile(false), []);

  async function reconcile(repair: boolean) {
    const run = only(
      await db.rpc("begin_run", {
        organization_id: tenant.id,
        source: "eventflow",
        mode: "reconcile",
        parameters: { repair },
      }),
    );
    const lease = { run_id: run.run_id, lease_token: run.lease_token };
    const snapshots = [{ ...missed, fetched_at: new Date().toISOString() }];
    await db.rpc("checkpoint_run", { ...lease, checkpoint: {}, counters: {}, snapshots });
    await db.rpc("finish_run", { ...lease, status: "completed" });
    return await db.rpc("list_drift", { run_id: run.run_id });
  }
});
