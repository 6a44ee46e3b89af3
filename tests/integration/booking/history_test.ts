import {
  buildPartialSnapshot,
  buildSnapshot,
  days,
  RIG_DAY,
} from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { only } from "../../support/tenant.ts";
import assert from "node:assert/strict";

const test = useDatabase();

test("rule: every change can be explained: every change says who, when, by which delivery, and what before and after", async (db) => {
  const tenant = await db.tenant();
  const first = await tenant.receive("booking-1");
  const { booking_id } = await tenant.applyOne(buildSnapshot(), {
    delivery_id: first.delivery_id,
    lease_token: first.lease_token,
  });
  await tenant.asPlanner((sql) => sql.query("update public.bookings set planner_notes = 'Vårt'"));
  const second = await tenant.receive("booking-1");
  await tenant.applyOne(buildSnapshot({ booking: { title: "Höstfest" } }), {
    delivery_id: second.delivery_id,
    lease_token: second.lease_token,
  });
  const history = await tenant.select<Record<string, unknown>>(
    "booking_history",
    "actor, actor_id, delivery_id, verdict, changes",
    "order by id",
  );
  assert.deepEqual(history.slice(1), [
    {
      actor: "planner",
      actor_id: tenant.userId,
      delivery_id: null,
      verdict: "updated",
      changes: { "bookings.planner_notes": [null, "Vårt"] },
    },
    {
      actor: "webhook",
      actor_id: null,
      delivery_id: second.delivery_id,
      verdict: "updated",
      changes: { "bookings.title": ["Sommarfest", "Höstfest"] },
    },
  ]);
  const told = await db.rpc("explain_booking", { booking_id });
  const words = told.map(({ summary }) => String(summary)).join("\n");
  for (const said of ["title: Sommarfest → Höstfest", tenant.userId, "planner_notes"]) {
    assert.ok(words.includes(said), `${said} is not told:\n${words}`);
  }
});

test("incident: changed times unnoticed: a change of any field at all is noticed and named", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 1000 });
  await tenant.applyOne(buildSnapshot());
  const changes: Record<string, unknown> = {
    booking_number: "2705-38",
    title: "Höstfest",
    client_name: "Lunds Stad",
    source_status: "Confirmed",
    delivery_address: "Storgatan 2",
    delivery_city: "Lund",
    delivery_postal_code: "222 33",
    latitude: 55.7,
    longitude: 13.2,
    contact_name: "Göran Ek",
    contact_phone: "+46709999999",
    contact_email: "goran@example.se",
    carry_more_than_10m: true,
    ground_nails_allowed: false,
    exact_time_needed: true,
    exact_time_info: "07.30",
    rental_only: true,
    source_notes: "Ring inte.",
    economics: { total_ex_vat: 45001 },
    price_amount: 12.5,
    price_currency: "SEK",
    partner_reference: "P-1",
    map_drawing_url: "https://files.example/map2.png",
    extra: { campaign: "höst" },
  };
  for (const [field, value] of Object.entries(changes)) {
    const { verdict } = await tenant.applyOne(buildSnapshot({ booking: { [field]: value } }));
    assert.equal(verdict, "updated", field);
    const [entry] = await tenant.select<{ changes: Record<string, unknown[]> }>(
      "booking_history",
      "changes",
      "order by id desc limit 1",
    );
    assert.deepEqual(entry?.changes[`bookings.${field}`]?.[1], value, `history of ${field}`);
  }
});

test("incident: changed times unnoticed: a changed time alone moves the calendar", async (db) => {
  const tenant = await db.tenant();
  const at = (start: string) => buildSnapshot({ dates: days(["rig", RIG_DAY, start, "16:00:00"]) });
  await tenant.applyOne(at("08:00:00"));
  assert.equal((await tenant.applyOne(at("09:30:00"))).verdict, "updated");
  const [event] = await tenant.select(
    "calendar_events",
    "to_char(starts_at at time zone 'Europe/Stockholm', 'HH24:MI') as starts",
    "and event_type = 'rig'",
  );
  assert.deepEqual(event, { starts: "09:30" });
});

test("incident: customers found the drift first: drift is found field by field, explained and mended", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const missed = buildPartialSnapshot({ booking: { title: "Ny titel", client_name: "Ny kund" } });
  const found = await reconcile(false);
  assert.deepEqual(
    found.map(({ field, theirs, ours, cause }) => [field, theirs, ours, cause]),
    [
      ["bookings.client_name", "Ny kund", "Malmö Stad", "missed_webhook"],
      ["bookings.title", "Ny titel", "Sommarfest", "missed_webhook"],
    ],
  );
  assert.deepEqual(await tenant.select("bookings", "title"), [{ title: "Sommarfest" }]);
  const mended = await reconcile(true);
  assert.ok(mended.length === 2 && mended.every(({ repaired_at }) => repaired_at !== null));
  assert.deepEqual(await tenant.select("bookings", "title"), [{ title: "Ny titel" }]);
  assert.deepEqual(await reconcile(false), []);

  async function reconcile(repair: boolean) {
    const run = only(
      await db.rpc("begin_run", {
        organization_id: tenant.id,
        source: "eventflow",
        mode: "reconcile",
        parameters: { repair },
      }),
    );
    const lease = { run_id: run.run_id, lease_token: run.lease_token };
    const snapshots = [{ ...missed, fetched_at: new Date().toISOString() }];
    await db.rpc("checkpoint_run", { ...lease, checkpoint: {}, counters: {}, snapshots });
    await db.rpc("finish_run", { ...lease, status: "completed" });
    return await db.rpc("list_drift", { run_id: run.run_id });
  }
});
