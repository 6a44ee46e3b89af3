import { buildPartialSnapshot, buildSnapshot, EVENT_DAY } from "../../support/booking_builder.ts";
import { pgArray, useDatabase } from "../../support/booking_database.ts";
import { asUser } from "../../support/tenant.ts";
import assert from "node:assert/strict";

const test = useDatabase();

test("incident: two writers for warehouse events: warehouse events have one writer, and a person's times stay", async (db) => {
  const tenant = await db.tenant();
  const { booking_id } = await tenant.applyOne(buildSnapshot());
  await tenant.asPlanner((sql) =>
    sql.query(
      `update public.warehouse_events set starts_at = starts_at + interval '30 minutes'
       where event_type = 'delivery'`,
    )
  );
  const read = () =>
    tenant.select("warehouse_events", "id, event_type, starts_at, adjusted_at", "order by id");
  const before = await read();
  assert.equal(before.length, 6);
  for (let again = 0; again < 3; again++) {
    await db.rpc("project_bookings", { booking_ids: pgArray([Number(booking_id)]) });
    await tenant.applyOne(buildSnapshot({ booking: { title: `Fest ${again}` } }), { force: true });
  }
  assert.deepEqual(await read(), before);
  const insert = tenant.asPlanner((sql) =>
    sql.query(
      `insert into public.warehouse_events
         (organization_id, booking_id, event_type, basis_day, starts_at, ends_at, title)
       values ($1, $2, 'delivery', current_date, now(), now() + interval '1 hour', 'mine')`,
      [tenant.id, booking_id],
    )
  );
  await assert.rejects(insert, { code: "42501" });
});

test("incident: local notes overwritten: the source's notes never touch the planners'", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  await tenant.asPlanner((sql) => sql.query("update public.bookings set planner_notes = 'Vårt'"));
  // Not even a statement that names the planners' column.
  const names = { source_notes: "Deras", planner_notes: "Deras" } as { source_notes: string };
  await tenant.applyOne(buildSnapshot({ booking: names }));
  await tenant.applyOne(buildPartialSnapshot({ booking: { source_notes: null } }));
  assert.deepEqual(await tenant.select("bookings", "planner_notes, source_notes"), [
    { planner_notes: "Vårt", source_notes: null },
  ]);
});

test("incident: local notes overwritten: no statement reaches a column that is not the source's", async (db) => {
  const tenant = await db.tenant();
  const other = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const foreign = {
    id: 999_999,
    organization_id: other.id,
    source: "headout",
    created_at: "2001-01-01T00:00:00Z",
    updated_at: "2001-01-01T00:00:00Z",
    is_stub: true,
    confirmed_at: null,
    cancelled_at: "2001-01-01T00:00:00Z",
    source_missing_since: "2001-01-01T00:00:00Z",
    title: "Nytt",
  };
  const read = () =>
    tenant.select(
      "bookings",
      `id, organization_id, source::text, created_at, is_stub, confirmed_at, cancelled_at,
       source_missing_since`,
    );
  const before = await read();
  const { verdict } = await tenant.applyOne(buildSnapshot({
    booking: foreign as { title: string },
    products: { complete: false, items: [{ external_id: "tent", ...foreign } as never] },
    dates: { complete: false, items: [{ phase: "rig", day: EVENT_DAY, ...foreign } as never] },
  }));
  assert.equal(verdict, "updated");
  assert.deepEqual(await read(), before);
  assert.deepEqual(await other.select("bookings", "id"), []);
  for (const table of ["booking_products", "booking_dates"]) {
    const marked = await tenant.select(table, "id", "and source_missing_since is not null");
    assert.deepEqual(marked, [], table);
  }
});

/** Columns that planners write, each with a value of theirs. */
const planners: readonly (readonly [table: string, column: string, value: string])[] = [
  ["bookings", "planner_notes", "'mitt'"],
  ["calendar_events", "resource_id", "'team 1'"],
  ["calendar_events", "times_locked", "true"],
  ["calendar_events", "adjusted_at", "'2026-01-01Z'"],
  ["calendar_events", "ends_at", "ends_at + interval '1 hour'"],
  ["calendar_events", "starts_at", "starts_at - interval '1 hour'"],
  ["warehouse_events", "starts_at", "starts_at - interval '1 hour'"],
  ["warehouse_events", "ends_at", "ends_at + interval '1 hour'"],
  ["warehouse_events", "adjusted_at", "'2026-01-01Z'"],
  ["packing_projects", "status", "'delivered'"],
  ["packing_tasks", "completed_at", "'2026-01-01Z'"],
  ["packing_tasks", "due_on", "due_on - 1"],
  ["packing_tasks", "adjusted_at", "'2026-01-01Z'"],
  ["packing_items", "quantity_packed", "1"],
  ["packing_items", "quantity_returned", "1"],
  ["packing_items", "packed_at", "'2026-01-01Z'"],
  ["packing_items", "excluded", "true"],
  ["packing_items", "notes", "'mitt'"],
];

for (const [table, column, value] of planners) {
  test(`rule: a person's work is never overwritten: ${table}.${column} is the planner's, and a sync leaves it`, async (db) => {
    const tenant = await db.tenant();
    await tenant.applyOne(buildSnapshot());
    const written = await tenant.asPlanner((sql) =>
      sql.query(`update public.${table} set ${column} = ${value} returning id`)
    );
    assert.ok(written.length > 0, "the planner may not write it");
    const read = () => tenant.select(table, `id, ${column} as value`, "order by id");
    const before = await read();
    // Everything that can be changed is, then the booking goes away and comes back.
    const other = buildSnapshot({
      booking: {
        title: "Annat",
        client_name: "Annan",
        delivery_address: "Annan väg",
        source_notes: "Annat",
      },
      products: {
        complete: true,
        items: [{ external_id: "tent", quantity: 9 }, { external_id: "new", quantity: 1 }],
      },
    });
    await tenant.applyOne(other);
    await tenant.applyOne(buildPartialSnapshot({ booking: { status: "CANCELLED" } }));
    await tenant.applyOne(buildSnapshot());
    const after = await read();
    const kept = after.filter(({ id }) => before.some((row) => row.id === id));
    assert.deepEqual(kept, before);
    const history = await tenant.select(
      "booking_history",
      "actor_id, verdict",
      "and actor = 'planner' limit 1",
    );
    assert.deepEqual(history, [{ actor_id: tenant.userId, verdict: "updated" }]);
  });
}

/** Columns of other owners, which no person may write. */
const forbidden: readonly (readonly [table: string, column: string])[] = [
  ["bookings", "title"],
  ["bookings", "status"],
  ["bookings", "source_notes"],
  ["booking_dates", "day"],
  ["booking_products", "quantity"],
  ["booking_attachments", "url"],
  ["booking_history", "changes"],
  ["calendar_events", "title"],
  ["calendar_events", "active"],
  ["calendar_events", "derived_starts_at"],
  ["warehouse_events", "active"],
  ["packing_projects", "needs_review"],
  ["packing_tasks", "title"],
  ["packing_items", "quantity_to_pack"],
  ["packing_items", "active"],
  ["packing_change_requests", "new_quantity"],
];

for (const [table, column] of forbidden) {
  test(`rule: one writer per table: a person may not write ${table}.${column}`, async (db) => {
    const tenant = await db.tenant();
    const update = tenant.asPlanner((sql) =>
      sql.query(`update public.${table} set ${column} = ${column}`)
    );
    await assert.rejects(update, { code: "42501" });
  });
}

for (const table of ["bookings", "booking_products", "calendar_events", "packing_items"]) {
  test(`rule: a person's work is never overwritten: a person may not delete from ${table}`, async (db) => {
    const tenant = await db.tenant();
    const erase = tenant.asPlanner((sql) => sql.query(`delete from public.${table}`));
    await assert.rejects(erase, { code: "42501" });
  });
}

test("rule: identity is organization, source and external id: a planner of one organization sees and changes nothing of another", async (db) => {
  const [mine, theirs] = [await db.tenant(), await db.tenant()];
  await theirs.applyOne(buildSnapshot());
  const tables = [
    "bookings",
    "booking_dates",
    "booking_products",
    "booking_attachments",
    "booking_history",
    "calendar_events",
    "warehouse_events",
    "packing_projects",
    "packing_tasks",
    "packing_items",
    "packing_change_requests",
  ];
  for (const table of tables) {
    const seen = await mine.asPlanner((sql) => sql.query(`select * from public.${table}`));
    assert.deepEqual(seen, [], table);
  }
  const mark = await db.mark();
  await mine.asPlanner(async (sql) => {
    await sql.query("update public.bookings set planner_notes = 'mitt'");
    await sql.query("update public.packing_items set quantity_packed = 5");
    await sql.query("update public.calendar_events set resource_id = 'mitt'");
  });
  assert.deepEqual(await db.writtenSince(mark), {});
  const [project] = await theirs.select("packing_projects", "id");
  const insert = mine.asPlanner((sql) =>
    sql.query(
      `insert into public.packing_items (organization_id, packing_project_id, manual_name)
       values ($1, $2, 'Inbrott')`,
      [theirs.id, project?.id],
    )
  );
  await assert.rejects(insert, { code: "42501" });
  const smuggled = mine.asPlanner((sql) =>
    sql.query(
      `insert into public.packing_items (organization_id, packing_project_id, manual_name)
       values ($1, $2, 'Inbrott')`,
      [mine.id, project?.id],
    )
  );
  await assert.rejects(smuggled, { code: "23503" });
});

test("rule: identity is organization, source and external id: someone without a membership sees nothing", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const seen = await asUser(
    db,
    crypto.randomUUID(),
    (sql) => sql.query("select id from public.bookings"),
  );
  assert.deepEqual(seen, []);
});

test("rule: a person's work is never overwritten: activities, todos and manual rows of planners are theirs", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  await tenant.asPlanner(async (sql) => {
    for (const kind of ["activity", "todo"]) {
      await sql.query(
        `insert into public.calendar_events (organization_id, event_type, day, starts_at, ends_at, title)
         values ($1, $2, '2027-06-10', '2027-06-10 08:00Z', '2027-06-10 09:00Z', 'Möte')`,
        [tenant.id, kind],
      );
    }
  });
  const read = () =>
    tenant.select(
      "calendar_events",
      "to_jsonb(calendar_events) as row",
      "and booking_id is null order by id",
    );
  const before = await read();
  assert.equal(before.length, 2);
  await tenant.applyOne(buildSnapshot({ booking: { title: "Annat", status: "CANCELLED" } }));
  assert.deepEqual(await read(), before);
  const forged = tenant.asPlanner((sql) =>
    sql.query(
      `insert into public.calendar_events (organization_id, event_type, day, starts_at, ends_at, title)
       values ($1, 'rig', '2027-06-10', '2027-06-10 08:00Z', '2027-06-10 09:00Z', 'Falsk')`,
      [tenant.id],
    )
  );
  await assert.rejects(forged, { code: "42501" });
});

test("rule: every function checks its caller: nobody but the service calls the functions", async (db) => {
  const tenant = await db.tenant();
  const calls = [
    `select * from public.apply_snapshots('${tenant.id}', 'eventflow', '[]')`,
    `select * from public.project_bookings('{1}')`,
    `select * from public.receive_delivery('x', 'eventflow')`,
    `select * from public.claim_deliveries()`,
    `select * from public.explain_booking(1)`,
    `select * from public.sync_status()`,
    `select * from public.replay_deliveries(status => 'dead')`,
    `select * from public.release_held_changes('{1}', 'me')`,
    `select * from sync.deliveries`,
    `select sync.headout_status('PENDING')`,
  ];
  for (const sql of calls) {
    for (const role of ["anon", "authenticated"]) {
      const call = db.database.transaction(async (inner) => {
        await inner.query(`set local role ${role}`);
        await inner.query(sql);
      });
      await assert.rejects(call, { code: "42501" }, `${role}: ${sql}`);
    }
  }
  const granted = await db.query(
    `select p.oid::regprocedure::text as name from pg_proc p
     join pg_namespace n on n.oid = p.pronamespace
     where (n.nspname = 'sync' or n.nspname = 'public' and not exists
         (select from pg_depend d where d.objid = p.oid and d.deptype = 'e'))
       and (has_function_privilege('anon', p.oid, 'execute')
         or has_function_privilege('authenticated', p.oid, 'execute'))`,
  );
  assert.deepEqual(granted, [], "somebody else may call these");
});

const unfit: Readonly<Record<string, readonly [sql: string, values: readonly unknown[]]>> = {
  "a link that is a script": [
    "insert into public.booking_attachments (organization_id, booking_id, url, url_key, origin) values ($1, $2, $3, 'x', 'user')",
    ["javascript:alert(1)"],
  ],
  "a link that is a file in Storage": [
    "insert into public.booking_attachments (organization_id, booking_id, url, url_key, origin) values ($1, $2, $3, 'x', 'user')",
    ["storage:abc"],
  ],
  "a quantity that is no number": [
    "update public.packing_items set quantity_packed = $3::numeric where organization_id = $1 and $2 > 0",
    ["NaN"],
  ],
  "an endless quantity": [
    "update public.packing_items set quantity_returned = $3::numeric where organization_id = $1 and $2 > 0",
    ["Infinity"],
  ],
  "a negative quantity": [
    "update public.packing_items set quantity_packed = $3::numeric where organization_id = $1 and $2 > 0",
    ["-1"],
  ],
  "notes of 50,000 characters": [
    "update public.bookings set planner_notes = repeat($3, 50000) where organization_id = $1 and id = $2",
    ["x"],
  ],
  "a manual item without a name": [
    "insert into public.packing_items (organization_id, packing_project_id, manual_name) select $1, p.id, $3 from public.packing_projects p where p.booking_id = $2",
    [""],
  ],
};

for (const [what, [sql, values]] of Object.entries(unfit)) {
  test(`rule: a person's work is never overwritten: what no row may hold is refused: ${what}`, async (db) => {
    const tenant = await db.tenant();
    const { booking_id } = await tenant.applyOne(buildSnapshot());
    const write = tenant.asPlanner((each) => each.query(sql, [tenant.id, booking_id, ...values]));
    await assert.rejects(write, { code: "23514" });
  });
}
