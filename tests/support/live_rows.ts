import type { BookingDatabase } from "./booking_database.ts";
import type { Tenant } from "./tenant.ts";

/**
 * What a tenant's bookings amount to, by external id: the rows that count (not missing, active),
 * without ids, instants of writing and the order in which they were written.
 */
export async function liveRows(
  db: BookingDatabase,
  tenant: Tenant,
): Promise<ReadonlyMap<string, unknown>> {
  const rows = await db.query<{ external_id: string; rows: unknown }>(
    `with mine as materialized (select * from public.bookings where organization_id = $1),
     live as (
       select b.id as booking_id, 'bookings' as place, to_jsonb(b) - array['id', 'organization_id',
         'created_at', 'updated_at', 'status_changed_at', 'confirmed_at', 'completed_at',
         'cancelled_at', 'rejected_at', 'map_drawing_url'] as row from mine b
       union all
       select d.booking_id, 'dates', jsonb_build_object('phase', d.phase, 'day', d.day,
         'start', d.start_time, 'end', d.end_time)
       from public.booking_dates d
       where d.organization_id = $1 and d.source_missing_since is null
       union all
       select p.booking_id, 'products', to_jsonb(p) - array['id', 'organization_id', 'booking_id',
         'created_at', 'updated_at', 'parent_id'] || jsonb_build_object('parent', q.external_id)
       from public.booking_products p left join public.booking_products q on q.id = p.parent_id
         and q.source_missing_since is null
       where p.organization_id = $1 and p.source_missing_since is null
       union all
       select a.booking_id, 'attachments', jsonb_build_object('key', a.url_key, 'name', a.file_name)
       from public.booking_attachments a
       where a.organization_id = $1 and a.source_missing_since is null
       union all
       select c.booking_id, 'calendar', to_jsonb(c) - array['id', 'organization_id', 'booking_id',
         'created_at', 'updated_at']
       from public.calendar_events c where c.organization_id = $1 and c.active
       union all
       select w.booking_id, 'warehouse', to_jsonb(w) - array['id', 'organization_id', 'booking_id',
         'created_at', 'updated_at']
       from public.warehouse_events w where w.organization_id = $1 and w.active
       union all
       select j.booking_id, 'project', to_jsonb(j) - array['id', 'organization_id', 'booking_id',
         'created_at', 'updated_at']
       from public.packing_projects j where j.organization_id = $1 and j.active
       union all
       select j.booking_id, 'tasks', to_jsonb(t) - array['id', 'organization_id',
         'packing_project_id', 'created_at', 'updated_at']
       from public.packing_tasks t join public.packing_projects j on j.id = t.packing_project_id
       where j.organization_id = $1 and j.active
       union all
       select j.booking_id, 'items', jsonb_build_object('product', p.external_id,
         'quantity', i.quantity_to_pack)
       from public.packing_items i join public.packing_projects j on j.id = i.packing_project_id
       join public.booking_products p on p.id = i.booking_product_id
       where j.organization_id = $1 and j.active and i.active
     )
     select b.external_id, jsonb_agg(jsonb_build_array(l.place, l.row) order by l.place, l.row) as rows
     from live l join mine b on b.id = l.booking_id group by b.external_id`,
    [tenant.id],
  );
  return new Map(rows.map((row) => [row.external_id, row.rows]));
}
