import assert from "node:assert/strict";
import {
  attachments,
  buildPartialSnapshot,
  buildSnapshot,
  complete,
  days,
  EVENT_DAY,
  products,
  reread,
  RIG_DAY,
  secondsAgo,
} from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { only } from "../../support/tenant.ts";

const test = useDatabase();

test("apply_snapshots() says created, updated, unchanged, stale and invalid", async (db) => {
  const tenant = await db.tenant();
  const first = buildSnapshot({ fetched_at: secondsAgo(60) });
  const second = buildSnapshot({ fetched_at: secondsAgo(30), booking: { title: "Nytt" } });
  assert.equal((await tenant.applyOne(first)).verdict, "created");
  assert.equal((await tenant.applyOne(second)).verdict, "updated");
  assert.equal((await tenant.applyOne(reread(second))).verdict, "unchanged");
  assert.equal((await tenant.applyOne(first)).verdict, "stale");
  const broken = buildSnapshot({ booking: { latitude: "norr" as unknown as number } });
  const invalid = await tenant.applyOne(broken);
  assert.equal(invalid.verdict, "invalid");
  assert.deepEqual([invalid.error?.code, invalid.error?.field], [
    "unstorable_snapshot",
    "booking.latitude",
  ]);
});

test("apply_snapshots() names the organization that it does not know", async (db) => {
  const rows = await db.rpc("apply_snapshots", {
    organization_id: crypto.randomUUID(),
    source: "eventflow",
    snapshots: [buildSnapshot()],
  });
  assert.equal(rows[0]?.verdict, "unknown_organization");
});

test("apply_snapshots() names the booking of every verdict it reaches", async (db) => {
  const tenant = await db.tenant();
  const created = await tenant.applyOne(buildSnapshot());
  const alone = await tenant.applyOne(reread(buildSnapshot()));
  const fresh = buildSnapshot({ external_id: "another" });
  const [beside] = await tenant.apply([reread(buildSnapshot()), fresh]);
  assert.equal(beside?.booking_id, created.booking_id, "unchanged beside a new one");
  assert.equal(alone.booking_id, created.booking_id, "unchanged alone");
});

test("apply_snapshots() writes no row the second time", async (db) => {
  const tenant = await db.tenant();
  const page = ["a", "b", "c"].map((external_id) =>
    buildSnapshot({ external_id, source_version: 3, source_updated_at: "2026-08-04T17:11:00Z" })
  );
  await tenant.apply(page);
  const mark = await db.mark();
  for (let again = 0; again < 3; again++) {
    const verdicts = await tenant.apply(page.map(reread));
    assert.ok(verdicts.every(({ verdict }) => verdict === "unchanged"));
  }
  assert.deepEqual(await db.writtenSince(mark), {});
});

test("apply_snapshots() writes no row the second time, an hour later either", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  await db.query(
    "update sync.connections set last_success_at = now() - interval '1 hour' where organization_id = $1",
    [tenant.id],
  );
  const mark = await db.mark();
  await tenant.applyOne(reread(buildSnapshot()));
  assert.deepEqual(await db.writtenSince(mark), {});
});

test("apply_snapshots() compares with the rows where it is forced to, and writes none", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ products: complete(products({ external_id: "a" })) }));
  const mark = await db.mark();
  const same = buildSnapshot({ products: complete(products({ external_id: "a" })) });
  const verdict = await tenant.applyOne(same, { force: true });
  assert.deepEqual([verdict.verdict, verdict.changes], ["unchanged", {}]);
  assert.deepEqual(await db.writtenSince(mark), { "sync.source_states": 1 });
});

test("apply_snapshots() writes one row for equal content at a newer revision", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot({ source_version: 1 }));
  const mark = await db.mark();
  const verdict = await tenant.applyOne(buildSnapshot({ source_version: 2 }));
  assert.equal(verdict.verdict, "unchanged");
  assert.deepEqual(await db.writtenSince(mark), { "sync.source_states": 1 });
  assert.deepEqual(await tenant.select("sync.source_states", "source_version"), [
    { source_version: 2 },
  ]);
});

test("apply_snapshots() takes the newer of two snapshots of one booking, in any order", async (db) => {
  for (const newestFirst of [true, false]) {
    const tenant = await db.tenant();
    const old = buildSnapshot({ source_version: 1, booking: { title: "Gammal" } });
    const young = buildSnapshot({ source_version: 2, booking: { title: "Ny" } });
    const page = newestFirst ? [young, old] : [old, young];
    const verdicts = (await tenant.apply(page)).map(({ verdict }) => verdict);
    assert.deepEqual(verdicts, newestFirst ? ["created", "stale"] : ["stale", "created"]);
    assert.deepEqual(await tenant.select("bookings", "title"), [{ title: "Ny" }]);
  }
});

test("apply_snapshots() writes history with each field before and after", async (db) => {
  const tenant = await db.tenant();
  const run = only(
    await db.rpc("begin_run", { organization_id: tenant.id, source: "eventflow", mode: "full" }),
  );
  await tenant.applyOne(buildSnapshot({
    dates: complete(days(["rig", RIG_DAY, "08:00:00"], ["event", EVENT_DAY])),
    products: complete(products({ external_id: "tent", quantity: 2 }, { external_id: "chair" })),
    attachments: complete(attachments({ url: "https://x.example/a.pdf?1", file_name: "A" })),
  }));
  await tenant.applyOne(
    buildSnapshot({
      booking: { title: "Höstfest", source_notes: null },
      dates: complete(days(["rig", RIG_DAY, "09:00:00"])),
      products: complete(products({ external_id: "tent", quantity: 3, tags: ["x"] }, {
        external_id: "bar",
        name: "Bar",
      })),
      attachments: complete(attachments({ url: "https://x.example/a.pdf?2", file_name: "B" })),
    }),
    { run_id: String(run.run_id) },
  );
  const [entry] = await tenant.select<{ changes: Record<string, unknown[]> }>(
    "booking_history",
    "actor, run_id, delivery_id, verdict, changes",
    "order by id desc limit 1",
  );
  const { changes, ...about } = entry ?? { changes: {} };
  assert.deepEqual(about, {
    actor: "import",
    run_id: run.run_id,
    delivery_id: null,
    verdict: "updated",
  });
  const gone = [`booking_dates[event ${EVENT_DAY}]`, "booking_products[chair]"]
    .map((child) => `${child}.source_missing_since`);
  for (const key of gone) {
    assert.deepEqual(changes[key]?.[0], null, key);
    assert.ok(typeof changes[key]?.[1] === "string", key);
    delete changes[key];
  }
  assert.deepEqual(changes, {
    "bookings.title": ["Sommarfest", "Höstfest"],
    "bookings.source_notes": ["Ring en timme före.", null],
    [`booking_dates[rig ${RIG_DAY}].start_time`]: ["08:00:00", "09:00:00"],
    "booking_products[tent].quantity": [2, 3],
    "booking_products[tent].tags": [[], ["x"]],
    "booking_products[bar].*": [null, { name: "Bar" }],
    "booking_attachments[https://x.example/a.pdf].file_name": ["A", "B"],
  });
});

test("apply_snapshots() tells a dry run exactly what a real one does, and writes nothing", async (db) => {
  const tenant = await db.tenant();
  const before = await tenant.applyOne(buildSnapshot());
  const next = buildSnapshot({
    booking: { title: "Höstfest" },
    products: products({ external_id: "tent", quantity: 5 }),
  });
  const mark = await db.mark();
  const dry = await tenant.applyOne(next, { dry_run: true });
  assert.deepEqual(await db.writtenSince(mark), {});
  assert.deepEqual([dry.verdict, dry.booking_id], ["updated", before.booking_id]);
  const listed = dry.changes.map((change: Record<string, unknown>) =>
    [change.table, change.operation].join(" ")
  );
  const counts: Record<string, Record<string, number>> = {};
  for (const { table, operation } of dry.changes) {
    counts[table] ??= { created: 0, updated: 0, marked_missing: 0 };
    counts[table][operation] = (counts[table][operation] ?? 0) + 1;
  }
  assert.ok(listed.includes("calendar_events updated"), String(listed));
  const title = dry.changes.find((change: Record<string, unknown>) => change.table === "bookings");
  assert.deepEqual(title.fields, { title: ["Sommarfest", "Höstfest"] });
  assert.deepEqual((await tenant.applyOne(next)).changes, counts);
});

test("apply_snapshots() keeps a booking's identity when its number goes to another", async (db) => {
  const tenant = await db.tenant();
  const number = { booking: { booking_number: "2605-37" } };
  await tenant.applyOne(buildSnapshot({ external_id: "old", ...number }));
  await tenant.applyOne(buildSnapshot({ external_id: "new", ...number }));
  assert.equal((await tenant.select("bookings", "id")).length, 2);
});

test("apply_snapshots() makes a first statement without a status PENDING", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildPartialSnapshot({ booking: { title: "Utan status" } }));
  assert.deepEqual(await tenant.select("bookings", "status::text, confirmed_at"), [
    { status: "PENDING", confirmed_at: null },
  ]);
});

test("apply_snapshots() adopts children that came before their parent", async (db) => {
  const tenant = await db.tenant();
  const child = { external_id: "child", parent_external_id: "parent", is_package_component: true };
  await tenant.applyOne(buildSnapshot({ products: products({ ...child, quantity: 3 }) }));
  await tenant.applyOne(
    buildSnapshot({ products: products({ external_id: "parent", quantity: 4 }) }),
  );
  const packed = await db.query(
    `select p.external_id, i.quantity_to_pack, q.external_id as parent
     from public.packing_items i join public.booking_products p on p.id = i.booking_product_id
     left join public.booking_products q on q.id = p.parent_id
     where i.organization_id = $1 and i.active`,
    [tenant.id],
  );
  assert.deepEqual(packed, [{ external_id: "child", quantity_to_pack: 12, parent: "parent" }]);
});
