import assert from "node:assert/strict";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";
import {
  buildSnapshot,
  reread,
  secondsAgo,
  type SnapshotFields,
} from "../../support/booking_builder.ts";
import { type ApplyOptions, only, type Tenant } from "../../support/tenant.ts";

const test = useDatabase();

const confirmed = { booking: { status: "CONFIRMED" } } as const;
const cancelled = { booking: { status: "CANCELLED" } } as const;

/** A webhook of EventFlow, and the read that it asked for. */
async function webhook(tenant: Tenant, type: string, fields: SnapshotFields) {
  const { delivery_id, lease_token } = await tenant.receive("booking-1", { event_type: type });
  const verdict = await tenant.applyOne(buildSnapshot(fields), { delivery_id, lease_token });
  return { delivery_id, verdict: verdict.verdict };
}

/** Waits until the next confirming read is due, by moving its clock, and makes that read. */
async function confirm(
  db: BookingDatabase,
  tenant: Tenant,
  fields: SnapshotFields,
  source: "eventflow" | "headout" = "eventflow",
) {
  await db.query(
    "update sync.disagreements set due_at = now() where organization_id = $1 and ended_at is null",
    [tenant.id],
  );
  await db.query(
    `update sync.deliveries d set next_attempt_at = now() from sync.connections c
     where c.id = d.connection_id and c.organization_id = $1 and d.function = 'confirm' and d.status = 'pending'`,
    [tenant.id],
  );
  const due = await db.rpc<
    { delivery_id: string; lease_token: string; function: string; organization_id: string }
  >("claim_deliveries", {});
  const mine = only(due.filter((row) => row.organization_id === tenant.id));
  assert.equal(mine.function, "confirm");
  await tenant.applyOne(buildSnapshot(fields), {
    source,
    delivery_id: mine.delivery_id,
    lease_token: mine.lease_token,
  });
}

/** Says that the newest event of Headout arrived so many seconds earlier than it did. */
async function age(db: BookingDatabase, tenant: Tenant, seconds: number) {
  await db.query(
    `update sync.source_states set last_event_at = last_event_at - $2 * interval '1 second',
       contradicted_at = contradicted_at - $2 * interval '1 second',
       fetched_at = fetched_at - $2 * interval '1 second'
     where organization_id = $1`,
    [tenant.id, seconds],
  );
}

const status = async (tenant: Tenant) =>
  only(await tenant.select<{ status: string }>("bookings", "status")).status;

/** The pending confirming reads: what for, and in how many seconds. */
async function due(tenant: Tenant) {
  return (await tenant.select<{ due: string }>(
    "sync.deliveries d join sync.connections c on c.id = d.connection_id",
    "d.event_type || ' in ' || round(extract(epoch from d.next_attempt_at - now()))::int as due",
    "and d.function = 'confirm' and d.status = 'pending'",
  )).map((row) => row.due);
}

const series = (tenant: Tenant) =>
  tenant.select("sync.disagreements", "word, reads, outcome", "order by booking_id");

async function timeline(db: BookingDatabase, tenant: Tenant) {
  const { id } = only(await tenant.select<{ id: number }>("bookings", "id"));
  return (await db.rpc<{ summary: string }>("explain_booking", { booking_id: id }))
    .map((line) => line.summary);
}

test(`rule: a sender's word and the read must agree in the end: a cancellation that the read shows too late is read again after 10 s, and found`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(confirmed));
  await webhook(tenant, "cancelled", confirmed);
  assert.equal(await status(tenant), "CONFIRMED");
  assert.deepEqual(await due(tenant), ["agreement in 10"]);
  await confirm(db, tenant, cancelled);
  assert.equal(await status(tenant), "CANCELLED");
  assert.deepEqual(await due(tenant), []);
  assert.deepEqual(await series(tenant), [{ word: "cancelled", reads: 0, outcome: "agreed" }]);
});

test(`rule: a sender's word and the read must agree in the end: a word that no read bears out is told to people after three further reads`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(confirmed));
  const { delivery_id } = await webhook(tenant, "cancelled", confirmed);
  await confirm(db, tenant, confirmed);
  assert.deepEqual(await due(tenant), ["agreement in 60"]);
  await confirm(db, tenant, confirmed);
  assert.deepEqual(await due(tenant), ["agreement in 300"]);
  await confirm(db, tenant, confirmed);
  assert.deepEqual(await due(tenant), []);
  assert.deepEqual(await series(tenant), [{ word: "cancelled", reads: 3, outcome: "disagrees" }]);
  const { result } = only(
    await db.query<{ result: { disagrees: Record<string, unknown> } }>(
      "select result from sync.deliveries where id = $1",
      [delivery_id],
    ),
  );
  assert.equal(result.disagrees.word, "cancelled");
  assert.equal(result.disagrees.read, "CONFIRMED");
  const lines = await timeline(db, tenant);
  assert.ok(
    lines.includes(
      'The sender said "cancelled", and every read since then shows CONFIRMED: a person has to look.',
    ),
    lines.join("\n"),
  );
  // A later read that bears it out ends it, though it is equal to nothing that came before.
  await tenant.applyOne(buildSnapshot(cancelled));
  assert.deepEqual(await series(tenant), [{ word: "cancelled", reads: 3, outcome: "agreed" }]);
});

test(`rule: a sender's word and the read must agree in the end: an updated that shows no difference is looked at three times and ends silently`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  await webhook(tenant, "updated", {});
  assert.deepEqual(await due(tenant), ["agreement in 10"]);
  for (const _ of [1, 2, 3]) await confirm(db, tenant, {});
  assert.deepEqual(await series(tenant), [{ word: "updated", reads: 3, outcome: "silent" }]);
  assert.deepEqual(await due(tenant), []);
  assert.deepEqual(await tenant.select("booking_history", "verdict", "order by id"), [
    { verdict: "created" },
  ]);
});

test(`rule: a sender's word and the read must agree in the end: a read that shows what the sender said causes no further read`, async (db) => {
  const tenant = await db.tenant();
  await webhook(tenant, "created", {});
  await webhook(tenant, "updated", { booking: { title: "Ny titel" } });
  await webhook(tenant, "updated", { booking: { title: "Ny titel" }, source_version: 9 });
  await webhook(tenant, "confirmed", { booking: { title: "Ny titel" }, source_version: 9 });
  await webhook(tenant, "cancelled", cancelled);
  await webhook(tenant, "cancelled", { booking: { status: "CANCELLED", title: "x" } });
  assert.deepEqual(await due(tenant), []);
  assert.deepEqual(await series(tenant), []);
});

test(`rule: a sender's word and the read must agree in the end: a read that does not find the booking bears out nothing`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(confirmed));
  const { delivery_id, lease_token } = await tenant.receive("booking-1", {
    event_type: "cancelled",
  });
  await db.rpc("finish_delivery", {
    delivery_id,
    lease_token,
    status: "succeeded",
    result: { outcome: "not_found" },
  });
  assert.deepEqual(await due(tenant), ["agreement in 10"]);
  await confirm(db, tenant, cancelled);
  assert.equal(await status(tenant), "CANCELLED");
  assert.deepEqual(await due(tenant), []);
});

test(`rule: a sender's word and the read must agree in the end: what the brake holds has been heard`, async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(buildSnapshot(confirmed));
  assert.equal((await webhook(tenant, "cancelled", cancelled)).verdict, "held");
  assert.deepEqual(await series(tenant), []);
});

test(`rule: a sender's word and the read must agree in the end: a later word takes the place of an earlier one, and an updated leaves it alone`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(confirmed));
  await webhook(tenant, "cancelled", confirmed);
  await webhook(tenant, "updated", { booking: { status: "CONFIRMED", title: "Höstfest" } });
  assert.deepEqual(await series(tenant), [{ word: "cancelled", reads: 0, outcome: null }]);
  await webhook(tenant, "offer", { booking: { status: "CONFIRMED", title: "Höstfest" } });
  assert.deepEqual(await series(tenant), [{ word: "offer", reads: 0, outcome: null }]);
  assert.equal((await due(tenant)).length, 1);
  await webhook(tenant, "confirmed", { booking: { status: "CONFIRMED", title: "Höstfest" } });
  // Nobody waits for the offer any more: the newest word and the read agree.
  assert.deepEqual(await series(tenant), [{ word: "offer", reads: 0, outcome: "agreed" }]);
  assert.deepEqual(await due(tenant), []);
});

test(`rule: a sender's word and the read must agree in the end: a webhook's read before the next one is due does not count for it`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(confirmed));
  await webhook(tenant, "cancelled", confirmed);
  await tenant.applyOne(buildSnapshot(confirmed));
  assert.deepEqual(await series(tenant), [{ word: "cancelled", reads: 0, outcome: null }]);
  assert.deepEqual(await due(tenant), ["agreement in 10"]);
});

test(`rule: a sender's word and the read must agree in the end: a booking starts at most one series a minute, and drops none`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  await webhook(tenant, "updated", {});
  await webhook(tenant, "updated", { booking: { title: "a" } });
  assert.deepEqual(await series(tenant), [{ word: "updated", reads: 0, outcome: "agreed" }]);
  await webhook(tenant, "cancelled", { booking: { title: "a" } });
  assert.deepEqual(await due(tenant), ["agreement in 60"]);
});

test(`rule: a sender's word and the read must agree in the end: the word of a delivery that was covered by a later one counts`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(confirmed));
  const first = await tenant.receive("booking-1", { event_type: "cancelled", claim: false });
  assert.equal(first.lease_token, null);
  await webhook(tenant, "updated", { booking: { title: "Ändrad" } });
  assert.deepEqual(await series(tenant), [{ word: "cancelled", reads: 0, outcome: null }]);
});

test(`rule: a sender's word and the read must agree in the end: a doubt and an open word share one confirming read`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ fetched_at: secondsAgo(60) }));
  const one = { items: [{ external_id: "tent", name: "Tält 6x9", quantity: 2, unit_price: 900 }] };
  await webhook(tenant, "cancelled", {
    products: { complete: false, stated: true, ...one } as never,
  });
  assert.equal((await due(tenant)).length, 1);
});

test(`rule: a sender's word and the read must agree in the end: a cancellation of Headout is not undone by a read 88 ms later, nor by a page`, async (db) => {
  const tenant = await db.tenant();
  const read = (fields: SnapshotFields, options: ApplyOptions = {}) =>
    tenant.applyOne(buildSnapshot({ external_id: "9", ...fields }), {
      source: "headout",
      ...options,
    });
  const first = await tenant.event("9", "COMPLETED", "2026-01-15T10:00:00");
  await read(confirmed, { delivery_id: first.delivery_id, lease_token: first.lease_token });
  const { delivery_id, lease_token } = await tenant.event("9", "CANCELLED", "2026-01-15T11:00:00");
  await read({ booking: { status: "CONFIRMED", title: "Kvällstur" } }, {
    delivery_id,
    lease_token,
  });
  assert.deepEqual(await tenant.select("bookings", "status, title"), [
    { status: "CANCELLED", title: "Kvällstur" },
  ]);
  assert.deepEqual(await due(tenant), ["agreement in 10"]);
  await age(db, tenant, 120);
  const [run] = await db.rpc<{ run_id: string }>("begin_run", {
    organization_id: tenant.id,
    source: "headout",
    mode: "full",
  });
  for (const title of ["a", "b", "c"]) {
    await read({ booking: { status: "CONFIRMED", title }, fetched_at: secondsAgo(30) }, {
      run_id: run!.run_id,
    });
  }
  assert.equal(await status(tenant), "CANCELLED");
  await confirm(db, tenant, { external_id: "9", ...cancelled }, "headout");
  assert.deepEqual(await series(tenant), [{ word: "CANCELLED", reads: 0, outcome: "agreed" }]);
  assert.deepEqual(await tenant.select("sync.source_states", "contradicted_at"), [
    { contradicted_at: null },
  ]);
});

test(`rule: a sender's word and the read must agree in the end: after a minute two single reads, 10 s apart, outweigh an event of Headout`, async (db) => {
  const tenant = await db.tenant();
  const read = (fields: SnapshotFields) =>
    tenant.applyOne(buildSnapshot({ external_id: "9", ...fields }), { source: "headout" });
  await tenant.event("9", "COMPLETED", "2026-01-15T10:00:00");
  const { delivery_id, lease_token } = await tenant.event("9", "CANCELLED", "2026-01-15T11:00:00");
  await tenant.applyOne(buildSnapshot({ external_id: "9", ...confirmed }), {
    source: "headout",
    delivery_id,
    lease_token: lease_token!,
  });
  await age(db, tenant, 120);
  await read({ ...confirmed, fetched_at: secondsAgo(30) });
  assert.equal(await status(tenant), "CANCELLED", "the first");
  await read({ ...confirmed, fetched_at: secondsAgo(25) });
  assert.equal(await status(tenant), "CANCELLED", "5 s later");
  await read({ ...confirmed, fetched_at: secondsAgo(15) });
  assert.equal(await status(tenant), "CONFIRMED", "15 s later");
  assert.deepEqual(await series(tenant), [{ word: "CANCELLED", reads: 1, outcome: "disagrees" }]);
  assert.deepEqual(await due(tenant), []);
});

test(`rule: a sender's word and the read must agree in the end: an event of Headout that only time has overtaken is told to nobody`, async (db) => {
  const tenant = await db.tenant();
  const { delivery_id, lease_token } = await tenant.event("9", "COMPLETED", "2026-01-15T10:00:00");
  const read = (fields: SnapshotFields, lease: ApplyOptions = {}) =>
    tenant.applyOne(buildSnapshot({ external_id: "9", ...fields }), {
      source: "headout",
      ...lease,
    });
  await read(confirmed, { delivery_id, lease_token });
  await age(db, tenant, 86_400);
  await read({ ...cancelled, fetched_at: secondsAgo(20) });
  assert.equal(await status(tenant), "CONFIRMED");
  assert.deepEqual(await due(tenant), ["agreement in 10"]);
  await confirm(db, tenant, { external_id: "9", ...cancelled }, "headout");
  assert.equal(await status(tenant), "CANCELLED");
  assert.deepEqual(await series(tenant), [{ word: "COMPLETED", reads: 1, outcome: "overruled" }]);
});

test(`rule: a sender's word and the read must agree in the end: a read that contradicts a held event of Headout does not end the hold`, async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.partnerBooking("9", "2026-01-15T10:00:00");
  assert.equal((await tenant.event("9", "CANCELLED", "2026-01-15T11:00:00")).outcome, "held");
  await tenant.applyOne(buildSnapshot({ external_id: "9", ...confirmed }), { source: "headout" });
  assert.deepEqual(await tenant.select("sync.held_changes", "kind, dismissed_at"), [
    { kind: "CANCELLED", dismissed_at: null },
  ]);
});

test(`rule: a sender's word and the read must agree in the end: of two events of Headout's in one second neither stands against the read`, async (db) => {
  for (const order of [["COMPLETED", "CANCELLED"], ["CANCELLED", "COMPLETED"]] as const) {
    const tenant = await db.tenant();
    for (const type of order) await tenant.event("9", type, "2026-01-15T10:00:00");
    assert.equal(await status(tenant), "CANCELLED", "by lifecycle");
    await tenant.applyOne(buildSnapshot({ external_id: "9", ...confirmed }), { source: "headout" });
    assert.equal(await status(tenant), "CONFIRMED");
  }
});

test(`rule: a sender's word and the read must agree in the end: a series for an event that another of its second disputes comes to its end`, async (db) => {
  const tenant = await db.tenant();
  const { delivery_id, lease_token } = await tenant.event("9", "PENDING", "2026-01-15T10:00:00");
  await tenant.applyOne(buildSnapshot({ external_id: "9", ...confirmed }), {
    source: "headout",
    delivery_id,
    lease_token: lease_token!,
  });
  assert.equal((await due(tenant)).length, 1);
  await tenant.event("9", "COMPLETED", "2026-01-15T10:00:00");
  assert.deepEqual(await series(tenant), [{ word: "PENDING", reads: 0, outcome: "overruled" }]);
  assert.deepEqual(await due(tenant), []);
});

test(`rule: a sender's word and the read must agree in the end: the read after two events of one second decides, though it says what it said before`, async (db) => {
  const tenant = await db.tenant();
  await tenant.event("9", "CANCELLED", "2026-01-15T10:00:00");
  const snapshot = buildSnapshot({ external_id: "9", ...confirmed });
  await tenant.applyOne(snapshot, { source: "headout" });
  assert.equal(await status(tenant), "CANCELLED", "the event stands");
  assert.equal((await tenant.event("9", "COMPLETED", "2026-01-15T10:00:00")).outcome, "stale");
  await tenant.applyOne({ ...snapshot, fetched_at: secondsAgo(0) }, { source: "headout" });
  assert.equal(await status(tenant), "CONFIRMED");
});

test(`rule: a sender's word and the read must agree in the end: a stale event that states another status puts up a read`, async (db) => {
  const tenant = await db.tenant();
  await tenant.event("9", "CANCELLED", "2025-10-26T02:40:00");
  const again = await tenant.event("9", "COMPLETED", "2025-10-26T02:10:00");
  assert.equal(again.outcome, "stale");
  assert.deepEqual(
    await tenant.select(
      "sync.deliveries d join sync.connections c on c.id = d.connection_id",
      "d.status in ('pending', 'processing') as open",
      "and d.event_type = 'COMPLETED'",
    ),
    [{ open: true }],
  );
  // The same status again needs no second opinion.
  const same = await tenant.event("9", "CANCELLED", "2025-10-26T02:20:00");
  assert.equal(same.outcome, "stale");
  assert.equal(same.lease_token, null);
});

test(`rule: a sender's word and the read must agree in the end: a read that says nothing about the status leaves the series as it is`, async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot(confirmed));
  await webhook(tenant, "cancelled", confirmed);
  const { status: _, ...silent } = reread(buildSnapshot()).booking;
  await confirm(db, tenant, { booking: { ...silent, status: undefined } as never });
  assert.equal((await due(tenant)).length, 1);
});
