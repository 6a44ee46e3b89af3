import assert from "node:assert/strict";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";
import { buildPartialSnapshot, buildSnapshot, secondsAgo } from "../../support/booking_builder.ts";
import { only, type Tenant } from "../../support/tenant.ts";

const test = useDatabase();

/** A tombstone as the decoder reads it: nothing of the booking but that it is gone. */
const tombstone = (ago: number) =>
  buildPartialSnapshot({ deleted: true, fetched_at: secondsAgo(ago) });

const booking = async (tenant: Tenant) =>
  only(
    await tenant.select<{ status: string; gone: boolean }>(
      "bookings",
      "status, source_missing_since is not null as gone",
    ),
  );

const holds = (tenant: Tenant) =>
  tenant.select(
    "sync.held_changes",
    "kind, released_at is not null as released, dismissed_at is not null as dismissed, by",
    "order by id",
  );

const activeDays = async (tenant: Tenant) =>
  (await tenant.select("calendar_events", "id", "and active")).length;

async function decide(db: BookingDatabase, tenant: Tenant, dismiss: boolean) {
  const ids = await tenant.select<{ id: number }>(
    "sync.held_changes",
    "id",
    "and released_at is null and dismissed_at is null",
  );
  return await db.rpc("release_held_changes", {
    held_change_ids: `{${ids.map(({ id }) => id).join(",")}}`,
    by: "anna",
    dismiss,
  });
}

test("rule: cancelling takes a positive statement: a deletion of a confirmed booking waits for a person, marked", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60) }));
  await tenant.applyOne(tombstone(30));
  assert.deepEqual(await booking(tenant), { status: "CONFIRMED", gone: true });
  assert.equal(await activeDays(tenant), 3);
  await tenant.applyOne(tombstone(10));
  const open = { kind: "deleted", released: false, dismissed: false, by: null };
  assert.deepEqual(await holds(tenant), [open], "said again it is one hold");
  assert.deepEqual(await tenant.select("sync.source_states", "unsettled"), [{ unsettled: true }]);
  assert.deepEqual(await tenant.select("booking_history", "verdict", "order by id"), [
    { verdict: "created" },
    { verdict: "held" },
    { verdict: "review" },
    { verdict: "updated" },
  ]);
});

test("rule: cancelling takes a positive statement: a released deletion cancels at once, and the mark stays", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60) }));
  await tenant.applyOne(tombstone(30));
  assert.deepEqual((await decide(db, tenant, false)).map((row) => row.outcome), ["released"]);
  assert.deepEqual(await booking(tenant), { status: "CANCELLED", gone: true });
  assert.equal(await activeDays(tenant), 0);
  assert.deepEqual(await tenant.select("sync.source_states", "unsettled"), [{ unsettled: false }]);
  await tenant.applyOne(tombstone(1));
  assert.deepEqual(await booking(tenant), { status: "CANCELLED", gone: true });
  const { id } = only(await tenant.select<{ id: number }>("bookings", "id"));
  const lines = (await db.rpc<{ summary: string }>("explain_booking", { booking_id: id }))
    .map((line) => line.summary);
  assert.ok(
    lines.includes("The deletion at the source waits for a person (import)."),
    lines.join("\n"),
  );
  assert.ok(lines.includes("The deletion was released by anna."), lines.join("\n"));
  assert.ok(lines.some((line) => line.includes("status: CONFIRMED → CANCELLED")), lines.join("\n"));
  // Listed again it comes back as any booking does.
  await tenant.applyOne(buildSnapshot());
  assert.deepEqual(await booking(tenant), { status: "CONFIRMED", gone: false });
});

test("rule: cancelling takes a positive statement: a dismissed deletion is asked again only after the booking was listed", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(90) }));
  await tenant.applyOne(tombstone(80));
  await decide(db, tenant, true);
  await tenant.applyOne({ ...tombstone(0), source_version: 99 });
  const dismissed = { kind: "deleted", released: false, dismissed: true, by: "anna" };
  assert.deepEqual(await holds(tenant), [dismissed]);
  assert.deepEqual(await booking(tenant), { status: "CONFIRMED", gone: true });
  await tenant.applyOne(buildSnapshot({ source_version: 100 }));
  assert.deepEqual(await booking(tenant), { status: "CONFIRMED", gone: false });
  await tenant.applyOne({ ...tombstone(0), source_version: 101 });
  assert.deepEqual(await holds(tenant), [dismissed, {
    kind: "deleted",
    released: false,
    dismissed: false,
    by: null,
  }]);
});

test("rule: cancelling takes a positive statement: a booking that is listed again ends the hold on its deletion", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60) }));
  await tenant.applyOne(tombstone(30));
  await db.query(
    "update sync.held_changes set held_at = held_at - interval '30 s' where organization_id = $1",
    [
      tenant.id,
    ],
  );
  await tenant.applyOne(buildSnapshot());
  assert.deepEqual(await holds(tenant), [{
    kind: "deleted",
    released: false,
    dismissed: true,
    by: "system",
  }]);
  assert.deepEqual(await booking(tenant), { status: "CONFIRMED", gone: false });
  assert.deepEqual(await tenant.select("sync.source_states", "unsettled"), [{ unsettled: false }]);
});

test("rule: cancelling takes a positive statement: a deletion of what is not confirmed only marks it", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(
    buildSnapshot({ booking: { status: "OFFER" }, fetched_at: secondsAgo(60) }),
  );
  await tenant.applyOne(tombstone(30));
  assert.deepEqual(await booking(tenant), { status: "OFFER", gone: true });
  assert.deepEqual(await holds(tenant), []);
});

test("rule: cancelling takes a positive statement: the deletion of one counts for no other, and holds up no cancellation", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 1 });
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60) }));
  await tenant.applyOne(tombstone(30));
  await tenant.applyOne(buildSnapshot({ external_id: "b2", fetched_at: secondsAgo(20) }));
  const verdict = await tenant.applyOne(
    buildSnapshot({
      external_id: "b2",
      booking: { status: "CANCELLED" },
      fetched_at: secondsAgo(10),
    }),
  );
  assert.equal(verdict.verdict, "updated");
});
