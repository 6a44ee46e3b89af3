import assert from "node:assert/strict";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";
import {
  buildSnapshot,
  dayFromNow,
  days,
  secondsAgo,
  type SnapshotFields,
} from "../../support/booking_builder.ts";
import type { Tenant } from "../../support/tenant.ts";

const test = useDatabase();

const MINUTE = 60;
const HOUR = 3_600;

/** A confirmed booking whose rig is so many days away, read so many seconds ago. */
const booking = (id: string, ahead: number, ago: number, fields: SnapshotFields = {}) =>
  buildSnapshot({
    external_id: id,
    fetched_at: secondsAgo(ago),
    dates: days(["rig", dayFromNow(ahead)], ["event", dayFromNow(ahead + 1)]),
    ...fields,
  });

/** What one drain would read for this organization, as ids; others of the database are left out. */
async function claim(db: BookingDatabase, tenant: Tenant, max = 100) {
  const rows = await db.rpc<{ organization_id: string; external_id: string }>("claim_refreshes", {
    max_reads: max,
    only_source: "eventflow",
  });
  return rows.filter((row) => row.organization_id === tenant.id).map((row) => row.external_id);
}

/** Has the next claim decide anew which bookings are kept fresh. */
const sweep = (db: BookingDatabase, tenant: Tenant) =>
  db.query("update sync.connections set freshness_swept_at = null where organization_id = $1", [
    tenant.id,
  ]);

/** Lets the last minute of reads pass. */
const nextMinute = (db: BookingDatabase) =>
  db.query("update sync.freshness_claims set claimed_at = claimed_at - interval '1 minute'");

const hours = async (tenant: Tenant, id: string) =>
  (await tenant.select<{ hours: number }>(
    "sync.source_states",
    "extract(epoch from refresh_after)::int / 3600 as hours",
    `and external_id = '${id}'`,
  ))[0]?.hours;

test("rule: it heals by itself: what is near is read again within 2, 12 or 48 hours, the stalest first", async (db) => {
  const tenant = await db.tenant();
  await tenant.apply([
    booking("in-2-days", 2, 3 * HOUR),
    booking("in-10-days", 10, 13 * HOUR),
    booking("in-50-days", 50, 49 * HOUR),
    booking("in-3-days-fresh", 3, HOUR),
    booking("in-90-days", 90, 90 * HOUR),
    booking("offer", 2, 9 * HOUR, { booking: { status: "OFFER" } }),
    booking("over", -5, 9 * HOUR),
    booking("on-site", -1, 4 * HOUR),
  ]);
  const claimed = await claim(db, tenant);
  assert.deepEqual(claimed.toSorted(), ["in-10-days", "in-2-days", "in-50-days", "on-site"]);
  assert.deepEqual(
    await Promise.all(
      ["in-3-days-fresh", "in-10-days", "in-50-days", "in-90-days"].map((id) => hours(tenant, id)),
    ),
    [2, 12, 48, null],
  );
  const [{ oldest, overdue } = {}] = (await db.rpc<
    { organization_id: string; source: string; stalest_read_at: string; overdue: number }
  >("sync_status", {})).filter((row) =>
    row.organization_id === tenant.id && row.source === "eventflow"
  )
    .map((row) => ({ oldest: Date.parse(row.stalest_read_at), overdue: Number(row.overdue) }));
  assert.equal(overdue, 4);
  assert.equal(Math.round((Date.now() - oldest!) / 3_600_000), 49);
});

test("rule: it heals by itself: a claim puts a booking off by a quarter, and a read by the whole", async (db) => {
  const tenant = await db.tenant();
  const due = async () =>
    Math.round(
      (await tenant.select<{ minutes: number }>(
        "sync.source_states",
        "extract(epoch from refresh_due_at - now()) / 60 as minutes",
      ))[0]!.minutes,
    );
  await tenant.applyOne(booking("b", 2, 3 * HOUR));
  assert.deepEqual(await claim(db, tenant), ["b"]);
  assert.deepEqual(await claim(db, tenant), []);
  assert.equal(await due(), 30);
  await tenant.applyOne(booking("b", 2, 0));
  assert.equal(await due(), 120);
});

test("rule: it heals by itself: a page counts as a read, and one that is young writes nothing", async (db) => {
  const tenant = await db.tenant();
  const [run] = await db.rpc<{ run_id: string }>("begin_run", {
    organization_id: tenant.id,
    source: "eventflow",
    mode: "full",
  });
  await tenant.applyOne(booking("b", 2, 3 * HOUR));
  await claim(db, tenant);
  const mark = await db.mark();
  await tenant.applyOne(booking("b", 2, 90 * MINUTE), { run_id: run!.run_id });
  assert.deepEqual(await db.writtenSince(mark), { "sync.source_states": 1 });
  const again = await db.mark();
  await tenant.applyOne(booking("b", 2, 40 * MINUTE), { run_id: run!.run_id });
  assert.deepEqual(await db.writtenSince(again), {});
  await tenant.applyOne(booking("b", 2, 20 * MINUTE), { run_id: run!.run_id });
  assert.deepEqual(
    await tenant.select(
      "sync.source_states",
      "round(extract(epoch from now() - read_at) / 60)::int as minutes",
    ),
    [{ minutes: 20 }],
  );
});

test("rule: it heals by itself: ten bookings that never answer do not starve the others", async (db) => {
  const tenant = await db.tenant();
  const dead = Array.from({ length: 10 }, (_, n) => booking(`dead-${n}`, 2, 9 * HOUR));
  const fine = Array.from({ length: 10 }, (_, n) => booking(`fine-${n}`, 2, 3 * HOUR));
  await tenant.apply([...dead, ...fine]);
  // Ten at a time, and none of the dead ones is ever read.
  assert.ok((await claim(db, tenant, 10)).every((id) => id.startsWith("dead")));
  await nextMinute(db);
  assert.ok((await claim(db, tenant, 10)).every((id) => id.startsWith("fine")));
});

test("rule: it heals by itself: in a minute no more is read than the connection allows, by all drains together", async (db) => {
  const tenant = await db.tenant();
  await tenant.apply(Array.from({ length: 50 }, (_, n) => booking(`b-${n}`, 2, 3 * HOUR)));
  const claims = await Promise.all([claim(db, tenant), claim(db, tenant), claim(db, tenant)]);
  const all = claims.flat();
  assert.equal(all.length, 20);
  assert.equal(new Set(all).size, 20);
  assert.deepEqual(await claim(db, tenant), []);
  await nextMinute(db);
  assert.equal((await claim(db, tenant)).length, 20);
});

test("rule: it heals by itself: what Headout is asked in the background shares one limit of 40 a minute", async (db) => {
  const counts = [];
  for (const _ of [1, 2, 3]) {
    const tenant = await db.tenant();
    await tenant.apply(
      Array.from({ length: 25 }, (_, n) => booking(`${n}`, 2, 3 * HOUR)),
      { source: "headout" },
    );
    const rows = await db.rpc<{ organization_id: string }>("claim_refreshes", {
      max_reads: 100,
      only_source: "headout",
    });
    counts.push(rows.filter((row) => row.organization_id === tenant.id).length);
  }
  await nextMinute(db);
  assert.deepEqual(counts, [20, 20, 0]);
});

test("rule: it heals by itself: drains at the same moment share Headout's limit", async (db) => {
  await nextMinute(db);
  for (const _ of [1, 2, 3, 4]) {
    const tenant = await db.tenant();
    await tenant.apply(
      Array.from({ length: 20 }, (_, n) => booking(`${n}`, 2, 3 * HOUR)),
      { source: "headout" },
    );
  }
  const drains = await Promise.all(
    Array.from(
      { length: 8 },
      () => db.rpc("claim_refreshes", { max_reads: 15, only_source: "headout" }),
    ),
  );
  assert.equal(drains.flat().length, 40);
});

test("rule: it heals by itself: nothing is read for freshness while a webhook is due, or the connection is paused", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(booking("b", 2, 3 * HOUR));
  const { delivery_id } = await tenant.receive("other", { claim: false });
  assert.deepEqual(await claim(db, tenant), []);
  await db.rpc("finish_delivery", { delivery_id, status: "dead", last_error: {} });
  await db.rpc("pause_connection", {
    organization_id: tenant.id,
    source: "eventflow",
    reason: "x",
  });
  assert.deepEqual(await claim(db, tenant), []);
  await db.rpc("resume_connection", { organization_id: tenant.id, source: "eventflow" });
  assert.deepEqual(await claim(db, tenant), ["b"]);
});

test("rule: it heals by itself: rules of an organization take the place of the general ones, and days and status count anew", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(booking("b", 2, HOUR));
  assert.deepEqual(await claim(db, tenant), []);
  await db.query(
    "insert into sync.freshness_rules (organization_id, source, within_days, max_age) values ($1, 'eventflow', 5, '30 minutes')",
    [tenant.id],
  );
  await sweep(db, tenant);
  assert.deepEqual(await claim(db, tenant), ["b"]);
  await tenant.applyOne(booking("b", 9, 0));
  await sweep(db, tenant);
  await claim(db, tenant);
  assert.equal(await hours(tenant, "b"), null, "moved out of reach");
  await tenant.applyOne(
    booking("b", 2, 0, { source_version: 2, booking: { status: "CANCELLED" } }),
  );
  await sweep(db, tenant);
  await claim(db, tenant);
  assert.equal(await hours(tenant, "b"), null, "no longer confirmed");
});
