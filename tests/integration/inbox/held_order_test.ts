import assert from "node:assert/strict";
import { buildSnapshot, secondsAgo } from "../../support/booking_builder.ts";
import { pgArray, useDatabase } from "../../support/booking_database.ts";
import type { Snapshot } from "../../../supabase/functions/_shared/booking/snapshot.ts";
import type { Tenant } from "../../support/tenant.ts";

const test = useDatabase();

function revision(source_version: number, status: "CONFIRMED" | "CANCELLED"): Snapshot {
  return buildSnapshot({ source_version, booking: { status } });
}

test("apply_headout_event() calls an event stale that is older than a held one", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  const at = (time: string) => `2027-01-15T${time}:00`;
  await tenant.event("9", "COMPLETED", at("10:00"));
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

async function openHolds(tenant: Tenant): Promise<readonly unknown[]> {
  return await tenant.select(
    "sync.held_changes",
    "kind",
    "and released_at is null and dismissed_at is null",
  );
}

async function release(
  db: { rpc: (name: string, args: Record<string, unknown>) => Promise<unknown> },
  tenant: Tenant,
): Promise<void> {
  const open = await tenant.select<{ id: number }>(
    "sync.held_changes",
    "id",
    "and released_at is null and dismissed_at is null",
  );
  await db.rpc("release_held_changes", {
    held_change_ids: pgArray(open.map(({ id }) => id)),
    by: "anna",
  });
}
