import {
  HEADOUT_STATUSES,
  mapHeadoutStatus,
} from "../../../supabase/functions/_shared/headout/status.ts";
import {
  buildPartialSnapshot,
  buildSnapshot,
  days,
  EVENT_DAY,
} from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import {
  decodeAnswer,
  decodePage,
  eventflowBooking,
  foundAnswer,
  tombstoneAnswer,
} from "../../support/eventflow_answer.ts";
import { only } from "../../support/tenant.ts";
import assert from "node:assert/strict";

const test = useDatabase();

test("incident: cancelling implemented three times: cancelling ends alike by tombstone and by list", async (db) => {
  const tenant = await db.tenant();
  const states: unknown[] = [];
  const ways = {
    tombstone: (id: string) => decodeAnswer(tenant, tombstoneAnswer(tenant, "cancelled", id), id),
    list: (id: string) =>
      only(decodePage(tenant, [eventflowBooking({ id, status: "AVBOKAD" })]).snapshots),
    partial: (id: string) =>
      buildPartialSnapshot({ external_id: id, booking: { status: "CANCELLED" } }),
  };
  for (const [id, cancel] of Object.entries(ways)) {
    await tenant.applyOne(decodeAnswer(tenant, foundAnswer(eventflowBooking({ id })), id));
    await tenant.applyOne(cancel(id));
    states.push(await stateOf(id));
  }
  assert.deepEqual(states[0], {
    status: "CANCELLED",
    cancelled: true,
    confirmed: false,
    active: 0,
    kept: 9,
    products: 2,
    missing: false,
  });
  assert.deepEqual(states[1], states[0]);
  assert.deepEqual(states[2], states[0]);

  async function stateOf(id: string) {
    return only(
      await db.query(
        `select b.status::text, b.cancelled_at is not null as cancelled,
           b.confirmed_at is not null as confirmed, b.source_missing_since is not null as missing,
           (select count(*)::integer from public.booking_products p
            where p.booking_id = b.id and p.source_missing_since is null) as products,
           e.active::integer, e.kept::integer
         from public.bookings b cross join lateral (
           select count(*) filter (where x.active) as active, count(*) as kept from (
             select c.active from public.calendar_events c where c.booking_id = b.id
             union all select w.active from public.warehouse_events w where w.booking_id = b.id) x
         ) e
         where b.organization_id = $1 and b.external_id = $2`,
        [tenant.id, id],
      ),
    );
  }
});

test("incident: cancelling implemented three times: what was cancelled can be confirmed again, with everything", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const read = () =>
    db.query(
      `select 'c' as t, id, active from public.calendar_events where organization_id = $1
       union all select 'w', id, active from public.warehouse_events where organization_id = $1
       union all select 'p', id, active from public.packing_projects where organization_id = $1
       union all select 'i', id, active from public.packing_items where organization_id = $1
       order by 1, 2`,
      [tenant.id],
    );
  const before = await read();
  await tenant.applyOne(buildSnapshot({ booking: { status: "CANCELLED" } }));
  assert.equal((await tenant.applyOne(buildSnapshot())).verdict, "updated");
  assert.deepEqual(await read(), before);
});

test("incident: a reschedule seen as a cancellation: a reschedule goes through CANCELLED and loses nothing", async (db) => {
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

test("an event and a read of Headout give a status word the same status", async (db) => {
  const rows = await db.query<{ word: string; status: string }>(
    "select w.word, sync.headout_status(w.word) as status from unnest($1::text[]) w (word)",
    [`{${HEADOUT_STATUSES.join(",")}}`],
  );
  assert.deepEqual(
    rows.map(({ word, status }) => [word, status]),
    HEADOUT_STATUSES.map((word) => [word, mapHeadoutStatus(word)]),
  );
});
