import { buildPartialSnapshot, buildSnapshot } from "../../support/booking_builder.ts";
import { pgArray, useDatabase } from "../../support/booking_database.ts";
import { decodeAnswer, tombstoneAnswer } from "../../support/eventflow_answer.ts";
import { type Tenant } from "../../support/tenant.ts";
import assert from "node:assert/strict";

const test = useDatabase();

/** How each path cancels booking `id`. */
type Path = (tenant: Tenant, id: string) => Promise<string>;
const cancel = (external_id: string) =>
  buildPartialSnapshot({ external_id, booking: { status: "CANCELLED" } });

const paths: Readonly<Record<string, Path>> = {
  "a page": async (tenant, id) => (await tenant.applyOne(cancel(id))).verdict,
  "a webhook": async (tenant, id) => {
    const { delivery_id, lease_token } = await tenant.receive(id);
    return (await tenant.applyOne(cancel(id), { delivery_id, lease_token })).verdict;
  },
  "a forced repair": async (tenant, id) =>
    (await tenant.applyOne(cancel(id), { force: true })).verdict,
};

test("rule: cancelling takes a positive statement: every path into a connection counts against one budget", async (db) => {
  const tenant = await db.tenant({ cancel_budget: Object.keys(paths).length });
  const ids = Array.from({ length: 6 }, (_, index) => `b-${index}`);
  await tenant.apply(ids.map((external_id) => buildSnapshot({ external_id })));
  let next = 0;
  for (const [name, path] of Object.entries(paths)) {
    assert.equal(await path(tenant, ids[next++] ?? ""), "updated", name);
  }
  for (const [name, path] of Object.entries(paths)) {
    assert.equal(await path(tenant, ids[next++] ?? ""), "held", name);
  }
  const held = await tenant.select("bookings", "status::text", "order by id offset 3");
  assert.deepEqual(held.map(({ status }) => status), ["CONFIRMED", "CONFIRMED", "CONFIRMED"]);
});

for (const status of ["CANCELLED", "REJECTED", "OFFER", "PENDING"] as const) {
  test(`rule: cancelling takes a positive statement: leaving CONFIRMED for ${status} is a departure`, async (db) => {
    const tenant = await db.tenant({ cancel_budget: 0 });
    await tenant.applyOne(buildSnapshot());
    const leave = buildSnapshot({ booking: { status, title: "Nytt" } });
    assert.equal((await tenant.applyOne(leave)).verdict, "held");
    assert.deepEqual(await tenant.select("bookings", "status::text, title"), [
      { status: "CONFIRMED", title: "Sommarfest" },
    ]);
    const mark = await db.mark();
    assert.equal((await tenant.applyOne(leave)).verdict, "held");
    assert.deepEqual(await db.writtenSince(mark), {}, "the same hold was written twice");
  });
}

test("rule: cancelling takes a positive statement: the brakes of two sources and two organizations are their own", async (db) => {
  const [tenant, other] = [await db.tenant(), await db.tenant()];
  await db.query(
    "update sync.connections set cancel_budget = 0 where organization_id = $1 and source = 'eventflow'",
    [tenant.id],
  );
  for (const each of [tenant, other]) {
    await each.applyOne(buildSnapshot());
    await each.applyOne(buildSnapshot(), { source: "headout" });
  }
  const leave = cancel("booking-1");
  assert.equal((await tenant.applyOne(leave)).verdict, "held");
  assert.equal((await tenant.applyOne(leave, { source: "headout" })).verdict, "updated");
  assert.equal((await other.applyOne(leave)).verdict, "updated");
});

test("rule: cancelling takes a positive statement: a Headout event past the budget is held, and a released one passes", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  const { delivery_id, lease_token } = await tenant.partnerBooking("7", "2026-06-01T10:00:00");
  await db.rpc("finish_delivery", { delivery_id, lease_token, status: "succeeded" });
  const held = await tenant.event("7", "CANCELLED", "2026-06-01T11:00:00");
  assert.deepEqual([held.outcome, held.new_status], ["held", "CONFIRMED"]);
  const [open] = await tenant.select<{ id: number }>("sync.held_changes", "id");
  const decided = await db.rpc("release_held_changes", {
    held_change_ids: pgArray([open?.id ?? 0]),
    by: "Åsa",
  });
  assert.deepEqual(decided.map(({ outcome }) => outcome), ["released"]);
  assert.deepEqual(await tenant.select("bookings", "status::text"), [{ status: "CONFIRMED" }]);
  const due = await db.rpc("claim_deliveries", {});
  const release = due.find(({ event_type }) => event_type === "release");
  assert.ok(release !== undefined, "no read was queued");
  const verdict = await tenant.applyOne(cancel("7"), {
    source: "headout",
    delivery_id: String(release.delivery_id),
    lease_token: String(release.lease_token),
  });
  assert.equal(verdict.verdict, "updated");
  assert.deepEqual(await tenant.select("bookings", "status::text"), [{ status: "CANCELLED" }]);
});

test("rule: cancelling takes a positive statement: a dismissed hold does not come back for the same statement", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(buildSnapshot());
  await tenant.applyOne(cancel("booking-1"));
  const [open] = await tenant.select<{ id: number }>("sync.held_changes", "id");
  await db.rpc("release_held_changes", {
    held_change_ids: pgArray([open?.id ?? 0]),
    by: "Åsa",
    dismiss: true,
  });
  assert.equal((await tenant.applyOne(cancel("booking-1"))).verdict, "unchanged");
  // A list says it in other words; nothing newer has been said.
  const other = buildPartialSnapshot({
    booking: { status: "CANCELLED", source_status: "Avbokad" },
  });
  assert.equal((await tenant.applyOne(other)).verdict, "unchanged");
  assert.deepEqual(await tenant.select("bookings", "status::text"), [{ status: "CONFIRMED" }]);
});

test("rule: cancelling takes a positive statement: a hold ends when the source takes it back", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();
  await tenant.applyOne(buildSnapshot({ fetched_at: ago(2) }));
  await tenant.applyOne({ ...cancel("booking-1"), fetched_at: ago(1) });
  await tenant.applyOne(buildSnapshot());
  const [hold] = await tenant.select("sync.held_changes", "dismissed_at is not null as gone, by");
  assert.deepEqual(hold, { gone: true, by: "system" });
});

test("rule: cancelling takes a positive statement: the budget comes back after an hour", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 1 });
  await tenant.apply(["a", "b"].map((external_id) => buildSnapshot({ external_id })));
  assert.equal((await tenant.applyOne(cancel("a"))).verdict, "updated");
  assert.equal((await tenant.applyOne(cancel("b"))).verdict, "held");
  await db.query(
    "update public.booking_history set at = at - interval '61 minutes' where organization_id = $1",
    [tenant.id],
  );
  assert.equal((await tenant.applyOne(cancel("b"))).verdict, "updated");
});

const ids = Array.from({ length: 80 }, (_, index) => `booking-${index + 1}`);

test("incident: changed shape read as cancelled: of 80 true cancellations in a row 20 pass and 60 are held", async (db) => {
  const tenant = await db.tenant();
  await tenant.apply(ids.map((external_id) => buildSnapshot({ external_id })));
  for (const id of ids) {
    await tenant.applyOne(decodeAnswer(tenant, tombstoneAnswer(tenant, "cancelled", id), id));
  }
  const statuses = await tenant.select(
    "bookings",
    "status::text, count(*)::integer",
    "group by status order by 1",
  );
  assert.deepEqual(statuses, [
    { status: "CANCELLED", count: 20 },
    { status: "CONFIRMED", count: 60 },
  ]);
  const open = await tenant.select(
    "sync.held_changes",
    "count(*)::integer",
    "and released_at is null and dismissed_at is null and kind = 'CANCELLED'",
  );
  assert.deepEqual(open, [{ count: 60 }]);
  const kept = await db.query(
    `select count(*)::integer as products,
       (select count(*)::integer from public.calendar_events c where c.organization_id = $1 and c.active) as events,
       (select count(*)::integer from public.packing_projects p where p.organization_id = $1 and p.active) as projects
     from public.booking_products where organization_id = $1 and source_missing_since is null`,
    [tenant.id],
  );
  assert.deepEqual(kept, [{ products: 160, events: 180, projects: 60 }]);
});

test("rule: cancelling takes a positive statement: bookings that only events know spend nothing of the budget", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 2 });
  for (let id = 100; id < 125; id++) {
    await tenant.event(String(id), "COMPLETED", "2026-06-01T10:00:00");
    const invented = await tenant.event(String(id), "CANCELLED", "2026-06-01T11:00:00");
    assert.equal(invented.outcome, "applied");
  }
  for (const id of ["7", "8", "9"]) await tenant.partnerBooking(id, "2026-06-01T10:00:00");
  const outcomes: string[] = [];
  for (const id of ["7", "8", "9"]) {
    outcomes.push((await tenant.event(id, "CANCELLED", "2026-06-01T11:00:00")).outcome);
  }
  assert.deepEqual(outcomes, ["applied", "applied", "held"]);
});
