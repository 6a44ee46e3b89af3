import assert from "node:assert/strict";
import {
  buildPartialSnapshot,
  buildSnapshot,
  complete,
  products,
} from "../../support/booking_builder.ts";
import { pgArray, useDatabase } from "../../support/booking_database.ts";
import type { Tenant } from "../../support/tenant.ts";

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

test("invariant 6: what is not said changes nothing, what is empty deletes nothing", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const { changes } = await tenant.applyOne(buildPartialSnapshot({
    dates: { complete: false, items: [] },
    products: { complete: false, items: [] },
    attachments: { complete: false, items: [] },
  }));
  assert.deepEqual(changes, {});
});

test("invariant 6: an empty list that is said to be whole marks, and deletes nothing", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const before = await tenant.select("booking_products", "id, quantity", "order by id");
  await tenant.applyOne(buildSnapshot({ products: complete(products()) }));
  assert.deepEqual(await tenant.select("booking_products", "id, quantity", "order by id"), before);
  const marked = await tenant.select("booking_products", "id", "and source_missing_since is null");
  assert.deepEqual(marked, []);
});

test("invariant 7: every path into a connection counts against one budget", async (db) => {
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
  test(`invariant 7: leaving CONFIRMED for ${status} is a departure`, async (db) => {
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

test("invariant 7: the brakes of two sources and two organizations are their own", async (db) => {
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

test("invariant 7: a Headout event past the budget is held, and a released one passes", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  const { delivery_id, lease_token } = await tenant.event("7", "COMPLETED", "2026-06-01T10:00:00");
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

test("invariant 7: a dismissed hold does not come back for the same statement", async (db) => {
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

test("invariant 7: a hold ends when the source takes it back", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(buildSnapshot());
  await tenant.applyOne(cancel("booking-1"));
  await new Promise((resolve) => setTimeout(resolve, 5));
  await tenant.applyOne(buildSnapshot());
  const [hold] = await tenant.select("sync.held_changes", "dismissed_at is not null as gone, by");
  assert.deepEqual(hold, { gone: true, by: "system" });
});

test("invariant 7: the budget comes back after an hour", async (db) => {
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

test("invariant 9: equal external ids under two bookings are two rows", async (db) => {
  const tenant = await db.tenant();
  await tenant.apply(["a", "b"].map((external_id) => buildSnapshot({ external_id })));
  for (const [table, count] of [["booking_products", 4], ["booking_attachments", 2]] as const) {
    assert.equal((await tenant.select(table, "id")).length, count, table);
  }
});

test("invariant 10: every unique rule is a constraint of the database", async (db) => {
  const found = await db.query<{ rule: string }>(
    `select replace(i.indrelid::regclass::text, 'public.', '') || ' ' ||
       (select string_agg(a.attname, ', ' order by k.n) from unnest(i.indkey) with ordinality k (num, n)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num)
       || coalesce(' where ' || pg_get_expr(i.indpred, i.indrelid), '') as rule
     from pg_index i join pg_class c on c.oid = i.indrelid
     join pg_namespace n on n.oid = c.relnamespace
     where i.indisunique and n.nspname in ('public', 'sync')`,
  );
  const rules = new Set(found.map(({ rule }) => rule));
  const expected = [
    "bookings organization_id, source, external_id",
    "booking_dates booking_id, phase, day",
    "booking_products booking_id, external_id",
    "booking_attachments booking_id, url_key",
    "calendar_events booking_id, event_type, day",
    "warehouse_events booking_id, event_type, basis_day",
    "packing_projects booking_id",
    "packing_tasks packing_project_id, kind",
    "packing_items packing_project_id, booking_product_id",
    "packing_change_requests packing_project_id, booking_product_id, change_type where (status = 'pending'::text)",
    "sync.connections organization_id, source",
    "sync.deliveries dedupe_key where (status <> 'duplicate'::text)",
    "sync.deliveries connection_id, external_id where (status = 'processing'::text)",
    "sync.source_states organization_id, source, external_id",
    "sync.held_changes booking_id where ((released_at IS NULL) AND (dismissed_at IS NULL))",
  ];
  for (const rule of expected) assert.ok(rules.has(rule), `${rule} is missing: ${[...rules]}`);
});
