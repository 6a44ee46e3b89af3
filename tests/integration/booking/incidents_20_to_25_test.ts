import assert from "node:assert/strict";
import {
  addDays,
  buildPartialSnapshot,
  buildSnapshot,
  complete,
  days,
  EVENT_DAY,
  RIG_DAY,
} from "../../support/booking_builder.ts";
import { pgArray, useDatabase } from "../../support/booking_database.ts";
import {
  decodeAnswer,
  decodePage,
  eventflowBooking,
  foundAnswer,
  tombstoneAnswer,
} from "../../support/eventflow_answer.ts";
import { only } from "../../support/tenant.ts";

const test = useDatabase();

test("incident 20: five writers at once make one packing project", async (db) => {
  const tenant = await db.tenant();
  const { booking_id } = await tenant.applyOne(buildSnapshot());
  const booking_ids = pgArray([Number(booking_id)]);
  await Promise.all(
    Array.from(
      { length: 5 },
      (_, index) =>
        index % 2 === 0
          ? db.rpc("project_bookings", { booking_ids })
          : tenant.applyOne(buildSnapshot({ booking: { title: `Fest ${index}` } })),
    ),
  );
  assert.equal((await tenant.select("packing_projects", "id")).length, 1);
  await assert.rejects(
    db.query(
      `insert into public.packing_projects (organization_id, booking_id, name) values ($1, $2, 'two')`,
      [tenant.id, booking_id],
    ),
    { code: "23505" },
    "no constraint forbids a second project",
  );
});

test("incident 20: five first imports at once make one booking and one project", async (db) => {
  const tenant = await db.tenant();
  const verdicts = await Promise.all(
    Array.from({ length: 5 }, () => tenant.applyOne(buildSnapshot())),
  );
  const found = verdicts.map(({ verdict }) => verdict).sort();
  assert.deepEqual(found.filter((verdict) => verdict === "created").length, 1, String(found));
  for (const table of ["bookings", "packing_projects"]) {
    assert.equal((await tenant.select(table, "id")).length, 1, table);
  }
});

test("incident 21: cancelling ends alike by tombstone and by list", async (db) => {
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

test("incident 21: what was cancelled can be confirmed again, with everything", async (db) => {
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

test("incident 22: a job stuck at its last attempt does not swallow later webhooks", async (db) => {
  const tenant = await db.tenant();
  const stuck = await tenant.receive("booking-1");
  await db.query(
    "update sync.deliveries set attempts = 9, leased_until = now() - interval '1 s' where id = $1",
    [stuck.delivery_id],
  );
  const next = await tenant.receive("booking-1");
  assert.equal(next.outcome, "claimed", "the dead worker's lease still blocks the booking");
  const { delivery_id, lease_token } = next;
  const verdict = await tenant.applyOne(buildSnapshot(), { delivery_id, lease_token });
  assert.equal(verdict.verdict, "created");
  const late = await tenant.applyOne(buildSnapshot({ booking: { title: "Sent" } }), {
    delivery_id: stuck.delivery_id,
    lease_token: stuck.lease_token,
  });
  assert.equal(late.verdict, "lease_lost", "a worker without its lease applied something");
});

test("incident 22: a job that dies at its last attempt becomes a dead letter", async (db) => {
  const tenant = await db.tenant();
  const stuck = await tenant.receive("booking-1");
  await db.query(
    "update sync.deliveries set attempts = 9, leased_until = now() - interval '1 s' where id = $1",
    [stuck.delivery_id],
  );
  assert.deepEqual(await db.rpc("claim_deliveries", {}), []);
  const ended = await db.query(
    "select status, attempts, last_error ->> 'code' as code from sync.deliveries where id = $1",
    [stuck.delivery_id],
  );
  assert.deepEqual(ended, [{ status: "dead", attempts: 9, code: "lease_expired" }]);
});

test("incident 23: a booking without dates lands and freezes no cursor", async (db) => {
  const tenant = await db.tenant();
  const page = decodePage(tenant, [
    eventflowBooking({ id: "dated" }),
    { id: "dateless", title: "Utan datum", status: "CONFIRMED" },
    eventflowBooking({ id: "broken", event_dates: ["2027-13-45"] }),
  ]);
  assert.deepEqual(page.invalid.map(({ external_id, field }) => [external_id, field]), [
    ["broken", "event_dates[0]"],
  ]);
  const run = only(
    await db.rpc("begin_run", {
      organization_id: tenant.id,
      source: "eventflow",
      mode: "incremental",
    }),
  );
  const lease = { run_id: run.run_id, lease_token: run.lease_token };
  const verdicts = await db.rpc("checkpoint_run", {
    ...lease,
    checkpoint: {},
    counters: {},
    snapshots: page.snapshots,
  });
  assert.deepEqual(verdicts.map(({ verdict }) => verdict), ["created", "created"]);
  await db.rpc("finish_run", { ...lease, status: "completed" });
  const [connection] = await tenant.select(
    "sync.connections",
    "cursor is not null as moved",
    "and source = 'eventflow'",
  );
  assert.deepEqual(connection, { moved: true });
});

test("incident 24: a pause burns no attempt and loses nothing", async (db) => {
  const tenant = await db.tenant();
  const running = await tenant.receive("booking-1");
  const place = { organization_id: tenant.id, source: "eventflow" };
  await db.rpc("pause_connection", { ...place, reason: "maintenance" });
  const paused = await tenant.applyOne(buildSnapshot(), {
    delivery_id: running.delivery_id,
    lease_token: running.lease_token,
  });
  assert.equal(paused.verdict, "paused");
  const waiting = await tenant.receive("booking-2");
  assert.deepEqual([waiting.outcome, waiting.reason], ["deferred", "paused"]);
  const given = only(
    await db.rpc("finish_delivery", {
      delivery_id: running.delivery_id,
      lease_token: running.lease_token,
      status: "pending",
      last_error: { code: "sync_paused" },
    }),
  );
  assert.deepEqual([given.status, given.attempts], ["pending", 0]);
  for (let tick = 0; tick < 20; tick++) {
    assert.deepEqual(await db.rpc("claim_deliveries", {}), []);
  }
  await db.rpc("resume_connection", place);
  const claimed = await db.rpc("claim_deliveries", {});
  assert.deepEqual(
    claimed.map(({ external_id, attempts }) => [external_id, attempts]).sort(),
    [["booking-1", 1], ["booking-2", 1]],
  );
});

test("incident 25: a partial payload changes only what it says", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(decodeAnswer(tenant, foundAnswer(eventflowBooking())));
  const read = () => tenant.select("bookings", "status::text, source_notes, client_name, title");
  const before = only(await read());
  const partial = foundAnswer({ id: "booking-1", title: "Bara titeln" });
  const { changes } = await tenant.applyOne(decodeAnswer(tenant, partial));
  assert.deepEqual(only(await read()), { ...before, title: "Bara titeln" });
  assert.deepEqual(changes.bookings, { created: 0, updated: 1, marked_missing: 0 });
  const active = await tenant.select("calendar_events", "title", "and active");
  assert.equal(active.length, 3);
});

test("incident 25: three things in every field: absent keeps, null clears, a value sets", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ dates: days(["rig", RIG_DAY, "08:00:00", "09:00:00"]) }));
  await tenant.applyOne(buildPartialSnapshot({
    booking: { source_notes: null, title: "", contact_name: "Ny" },
    dates: days(["rig", RIG_DAY, null]),
    products: { complete: false, items: [{ external_id: "tent", unit_price: null, sku: "T-1" }] },
    attachments: { complete: false, items: [{ url: "u:a", url_key: "u:a", file_name: null }] },
  }));
  assert.deepEqual(
    await tenant.select("bookings", "source_notes, title, contact_name, client_name, status::text"),
    [{
      source_notes: null,
      title: "",
      contact_name: "Ny",
      client_name: "Malmö Stad",
      status: "CONFIRMED",
    }],
  );
  assert.deepEqual(await tenant.select("booking_dates", "start_time::text, end_time::text"), [
    { start_time: null, end_time: "09:00:00" },
  ]);
  assert.deepEqual(
    await tenant.select(
      "booking_products",
      "name, quantity, unit_price, sku, vat_rate",
      "order by id",
    ),
    [
      { name: "Tält 6x9", quantity: 2, unit_price: null, sku: "T-1", vat_rate: 25 },
      { name: "Stol", quantity: 40, unit_price: 12, sku: null, vat_rate: 25 },
    ],
  );
});

test("incident 25: an absent list, and a day left out of one that is not whole, say nothing", async (db) => {
  const tenant = await db.tenant();
  const range = days(["event", EVENT_DAY], ["event", addDays(EVENT_DAY, 1)]);
  await tenant.applyOne(buildSnapshot({ dates: complete(range) }));
  const read = () => tenant.select("booking_dates", "id, day::text, source_missing_since");
  const before = await read();
  await tenant.applyOne(buildSnapshot({ dates: undefined, products: undefined }));
  await tenant.applyOne(buildSnapshot({ dates: days(["event", EVENT_DAY]) }));
  assert.deepEqual(await read(), before);
});
