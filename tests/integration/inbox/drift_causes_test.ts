import assert from "node:assert/strict";
import { buildSnapshot } from "../../support/booking_builder.ts";
import { type BookingDatabase, pgArray, useDatabase } from "../../support/booking_database.ts";
import type { Snapshot } from "../../../supabase/functions/_shared/booking/snapshot.ts";
import { only, type Tenant } from "../../support/tenant.ts";

const test = useDatabase();

function cancelled(source_status: string): Snapshot {
  return buildSnapshot({ booking: { status: "CANCELLED", source_status } });
}

test("a reconcile run finds no drift in another word for the same status", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  await tenant.applyOne(cancelled("CANCELLED"));
  assert.deepEqual(await driftOf(db, tenant, cancelled("Avbokad")), []);
  // Another status is drift, in whatever word.
  const back = buildSnapshot({ booking: { status: "CONFIRMED", source_status: "Bekräftad" } });
  const found = await driftOf(db, tenant, back);
  assert.ok(found.some(({ field }) => field === "bookings.status"), JSON.stringify(found));
});

test("a reconcile run says of what a person has dropped that it was", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(buildSnapshot());
  await tenant.applyOne(cancelled("CANCELLED"));
  const { id } = only(await tenant.select<{ id: number }>("sync.held_changes", "id"));
  const decision = { held_change_ids: pgArray([id]), by: "anna", dismiss: true };
  await db.rpc("release_held_changes", decision);
  assert.deepEqual(await driftOf(db, tenant, cancelled("Avbokad")), [
    { field: "bookings.status", cause: "dismissed", theirs: "CANCELLED", ours: "CONFIRMED" },
  ]);
});

async function driftOf(db: BookingDatabase, tenant: Tenant, snapshot: Snapshot) {
  const mode = { organization_id: tenant.id, source: "eventflow", mode: "reconcile" };
  const { run_id, lease_token } = only(await db.rpc("begin_run", { ...mode, parameters: {} }));
  const lease = { run_id, lease_token };
  await db.rpc("checkpoint_run", { ...lease, checkpoint: {}, counters: {}, snapshots: [snapshot] });
  await db.rpc("finish_run", { ...lease, status: "completed" });
  const rows = await db.rpc("list_drift", { run_id });
  return rows.map(({ field, cause, theirs, ours }) => ({ field, cause, theirs, ours }));
}
