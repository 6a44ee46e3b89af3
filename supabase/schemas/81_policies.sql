alter table public.organizations enable row level security;

alter table public.organization_members enable row level security;

create policy organization_members_select on public.organization_members
  for select to authenticated
  using (user_id = (select auth.uid()));

create policy organizations_select on public.organizations
  for select to authenticated
  using (id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())
  ));

alter table sync.connections enable row level security;

alter table sync.deliveries enable row level security;

alter table sync.source_states enable row level security;

alter table sync.runs enable row level security;

alter table sync.sightings enable row level security;

alter table sync.held_changes enable row level security;

alter table sync.drift enable row level security;

alter table sync.projection_rules enable row level security;

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
