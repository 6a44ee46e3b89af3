import type { Sql } from "../../local/database/database.ts";

/**
 * Every live row of an organization's bookings as text, by the booking's external id: what people
 * see, without keys and moments of writing. Rows that are marked missing or inactive are left out.
 */
export async function readRows(
  sql: Sql,
  organizationId: string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await sql.query<{ external_id: string; row: string }>(
    `select b.external_id, r.row
     from public.bookings b
     cross join lateral (
       select 'booking ' || (to_jsonb(b) - '{id,organization_id,created_at,updated_at,status_changed_at,
         confirmed_at,completed_at,cancelled_at,rejected_at,planner_notes,review_reasons,needs_review}'::text[])::text as row
       union all
       select 'date ' || jsonb_build_array(d.phase, d.day, d.start_time, d.end_time)::text
       from public.booking_dates d where d.booking_id = b.id and d.source_missing_since is null
       union all
       select 'product ' || (to_jsonb(p) - '{id,organization_id,booking_id,parent_id,created_at,updated_at}'::text[])::text
       from public.booking_products p where p.booking_id = b.id and p.source_missing_since is null
       union all
       select 'file ' || jsonb_build_array(a.url_key, a.file_name, a.file_type)::text
       from public.booking_attachments a where a.booking_id = b.id and a.source_missing_since is null
       union all
       select 'calendar ' || jsonb_build_array(e.event_type, e.day, e.starts_at, e.ends_at, e.title, e.delivery_address)::text
       from public.calendar_events e where e.booking_id = b.id and e.active
       union all
       select 'warehouse ' || jsonb_build_array(e.event_type, e.basis_day, e.starts_at, e.ends_at, e.title, e.delivery_address)::text
       from public.warehouse_events e where e.booking_id = b.id and e.active
       union all
       select 'project ' || jsonb_build_array(p.name, p.client_name, p.starts_on, p.ends_on, p.delivery_address, p.notes, p.status)::text
       from public.packing_projects p where p.booking_id = b.id and p.active
       union all
       select 'task ' || jsonb_build_array(t.kind, t.title, t.due_on, t.sort_order)::text
       from public.packing_tasks t join public.packing_projects p on p.id = t.packing_project_id
       where p.booking_id = b.id and p.active
       union all
       select 'item ' || jsonb_build_array(q.external_id, i.quantity_to_pack)::text
       from public.packing_items i join public.packing_projects p on p.id = i.packing_project_id
       join public.booking_products q on q.id = i.booking_product_id
       where p.booking_id = b.id and p.active and i.active
     ) r
     where b.organization_id = $1
     order by 1, 2`,
    [organizationId],
  );
  const found = new Map<string, string[]>();
  for (const { external_id, row } of rows) {
    const list = found.get(external_id) ?? [];
    list.push(row);
    found.set(external_id, list);
  }
  return found;
}
