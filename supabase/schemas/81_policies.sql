-- Which rows people see and write through the API: those of the organizations they are members of, one
-- policy for each table and command. Which columns they may write is granted in 99_privileges.sql; who
-- may write quantity_packed, for example, stands there. Tables of schema sync have no policy, so nobody
-- but service_role, which passes row level security, sees a row.
-- Memberships are looked up once per statement: `(select auth.uid())` is a constant to the planner.
-- Rules: one writer per table; a person's work is never overwritten.

alter table public.organizations enable row level security;
alter table public.organization_members enable row level security;
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

alter table sync.connections enable row level security;
alter table sync.deliveries enable row level security;
alter table sync.source_states enable row level security;
alter table sync.runs enable row level security;
alter table sync.sightings enable row level security;
alter table sync.held_changes enable row level security;
alter table sync.doubts enable row level security;
alter table sync.disagreements enable row level security;
alter table sync.review_causes enable row level security;
alter table sync.freshness_rules enable row level security;
alter table sync.status_words enable row level security;
alter table sync.source_observations enable row level security;
alter table sync.missing_files enable row level security;
alter table sync.freshness_claims enable row level security;
alter table sync.believed_absences enable row level security;
alter table sync.drift enable row level security;
alter table sync.projection_rules enable row level security;

create policy organization_members_select on public.organization_members for select to authenticated
  using (user_id = (select auth.uid()));

create policy organizations_select on public.organizations for select to authenticated
  using (id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

-- Members read everything of their organization.

create policy bookings_select on public.bookings for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy booking_dates_select on public.booking_dates for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy booking_products_select on public.booking_products for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy booking_attachments_select on public.booking_attachments for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy booking_history_select on public.booking_history for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy calendar_events_select on public.calendar_events for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy warehouse_events_select on public.warehouse_events for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_projects_select on public.packing_projects for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_tasks_select on public.packing_tasks for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_items_select on public.packing_items for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_change_requests_select on public.packing_change_requests for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

-- Planners and packers update the columns that are theirs.

create policy bookings_update on public.bookings for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy calendar_events_update on public.calendar_events for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy warehouse_events_update on public.warehouse_events for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_projects_update on public.packing_projects for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_tasks_update on public.packing_tasks for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_items_update on public.packing_items for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_change_requests_update on public.packing_change_requests for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

-- They add activities and todos, manual packing items and files of their own.

create policy calendar_events_insert on public.calendar_events for insert to authenticated
  with check (event_type in ('activity', 'todo') and organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_items_insert on public.packing_items for insert to authenticated
  with check (manual_name is not null and organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy booking_attachments_insert on public.booking_attachments for insert to authenticated
  with check (origin = 'user' and organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

-- The first folder of a file's path is its organization.
create policy booking_files_select on storage.objects for select to authenticated
  using (bucket_id = 'booking-files' and (storage.foldername(name))[1] in (
    select m.organization_id::text from public.organization_members m where m.user_id = (select auth.uid())));
