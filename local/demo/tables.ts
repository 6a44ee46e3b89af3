import type { Database } from "../database/database.ts";
import { formatTable } from "../format_table.ts";

/** What the demo shows of each table; `$1` is the organization. */
const tables: readonly (readonly [table: string, sql: string])[] = [
  [
    "public.bookings",
    `select source, external_id, booking_number as number, title, client_name as client, status,
       delivery_city as city, is_stub as stub
     from public.bookings where organization_id = $1 order by id`,
  ],
  [
    "public.booking_dates",
    `select b.source, d.phase, d.day, d.start_time as starts, d.end_time as ends
     from public.booking_dates d join public.bookings b on b.id = d.booking_id
     where b.organization_id = $1 order by b.id, d.day, d.phase`,
  ],
  [
    "public.booking_products",
    `select b.source, p.external_id, p.name, p.quantity, p.unit_price::text as price,
       p.parent_external_id as parent
     from public.booking_products p join public.bookings b on b.id = p.booking_id
     where b.organization_id = $1 order by b.id, p.sort_index nulls last, p.id`,
  ],
  [
    "public.booking_attachments",
    `select b.source, a.file_name, a.file_type as type, a.url_key
     from public.booking_attachments a join public.bookings b on b.id = a.booking_id
     where b.organization_id = $1 order by b.id, a.id`,
  ],
  [
    "public.calendar_events",
    `select c.event_type as type, c.title,
       (c.starts_at at time zone o.time_zone)::text as "starts (local)",
       (c.ends_at at time zone o.time_zone)::text as "ends (local)"
     from public.calendar_events c join public.organizations o on o.id = c.organization_id
     where c.organization_id = $1 and c.active
     order by c.starts_at, c.id`,
  ],
  [
    "public.warehouse_events",
    `select w.event_type as type, w.title,
       (w.starts_at at time zone o.time_zone)::text as "starts (local)",
       (w.ends_at at time zone o.time_zone)::text as "ends (local)"
     from public.warehouse_events w join public.organizations o on o.id = w.organization_id
     where w.organization_id = $1 and w.active
     order by w.starts_at, w.id`,
  ],
  [
    "public.packing_projects",
    `select name, starts_on, ends_on, status from public.packing_projects
     where organization_id = $1 order by id`,
  ],
  [
    "public.packing_tasks",
    `select t.kind, t.title, t.due_on from public.packing_tasks t
     join public.packing_projects p on p.id = t.packing_project_id
     where p.organization_id = $1 order by t.sort_order`,
  ],
  [
    "public.packing_items",
    `select r.name, i.quantity_to_pack as "to pack", i.quantity_packed as packed
     from public.packing_items i
     join public.packing_projects p on p.id = i.packing_project_id
     left join public.booking_products r on r.id = i.booking_product_id
     where p.organization_id = $1 order by i.id`,
  ],
  [
    "sync.deliveries",
    `select d.function, d.event_type as event, d.external_id, d.status, d.attempts,
       d.result ->> 'outcome' as outcome
     from sync.deliveries d join sync.connections c on c.id = d.connection_id
     where c.organization_id = $1 order by d.received_at, d.id`,
  ],
  [
    "public.booking_history",
    `select b.source, h.actor, h.verdict,
       (select count(*) from jsonb_object_keys(h.changes))::int as fields, h.changes
     from public.booking_history h join public.bookings b on b.id = h.booking_id
     where b.organization_id = $1 order by h.id`,
  ],
];

/** The organization's rows of every table, ready to print, without tables that do not exist. */
export async function showTables(database: Database, organizationId: string): Promise<string> {
  const parts: string[] = [];
  for (const [table, sql] of tables) {
    const [found] = await database.query<{ present: boolean }>(
      "select to_regclass($1) is not null as present",
      [table],
    );
    if (found?.present !== true) continue;
    const rows = await database.query(sql, [organizationId]);
    parts.push(`${table} (${rows.length})\n${formatTable(rows)}`);
  }
  return parts.join("\n\n");
}
