import assert from "node:assert/strict";
import { fullScale } from "../../support/scale.ts";
import { type TestStack, useStack } from "../../support/stack.ts";
import { eventflowBooking, runWell, seedBookings } from "./support.ts";

const stackTest = useStack();

interface Plant {
  readonly kind: string;
  /** SQL with the booking as `$1` (its id). */
  readonly sql?: string;
  /** What is done at the source. */
  readonly act?: (stack: TestStack, id: string) => Promise<unknown>;
  /** What the booking is at the source from the start. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** `[field, cause]` of everything that must be reported. */
  readonly found: readonly (readonly [string, string])[];
  /** What a repair leaves: all of `found` by default is mended. */
  readonly left?: readonly (readonly [string, string])[];
}

const missed = (...fields: string[]) => fields.map((field) => [field, "missed_webhook"] as const);
const projected = (...fields: string[]) => fields.map((field) => [field, "projection"] as const);
const column = (assignment: string): string =>
  `update public.bookings set ${assignment} where id = $1`;
const complete = { dates_complete: true, products_complete: true, attachments_complete: true };

const PLANTS: readonly Plant[] = [
  { kind: "a title", sql: column("title = 'annan'"), found: missed("bookings.title") },
  {
    kind: "a cleared client",
    sql: column("client_name = null"),
    found: missed("bookings.client_name"),
  },
  {
    kind: "a status",
    sql: column("status = 'PENDING', confirmed_at = null"),
    found: missed("bookings.status"),
  },
  { kind: "a number", sql: column("latitude = 1"), found: missed("bookings.latitude") },
  {
    kind: "a flag",
    fields: { rental_only: false },
    sql: column("rental_only = true"),
    found: missed("bookings.rental_only"),
  },
  { kind: "notes", sql: column("source_notes = 'x'"), found: missed("bookings.source_notes") },
  { kind: "economics", sql: column("economics = '{}'"), found: missed("bookings.economics") },
  { kind: "unknown fields", sql: column("extra = '{}'"), found: missed("bookings.extra") },
  {
    kind: "a mark that it is missing",
    sql: column("source_missing_since = now()"),
    found: missed("bookings.source_missing_since"),
  },
  {
    kind: "a day that is not here",
    sql: "delete from public.booking_dates where booking_id = $1 and day = '2027-06-20'",
    found: missed("booking_dates[event 2027-06-20].*"),
  },
  {
    kind: "a day that is not there",
    fields: complete,
    sql: `insert into public.booking_dates (organization_id, booking_id, phase, day)
      select organization_id, id, 'event', '2027-07-01' from public.bookings where id = $1`,
    found: missed("booking_dates[event 2027-07-01].source_missing_since"),
  },
  {
    kind: "a time of day",
    sql:
      "update public.booking_dates set start_time = '05:00' where booking_id = $1 and phase = 'event' and day = '2027-06-19'",
    found: missed("booking_dates[event 2027-06-19].start_time"),
  },
  {
    kind: "a quantity",
    sql:
      "update public.booking_products set quantity = 3 where booking_id = $1 and external_id = 'tent'",
    found: missed("booking_products[tent].quantity"),
  },
  {
    kind: "a price",
    sql:
      "update public.booking_products set unit_price = 3 where booking_id = $1 and external_id = 'tent'",
    found: missed("booking_products[tent].unit_price"),
  },
  {
    kind: "a product's name",
    sql:
      "update public.booking_products set name = 'x' where booking_id = $1 and external_id = 'chair'",
    found: missed("booking_products[chair].name"),
  },
  {
    kind: "a product that is not here",
    sql: `with item as (delete from public.packing_items i using public.booking_products p
        where p.id = i.booking_product_id and p.booking_id = $1 and p.external_id = 'chair')
      delete from public.booking_products where booking_id = $1 and external_id = 'chair'`,
    found: missed("booking_products[chair].*"),
  },
  {
    kind: "a product that is not there",
    fields: complete,
    sql: `insert into public.booking_products (organization_id, booking_id, external_id, name)
      select organization_id, id, 'lamp', 'Lampa' from public.bookings where id = $1`,
    found: missed("booking_products[lamp].source_missing_since"),
  },
  {
    kind: "a file that is not here",
    sql: "delete from public.booking_attachments where booking_id = $1",
    found: missed("booking_attachments[https://files.example/offert.pdf].*"),
  },
  {
    kind: "a file's name",
    sql: "update public.booking_attachments set file_name = 'x' where booking_id = $1",
    found: missed("booking_attachments[https://files.example/offert.pdf].file_name"),
  },
  {
    kind: "a booking that is not there",
    act: (stack, id) => stack.eventflow.delete(id),
    found: [["bookings.*", "missing_at_source"]],
    left: [["bookings.*", "missing_at_source"]],
  },
  {
    kind: "a cancellation that the brake holds",
    act: (stack, id) => stack.eventflow.cancel(id),
    found: [["bookings.status", "held"]],
    left: [["bookings.status", "held"]],
  },
  {
    kind: "an event that moved without a flag",
    act: (stack, id) => stack.eventflow.patch(id, { event_dates: ["2027-07-09"] }),
    found: missed(
      "booking_dates[event 2027-06-19].source_missing_since",
      "booking_dates[event 2027-06-20].source_missing_since",
      "booking_dates[event 2027-07-09].*",
    ),
  },
  {
    kind: "a phase that lost a day without a flag",
    act: (stack, id) => stack.eventflow.patch(id, { event_dates: ["2027-06-19"] }),
    found: [["booking_dates[event 2027-06-20].source_doubted_since", "doubted"]],
    left: [["booking_dates[event 2027-06-20].source_doubted_since", "doubted"]],
  },
  {
    kind: "a product that was taken back without a flag",
    act: (stack, id) =>
      stack.eventflow.patch(id, {
        products: [{ id: "tent", name: "Tält", quantity: 2, unit_price: 900 }],
      }),
    found: [["booking_products[chair].source_doubted_since", "doubted"]],
    left: [["booking_products[chair].source_doubted_since", "doubted"]],
  },
  {
    kind: "a file that was taken back without a flag",
    fields: {
      attachments: [
        { url: "https://files.example/offert.pdf?token=1", name: "Offert.pdf" },
        { url: "https://files.example/karta.pdf?token=1", name: "Karta.pdf" },
      ],
    },
    act: (stack, id) =>
      stack.eventflow.patch(id, {
        attachments: [{ url: "https://files.example/offert.pdf?token=2", name: "Offert.pdf" }],
      }),
    found: [[
      "booking_attachments[https://files.example/karta.pdf].source_doubted_since",
      "doubted",
    ]],
    left: [[
      "booking_attachments[https://files.example/karta.pdf].source_doubted_since",
      "doubted",
    ]],
  },
  {
    kind: "a list that came back empty",
    act: (stack, id) => stack.eventflow.patch(id, { products: [] }),
    found: [
      ["booking_products[chair].source_doubted_since", "emptied"],
      ["booking_products[tent].source_doubted_since", "emptied"],
    ],
    left: [
      ["booking_products[chair].source_doubted_since", "emptied"],
      ["booking_products[tent].source_doubted_since", "emptied"],
    ],
  },
  {
    kind: "a sender who said something else",
    sql:
      `insert into sync.disagreements (booking_id, organization_id, word, word_at, due_at, ended_at, outcome)
      select id, organization_id, 'cancelled', now(), now(), now(), 'disagrees' from public.bookings where id = $1`,
    found: [["bookings.status", "disagrees"]],
    left: [["bookings.status", "disagrees"]],
  },
  {
    kind: "a read that lagged behind its webhook",
    act: async (stack, id) => {
      await stack.eventflow.lag("frozen", { booking_id: id });
      await stack.eventflow.patch(id, { title: "Ny titel", version: 4 });
      const [row] = await stack.database.query<{ organization_id: string }>(
        "select organization_id from public.bookings where external_id = $1",
        [id],
      );
      await stack.eventflow.sendWebhook(id, { ...row, event_type: "updated" });
      await stack.eventflow.lag(null, { booking_id: id });
    },
    found: missed("bookings.title"),
  },
  {
    kind: "an answer older than what is known",
    sql: `with state as (
        update sync.source_states s set source_version = 99 from public.bookings b
        where b.id = $1 and s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id)
      update public.bookings set title = 'nyare' where id = $1`,
    found: [["bookings.title", "stale"]],
  },
  {
    kind: "times that a planner set before the source did",
    sql:
      `update public.calendar_events set starts_at = starts_at - interval '2 hours', adjusted_at = now(),
        has_source_changes = true
      where booking_id = $1 and event_type = 'rig'`,
    found: [["calendar_events[rig 2027-06-18].starts_at", "planner_owned"]],
    left: [["calendar_events[rig 2027-06-18].starts_at", "planner_owned"]],
  },
  {
    kind: "a calendar time",
    sql: `update public.calendar_events set starts_at = starts_at + interval '1 hour',
        derived_starts_at = derived_starts_at + interval '1 hour' where booking_id = $1 and event_type = 'rig'`,
    found: projected(
      "calendar_events[rig 2027-06-18].derived_starts_at",
      "calendar_events[rig 2027-06-18].starts_at",
    ),
  },
  {
    kind: "a calendar row that is not here",
    sql: "delete from public.calendar_events where booking_id = $1 and event_type = 'rigdown'",
    found: projected("calendar_events[rigdown 2027-06-21].*"),
  },
  {
    kind: "a warehouse row put out of use",
    sql:
      "update public.warehouse_events set active = false where booking_id = $1 and event_type = 'delivery'",
    found: projected("warehouse_events[delivery 2027-06-18].active"),
  },
  {
    kind: "a packing quantity",
    sql: `update public.packing_items i set quantity_to_pack = 77 from public.booking_products p
      where p.id = i.booking_product_id and p.booking_id = $1 and p.external_id = 'tent'`,
    found: projected("packing_items[tent].quantity_to_pack"),
  },
  {
    kind: "a packing project's dates",
    sql: "update public.packing_projects set ends_on = '2027-12-24' where booking_id = $1",
    found: projected("packing_projects[{client} - 2027-06-19].ends_on"),
  },
  {
    kind: "a task's due date",
    sql: `update public.packing_tasks t set due_on = '2027-01-01', derived_due_on = '2027-01-01'
      from public.packing_projects p where p.id = t.packing_project_id and p.booking_id = $1 and t.kind = 'pack'`,
    found: projected("packing_tasks[pack].derived_due_on", "packing_tasks[pack].due_on"),
  },
];

stackTest("reconcile finds each kind of planted drift and nothing else", async (stack) => {
  const organizationId = await stack.organization();
  // Beside each planted booking one that is left alone; at full size 5,000 more.
  await seedBookings(
    stack,
    organizationId,
    PLANTS.length * 2 + (fullScale ? 5_000 : 0),
    (number) => PLANTS[number / 2]?.fields ?? {},
  );
  await runWell(stack, organizationId, { syncMode: "full" });
  await stack.database.query(
    "update sync.connections set cancel_budget = 0 where organization_id = $1",
    [organizationId],
  );
  const clean = await runWell(stack, organizationId, { syncMode: "reconcile", repair: false });
  assert.deepEqual([clean.completed, clean.drift_counts, clean.drift], [true, {}, []]);

  for (const [index, plant] of PLANTS.entries()) {
    await plantOne(stack, organizationId, index, plant);
  }
  const late = eventflowBooking(organizationId, 9_000);
  await stack.eventflow.create(late);
  const before = await snapshotOfTables(stack, organizationId);
  const found = await runWell(stack, organizationId, { syncMode: "reconcile", repair: false });
  assert.equal(found.completed, true);
  const expected = [
    ...PLANTS.flatMap(({ found }, index) => found.map((one) => line(organizationId, index, one))),
    `${late.id} bookings.* missed_webhook`,
  ].sort();
  assert.deepEqual(await linesOf(stack, found.run_id), expected);
  assert.equal(found.drift.length, Math.min(expected.length, 100));
  assert.equal(
    Object.values(found.drift_counts as Record<string, { fields: number }>)
      .reduce((sum, { fields }) => sum + fields, 0),
    expected.length,
  );
  // It only looked.
  assert.deepEqual(await snapshotOfTables(stack, organizationId), before);

  const again = await runWell(stack, organizationId, { syncMode: "reconcile", repair: false });
  const since = await stack.database.query<{ moved: boolean }>(
    `select bool_or(a.first_seen_at <> b.first_seen_at) as moved from sync.drift a
     join sync.drift b using (external_id, field) where a.run_id = $1 and b.run_id = $2`,
    [found.run_id, again.run_id],
  );
  assert.deepEqual(since, [{ moved: false }]);

  const repaired = await runWell(stack, organizationId, { syncMode: "reconcile", repair: true });
  assert.deepEqual(await linesOf(stack, repaired.run_id), expected);
  const left = await runWell(stack, organizationId, { syncMode: "reconcile", repair: false });
  assert.deepEqual(
    await linesOf(stack, left.run_id),
    PLANTS.flatMap(({ left = [] }, index) => left.map((one) => line(organizationId, index, one)))
      .sort(),
  );
});

async function plantOne(
  stack: TestStack,
  organizationId: string,
  index: number,
  { sql, act }: Plant,
): Promise<void> {
  const { id: externalId } = eventflowBooking(organizationId, index * 2);
  const [row] = await stack.database.query<{ id: number }>(
    "select id from public.bookings where organization_id = $1 and external_id = $2",
    [organizationId, externalId],
  );
  assert.ok(row, `booking ${externalId} is not stored`);
  if (sql !== undefined) await stack.database.query(sql, [row.id]);
  await act?.(stack, externalId);
}

function line(
  organizationId: string,
  index: number,
  [field, cause]: readonly [string, string],
): string {
  const booking = eventflowBooking(organizationId, index * 2);
  return `${booking.id} ${field.replace("{client}", booking.clientName)} ${cause}`;
}

async function linesOf(stack: TestStack, runId: string): Promise<readonly string[]> {
  const rows = await stack.database.query<{ line: string }>(
    "select external_id || ' ' || field || ' ' || cause as line from sync.drift where run_id = $1",
    [runId],
  );
  return rows.map((row) => row.line).sort();
}

/** Every row of the organization but the links' tokens, as text. */
async function snapshotOfTables(stack: TestStack, organizationId: string): Promise<unknown> {
  const tables = [
    "bookings",
    "booking_dates",
    "booking_products",
    "booking_attachments",
    "calendar_events",
    "warehouse_events",
    "packing_projects",
    "packing_tasks",
    "packing_items",
    "booking_history",
    "packing_change_requests",
  ];
  const states = await Promise.all(tables.map((table) =>
    stack.database.query(
      `select md5(string_agg((to_jsonb(t) - 'url')::text, '' order by t.id)) as digest from public.${table} t where t.organization_id = $1`,
      [organizationId],
    )
  ));
  return states;
}
