import assert from "node:assert/strict";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";
import {
  attachments,
  buildSnapshot,
  dayFromNow,
  days,
  products,
  secondsAgo,
  type SnapshotFields,
} from "../../support/booking_builder.ts";
import { only, type Tenant } from "../../support/tenant.ts";

const test = useDatabase();

const [D1, D2, D9] = [100, 101, 109].map(dayFromNow) as [string, string, string];

const read = (ago: number, fields: SnapshotFields = {}) =>
  buildSnapshot({ fetched_at: secondsAgo(ago), ...fields });

const review = async (tenant: Tenant) =>
  only(
    await tenant.select<{ reasons: readonly string[]; needed: boolean }>(
      "bookings",
      "review_reasons as reasons, needs_review as needed",
      "and external_id = 'booking-1'",
    ),
  );

const acknowledge = (tenant: Tenant, left = "{}") =>
  tenant.asPlanner((sql) => sql.query("update public.bookings set review_reasons = $1", [left]));

async function summaries(db: BookingDatabase, tenant: Tenant) {
  const { id } = only(await tenant.select<{ id: number }>("bookings", "id"));
  return (await db.rpc<{ summary: string }>("explain_booking", { booking_id: id }))
    .map((line) => line.summary);
}

test("rule: people are told: a hold asks for a review, and its end takes that away", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(read(60));
  assert.deepEqual(await review(tenant), { reasons: [], needed: false });
  await tenant.applyOne(read(30, { booking: { status: "CANCELLED" } }));
  assert.deepEqual(await review(tenant), { reasons: ["held"], needed: true });
  const [hold] = await tenant.select<{ id: number }>("sync.held_changes", "id");
  await db.rpc("release_held_changes", {
    held_change_ids: `{${hold!.id}}`,
    by: "anna",
    dismiss: true,
  });
  assert.deepEqual(await review(tenant), { reasons: [], needed: false });
  const lines = await summaries(db, tenant);
  assert.ok(lines.includes("For a person to review: held."), lines.join("\n"));
  assert.ok(lines.includes("Nothing is left to review."), lines.join("\n"));
});

test("rule: people are told: a hold of Headout's asks for a review, and a later statement ends it", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.partnerBooking("booking-1", "2026-01-15T10:00:00");
  await tenant.event("booking-1", "CANCELLED", "2026-01-15T11:00:00");
  assert.deepEqual((await review(tenant)).reasons, ["held"]);
  await tenant.event("booking-1", "COMPLETED", "2026-01-15T12:00:00");
  assert.deepEqual((await review(tenant)).reasons, []);
});

test("rule: people are told: an emptied list and a deletion of a confirmed booking ask for a review", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(60));
  await tenant.applyOne(read(50, { products: products() }));
  assert.deepEqual((await review(tenant)).reasons, ["emptied"]);
  await tenant.applyOne(read(40, { products: products(), deleted: true }));
  assert.deepEqual((await review(tenant)).reasons, ["emptied", "held"]);
  await tenant.applyOne(read(0));
  assert.deepEqual((await review(tenant)).reasons, []);
});

test("rule: people are told: a row with a team that moves asks until a person has seen it, and again when it moves again", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(60, { dates: days(["event", D1]) }));
  await tenant.asPlanner((sql) =>
    sql.query("update public.calendar_events set resource_id = 'Lag Nord'")
  );
  await tenant.applyOne(read(50, { dates: days(["event", D2]) }));
  assert.deepEqual((await review(tenant)).reasons, ["moved_under_team"]);
  await acknowledge(tenant);
  assert.deepEqual(await review(tenant), { reasons: [], needed: false });
  await tenant.applyOne(read(40, { dates: days(["event", D2]), booking: { title: "Ny" } }));
  assert.deepEqual((await review(tenant)).reasons, [], "no new cause");
  await tenant.applyOne(read(30, { dates: days(["event", D9]) }));
  assert.deepEqual((await review(tenant)).reasons, ["moved_under_team"]);
  assert.deepEqual(
    await tenant.select(
      "booking_history",
      "actor, verdict",
      "and actor = 'planner' order by id desc limit 1",
    ),
    [{ actor: "planner", verdict: "updated" }],
  );
});

test("rule: people are told: a cancellation asks within two weeks of the first day, or with something packed", async (db) => {
  const cases: readonly [number, boolean, readonly string[]][] = [
    [13, false, ["cancelled"]],
    [30, false, []],
    [30, true, ["cancelled"]],
  ];
  for (const [ahead, packed, reasons] of cases) {
    const tenant = await db.tenant();
    const dates = days(["rig", dayFromNow(ahead)], ["event", dayFromNow(ahead + 1)]);
    await tenant.applyOne(read(60, { dates }));
    if (packed) {
      await tenant.asPlanner((sql) =>
        sql.query("update public.packing_items set quantity_packed = 1")
      );
    }
    await tenant.applyOne(read(30, { dates, booking: { status: "CANCELLED" } }));
    assert.deepEqual((await review(tenant)).reasons, reasons, `${ahead} days, packed ${packed}`);
    await tenant.applyOne(read(0, { dates }));
    assert.deepEqual((await review(tenant)).reasons, [], "confirmed again");
  }
});

test("rule: people are told: a booking that was never confirmed asks for nothing when it is cancelled", async (db) => {
  const tenant = await db.tenant();
  const dates = days(["event", dayFromNow(3)]);
  await tenant.applyOne(read(60, { dates, booking: { status: "OFFER" } }));
  await tenant.applyOne(read(30, { dates, booking: { status: "CANCELLED" } }));
  assert.deepEqual((await review(tenant)).reasons, []);
});

test("rule: people are told: a locked row that lost its day asks until it is unlocked", async (db) => {
  const tenant = await db.tenant();
  const event = (...list: readonly string[]) => ({
    dates: { ...days(...list.map((day) => ["event", day] as const)), complete: true },
  });
  await tenant.applyOne(read(60, event(D1, D2)));
  await tenant.asPlanner((sql) =>
    sql.query("update public.calendar_events set times_locked = true where day = $1", [D2])
  );
  await tenant.applyOne(read(30, event(D1)));
  assert.deepEqual((await review(tenant)).reasons, ["locked_row_dropped"]);
  await tenant.asPlanner((sql) =>
    sql.query("update public.calendar_events set times_locked = false")
  );
  assert.deepEqual((await review(tenant)).reasons, []);
});

test("rule: people are told: a person can take reasons away, and add none", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(read(60));
  await tenant.applyOne(read(30, { booking: { status: "CANCELLED" } }));
  await assert.rejects(acknowledge(tenant, "{held,emptied}"), /can only take reasons away/);
  await assert.rejects(
    tenant.asPlanner((sql) => sql.query("update public.bookings set needs_review = false")),
    /needs_review/,
  );
  await acknowledge(tenant);
  assert.deepEqual((await review(tenant)).reasons, []);
  // The same hold, stated once more, is no new cause.
  await tenant.applyOne(read(0, { booking: { status: "CANCELLED", title: "x" } }));
  assert.deepEqual((await review(tenant)).reasons, []);
});

test("rule: people are told: a review that is wrong in the row is derived again", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(read(0, { attachments: attachments() }));
  await db.query(
    "update public.bookings set review_reasons = '{held}' where organization_id = $1",
    [tenant.id],
  );
  const { id } = only(await tenant.select<{ id: number }>("bookings", "id"));
  const rows = await db.rpc<{ fields: unknown }>("project_bookings", {
    booking_ids: `{${id}}`,
    detailed: true,
  });
  assert.deepEqual(rows.map((row) => row.fields), [{ review_reasons: [["held"], []] }]);
});

test("rule: people are told: a reason that was taken away stays away in a session of another time zone", async (db) => {
  const tenant = await db.tenant();
  const near = { dates: days(["event", dayFromNow(3)]) };
  await tenant.applyOne(read(60, near));
  await tenant.applyOne(read(30, { ...near, booking: { status: "CANCELLED" } }));
  await acknowledge(tenant);
  await db.query(
    `with zone as materialized (select set_config('TimeZone', 'America/New_York', true) as name)
     select public.project_bookings(array(
       select b.id from public.bookings b where b.organization_id = $1 and zone.name is not null)) from zone`,
    [tenant.id],
  );
  assert.deepEqual((await review(tenant)).reasons, []);
});
