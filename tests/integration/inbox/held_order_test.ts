import assert from "node:assert/strict";
import { buildSnapshot, secondsAgo } from "../../support/booking_builder.ts";
import { type BookingDatabase, pgArray, useDatabase } from "../../support/booking_database.ts";
import type { Snapshot } from "../../../supabase/functions/_shared/booking/snapshot.ts";
import type { Tenant } from "../../support/tenant.ts";

const test = useDatabase();

function revision(source_version: number, status: "CONFIRMED" | "CANCELLED"): Snapshot {
  return buildSnapshot({ source_version, booking: { status } });
}

test("apply_headout_event() calls an event stale that is older than a held one", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  const at = (time: string) => `2026-01-15T${time}:00`;
  await tenant.partnerBooking("9", at("10:00"));
  assert.equal((await tenant.event("9", "CANCELLED", at("12:00"))).outcome, "held");
  assert.equal((await tenant.event("9", "COMPLETED", at("11:30"))).outcome, "stale");
  assert.equal((await tenant.event("9", "PENDING", at("11:00"))).outcome, "stale");
  assert.deepEqual(await openHolds(tenant), [{ kind: "CANCELLED" }]);
  // A newer one ends it, as before.
  assert.equal((await tenant.event("9", "COMPLETED", at("12:30"))).outcome, "applied");
  assert.deepEqual(await openHolds(tenant), []);
});

test("apply_snapshots() ends no hold by a list that lags behind it", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(revision(5, "CONFIRMED"));
  assert.equal((await tenant.applyOne(revision(7, "CANCELLED"))).verdict, "held");
  await tenant.applyOne(revision(5, "CONFIRMED"));
  await tenant.applyOne(
    buildSnapshot({ source_version: 6, booking: { status: "CONFIRMED", title: "Höstfest" } }),
  );
  assert.deepEqual(await openHolds(tenant), [{ kind: "CANCELLED" }]);
  await tenant.applyOne(revision(8, "CONFIRMED"));
  assert.deepEqual(await openHolds(tenant), []);
});

test("apply_snapshots() uses up no release by a list that lags behind", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(revision(5, "CONFIRMED"));
  await tenant.applyOne(revision(7, "CANCELLED"));
  await release(db, tenant);
  await tenant.applyOne(revision(5, "CONFIRMED"));
  assert.equal((await tenant.applyOne(revision(7, "CANCELLED"))).verdict, "updated");
});

test("apply_snapshots() replaces no hold by what was read before it", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60) }));
  await tenant.applyOne(buildSnapshot({ booking: { status: "CANCELLED" } }));
  const older = buildSnapshot({ fetched_at: secondsAgo(30), booking: { status: "OFFER" } });
  assert.equal((await tenant.applyOne(older)).verdict, "held");
  assert.deepEqual(await openHolds(tenant), [{ kind: "CANCELLED" }]);
});

test("release_held_changes() is for reads that begin after it, for a day", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  const cancelled = { booking: { status: "CANCELLED" } } as const;
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60) }));
  await tenant.applyOne(buildSnapshot({ ...cancelled, fetched_at: secondsAgo(40) }));
  await release(db, tenant);
  const before = buildSnapshot({ ...cancelled, fetched_at: secondsAgo(20) });
  assert.equal((await tenant.applyOne(before)).verdict, "held");
  await db.query(
    `update sync.held_changes set released_at = now() - interval '25 hours'
     where organization_id = $1 and released_at is not null`,
    [tenant.id],
  );
  assert.equal((await tenant.applyOne(buildSnapshot(cancelled))).verdict, "held");
  await release(db, tenant);
  assert.equal((await tenant.applyOne(buildSnapshot(cancelled))).verdict, "updated");
  assert.deepEqual(await openHolds(tenant), []);
});

test("apply_snapshots() counts in a page what a release lets pass", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  const ids = ["b1", "b2", "b3"];
  const all = (status: "CONFIRMED" | "CANCELLED") =>
    ids.map((external_id) => buildSnapshot({ external_id, booking: { status } }));
  await tenant.apply(all("CONFIRMED"));
  await tenant.apply(all("CANCELLED").slice(0, 2));
  await release(db, tenant);
  await db.query("update sync.connections set cancel_budget = 2 where organization_id = $1", [
    tenant.id,
  ]);
  const verdicts = await tenant.apply(all("CANCELLED"));
  assert.deepEqual(verdicts.map(({ verdict }) => verdict), ["updated", "updated", "held"]);
});

test("apply_snapshots() leaves dropped what a person has dropped, in whatever words it comes again", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(revision(5, "CONFIRMED"));
  await tenant.applyOne(revision(7, "CANCELLED"));
  await decide(db, tenant, { dismiss: true });
  await db.query("update sync.connections set cancel_budget = 20 where organization_id = $1", [
    tenant.id,
  ]);
  const inOtherWords = buildSnapshot({
    source_version: 7,
    booking: { status: "CANCELLED", source_status: "Avbokad", title: "Höstfest" },
  });
  // A list, and a repair, which ignores the hash.
  assert.equal((await tenant.applyOne(inOtherWords)).verdict, "updated");
  await tenant.applyOne({ ...inOtherWords, fetched_at: new Date().toISOString() }, { force: true });
  assert.deepEqual(await tenant.select("bookings", "status, title"), [
    { status: "CONFIRMED", title: "Höstfest" },
  ]);
  // Said anew it counts.
  await tenant.applyOne(revision(8, "CANCELLED"));
  assert.deepEqual(await tenant.select("bookings", "status"), [{ status: "CANCELLED" }]);
});

test("apply_snapshots() forgets what was dropped once the source has said otherwise", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  const cancelled = { booking: { status: "CANCELLED" } } as const;
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60) }));
  await tenant.applyOne(buildSnapshot({ ...cancelled, fetched_at: secondsAgo(40) }));
  await decide(db, tenant, { dismiss: true });
  assert.equal((await tenant.applyOne(buildSnapshot(cancelled))).verdict, "unchanged");
  await tenant.applyOne(buildSnapshot({ booking: { title: "Ändå" } }));
  const again = buildSnapshot({ booking: { status: "CANCELLED", title: "Ändå" } });
  assert.equal((await tenant.applyOne(again)).verdict, "held");
});

test("apply_headout_event() leaves dropped what a person has dropped, until another event", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  const read = (status: "CONFIRMED" | "CANCELLED") =>
    tenant.applyOne(buildSnapshot({ external_id: "9", booking: { status } }), {
      source: "headout",
    });
  await tenant.partnerBooking("9", "2026-01-15T10:00:00");
  await tenant.event("9", "CANCELLED", "2026-01-15T11:00:00");
  await decide(db, tenant, { dismiss: true });
  await db.query(
    `update sync.connections set cancel_budget = 20, event_stands_for = '0', contradictions_apart = '0'
     where organization_id = $1`,
    [tenant.id],
  );
  await read("CANCELLED"); // as the next incremental run does
  assert.deepEqual(await tenant.select("bookings", "status"), [{ status: "CONFIRMED" }]);
  await tenant.event("9", "COMPLETED", "2026-01-15T12:00:00");
  // One read alone does not outweigh the event.
  await read("CANCELLED");
  await read("CANCELLED");
  assert.deepEqual(await tenant.select("bookings", "status"), [{ status: "CANCELLED" }]);
});

test("release_held_changes() says of each id what became of it", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(buildSnapshot());
  await tenant.applyOne(buildSnapshot({ booking: { status: "CANCELLED" } }));
  const [open] = await tenant.select<{ id: number }>("sync.held_changes", "id");
  const order = { held_change_ids: pgArray([open!.id, 999_999]), by: "anna" };
  const outcomes = async () =>
    (await db.rpc("release_held_changes", order)).map(({ outcome }) => outcome);
  assert.deepEqual(await outcomes(), ["released", "unknown"]);
  assert.deepEqual(await outcomes(), ["decided_before", "unknown"]);
});

async function openHolds(tenant: Tenant): Promise<readonly unknown[]> {
  return await tenant.select(
    "sync.held_changes",
    "kind",
    "and released_at is null and dismissed_at is null",
  );
}

async function release(db: BookingDatabase, tenant: Tenant): Promise<void> {
  await decide(db, tenant, {});
}

async function decide(
  db: BookingDatabase,
  tenant: Tenant,
  decision: { readonly dismiss?: boolean },
): Promise<void> {
  const open = await tenant.select<{ id: number }>(
    "sync.held_changes",
    "id",
    "and released_at is null and dismissed_at is null",
  );
  await db.rpc("release_held_changes", {
    held_change_ids: pgArray(open.map(({ id }) => id)),
    by: "anna",
    ...decision,
  });
}
