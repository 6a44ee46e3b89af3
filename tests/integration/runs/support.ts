import assert from "node:assert/strict";
import type { Sql } from "../../../local/database/database.ts";
import type { TestStack } from "../../support/stack.ts";

type Fields = Readonly<Record<string, unknown>>;

/** A confirmed booking as EventFlow states it, far enough ahead that its packing is not frozen. */
export function eventflowBooking(organizationId: string, number: number, fields: Fields = {}) {
  return {
    id: `b-${String(number).padStart(4, "0")}`,
    organization_id: organizationId,
    booking_number: `2705-${number}`,
    title: `Fest ${number}`,
    clientName: `Kund ${number}`,
    status: "Bekräftad",
    version: 3,
    updated_at: "2026-08-04T17:11:00Z",
    rig_up_dates: ["2027-06-18"],
    event_dates: ["2027-06-19", "2027-06-20"],
    rig_down_dates: ["2027-06-21"],
    event_time: "10:00 - 17:00",
    delivery_address: "Ringvägen 1",
    delivery_geocode: { lat: 59.31, lng: 18.07 },
    internal_notes: "Grinden",
    economics: { total_ex_vat: 1000 },
    unknown_field: "kept",
    products: [
      { id: "tent", name: "Tält", quantity: 2, unit_price: 900 },
      { id: "chair", name: "Stol", quantity: 40, unit_price: 12 },
    ],
    attachments: [{ url: "https://files.example/offert.pdf?token=1", name: "Offert.pdf" }],
    ...fields,
  };
}

/** Bookings of an organization in the simulated EventFlow. */
export async function seedBookings(
  stack: TestStack,
  organizationId: string,
  count: number,
  fields: (number: number) => Fields = () => ({}),
): Promise<void> {
  for (let number = 0; number < count; number++) {
    await stack.eventflow.create(eventflowBooking(organizationId, number, fields(number)));
  }
}

/** Calls a run mode for the EventFlow connection of an organization. */
export async function run(stack: TestStack, organizationId: string, body: Fields) {
  const answer = await stack.postImport({
    source: "eventflow",
    organization_id: organizationId,
    ...body,
  });
  return answer;
}

/** The same, and it must end with 200. */
export async function runWell(stack: TestStack, organizationId: string, body: Fields) {
  const { status, body: answer } = await run(stack, organizationId, body);
  assert.equal(status, 200, JSON.stringify(answer));
  return answer;
}

/** Everything that an import writes for an organization, without keys and moments of our own. */
export async function domainRows(sql: Sql, organizationId: string): Promise<Fields> {
  const ours = [
    "id",
    "organization_id",
    "booking_id",
    "created_at",
    "updated_at",
    "parent_id",
    "url",
    "status_changed_at",
    "confirmed_at",
    "cancelled_at",
    "completed_at",
    "rejected_at",
    "map_drawing_url",
    "packing_project_id",
    "booking_product_id",
  ];
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
  ];
  const rows: Record<string, unknown> = {};
  for (const table of tables) {
    const [row] = await sql.query<{ digest: string; count: number }>(
      `select count(*)::int as count, md5(coalesce(string_agg(r.text, E'\\n' order by r.text), '')) as digest
       from (
         select (to_jsonb(t) - $2::text[])::text || coalesce((
           select b.external_id from public.bookings b
           where b.id = (to_jsonb(t) ->> 'booking_id')::bigint), '') as text
         from public.${table} t where t.organization_id = $1
       ) r`,
      [organizationId, ours],
    );
    rows[table] = row;
  }
  return rows;
}

/** How many history rows each booking has; once each is what an import leaves. */
export async function historyCounts(sql: Sql, organizationId: string) {
  return await sql.query(
    `select h.verdict, n.times, count(*)::int as bookings
     from (select booking_id, count(*)::int as times, min(verdict) as verdict
       from public.booking_history where organization_id = $1 group by booking_id) n
     cross join lateral (select n.verdict) h
     group by 1, 2 order by 1, 2`,
    [organizationId],
  );
}

/** The connection's cursor. */
export async function cursorOf(sql: Sql, organizationId: string): Promise<string | null> {
  const [row] = await sql.query<{ cursor: string | null }>(
    "select cursor from sync.connections where organization_id = $1 and source = 'eventflow'",
    [organizationId],
  );
  return row?.cursor ?? null;
}
