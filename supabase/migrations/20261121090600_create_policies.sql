-- Purpose: who reads and writes the domain tables through the API.
-- Members read the rows of their organizations. Planners write planner-owned columns only, by
-- column grants (design: "Planners write"); everything else is written by the RPCs as service_role.
-- Row level security is the second fence: organization by organization.

alter table public.bookings enable row level security;
alter table public.booking_dates enable row level security;
alter table public.booking_products enable row level security;
alter table public.booking_attachments enable row level security;
alter table public.booking_history enable row level security;
alter table public.calendar_events enable row level security;
alter table public.warehouse_events enable row level security;
alter table public.packing_projects enable row level security;
alter table public.packing_tasks enable row level security;
alter table public.packing_items enable row level security;
alter table public.packing_change_requests enable row level security;

revoke all on public.bookings, public.booking_dates, public.booking_products,
  public.booking_attachments, public.booking_history, public.calendar_events,
  public.warehouse_events, public.packing_projects, public.packing_tasks, public.packing_items,
  public.packing_change_requests from anon, authenticated;

grant select on public.bookings, public.booking_dates, public.booking_products,
  public.booking_attachments, public.booking_history, public.calendar_events,
  public.warehouse_events, public.packing_projects, public.packing_tasks, public.packing_items,
  public.packing_change_requests to authenticated;

grant select, insert, update, delete on public.bookings, public.booking_dates,
  public.booking_products, public.booking_attachments, public.booking_history,
  public.calendar_events, public.warehouse_events, public.packing_projects, public.packing_tasks,
  public.packing_items, public.packing_change_requests to service_role;
grant usage, select on all sequences in schema public to service_role;

-- One policy per table and command; the membership is looked up once per statement.
do $$
declare
  table_name text;
  member constant text :=
    '(organization_id in (select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))';
begin
  foreach table_name in array array[
    'bookings', 'booking_dates', 'booking_products', 'booking_attachments', 'booking_history',
    'calendar_events', 'warehouse_events', 'packing_projects', 'packing_tasks', 'packing_items',
    'packing_change_requests'
  ] loop
    execute format('create policy %I on public.%I for select to authenticated using %s',
      table_name || '_select', table_name, member);
  end loop;
  foreach table_name in array array[
    'bookings', 'calendar_events', 'warehouse_events', 'packing_projects', 'packing_tasks',
    'packing_items', 'packing_change_requests'
  ] loop
    execute format('create policy %I on public.%I for update to authenticated using %s with check %s',
      table_name || '_update', table_name, member, member);
    execute format(
      'create trigger %I before update on public.%I for each row when (current_user = ''authenticated'') execute function sync.touch_updated_at()',
      table_name || '_touch_updated_at', table_name);
  end loop;
  execute format(
    'create policy calendar_events_insert on public.calendar_events for insert to authenticated with check (event_type in (''activity'', ''todo'') and %s)', member);
  execute format(
    'create policy packing_items_insert on public.packing_items for insert to authenticated with check (manual_name is not null and %s)', member);
  execute format(
    'create policy booking_attachments_insert on public.booking_attachments for insert to authenticated with check (origin = ''user'' and %s)', member);
end;
$$;

grant update (planner_notes) on public.bookings to authenticated;
grant update (starts_at, ends_at, resource_id, times_locked, adjusted_at) on public.calendar_events to authenticated;
grant update (starts_at, ends_at, adjusted_at) on public.warehouse_events to authenticated;
grant update (status) on public.packing_projects to authenticated;
grant update (completed_at, due_on, adjusted_at) on public.packing_tasks to authenticated;
grant update (quantity_packed, quantity_returned, packed_at, excluded, notes) on public.packing_items to authenticated;
grant update (status, resolved_at, resolved_by) on public.packing_change_requests to authenticated;

grant insert (organization_id, event_type, day, starts_at, ends_at, title, delivery_address, resource_id, times_locked)
  on public.calendar_events to authenticated;
grant insert (organization_id, packing_project_id, manual_name, quantity_to_pack, notes)
  on public.packing_items to authenticated;
grant insert (organization_id, booking_id, url, url_key, file_name, file_type, origin)
  on public.booking_attachments to authenticated;
