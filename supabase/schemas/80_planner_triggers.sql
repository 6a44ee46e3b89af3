-- What follows when a person changes a row through the API: the adjustment is remembered, a decision
-- about packing takes effect, and history says who did it.
-- Every trigger fires for `authenticated` only, so the import pays nothing. Functions that write what
-- people may not write themselves are security definer.
-- Rules: a person's work is never overwritten; every change can be explained.

-- The import writes as service_role and sets updated_at in its own statements.

create trigger bookings_touch_updated_at before update on public.bookings
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create trigger calendar_events_touch_updated_at before update on public.calendar_events
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create trigger warehouse_events_touch_updated_at before update on public.warehouse_events
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create trigger packing_projects_touch_updated_at before update on public.packing_projects
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create trigger packing_tasks_touch_updated_at before update on public.packing_tasks
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create trigger packing_items_touch_updated_at before update on public.packing_items
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create trigger packing_change_requests_touch_updated_at before update on public.packing_change_requests
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create function sync.note_adjustment() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if (new.starts_at, new.ends_at) is distinct from (old.starts_at, old.ends_at) then
    -- Times set to what the source says follow the source again.
    new.adjusted_at := case
      when (new.starts_at, new.ends_at) is distinct from (new.derived_starts_at, new.derived_ends_at) then now() end;
    -- A person who sets the times has seen what the source said.
    new.has_source_changes := false;
  end if;
  -- Nobody holds on to the row any more, and its day is gone.
  if new.day_dropped and new.adjusted_at is null and not coalesce((to_jsonb(new) ->> 'times_locked')::boolean, false)
    and (new.starts_at, new.ends_at) is not distinct from (new.derived_starts_at, new.derived_ends_at) then
    new.active := false;
    new.day_dropped := false;
    new.has_source_changes := false;
  end if;
  return new;
end;
$$;

comment on function sync.note_adjustment() is 'Trigger: times that a person sets stay, until they are set back to the derived ones. A row that only this kept alive goes with it.';

create trigger calendar_events_note_adjustment before update of starts_at, ends_at, times_locked on public.calendar_events
  for each row when (current_user = 'authenticated') execute function sync.note_adjustment();

create trigger warehouse_events_note_adjustment before update of starts_at, ends_at on public.warehouse_events
  for each row when (current_user = 'authenticated') execute function sync.note_adjustment();

create function sync.review_undropped() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform from sync.review(array[new.booking_id]);
  return null;
end;
$$;

comment on function sync.review_undropped() is 'Trigger: a row that a person lets go of asks for no review any more.';

create trigger calendar_events_review_undropped after update of starts_at, ends_at, times_locked on public.calendar_events
  for each row when (current_user = 'authenticated' and old.day_dropped and not new.day_dropped)
  execute function sync.review_undropped();

create trigger warehouse_events_review_undropped after update of starts_at, ends_at on public.warehouse_events
  for each row when (current_user = 'authenticated' and old.day_dropped and not new.day_dropped)
  execute function sync.review_undropped();

create function sync.note_review() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if not new.review_reasons <@ old.review_reasons then
    raise exception 'Cannot add a review reason to booking %: a person can only take reasons away', new.id using errcode = '23514';
  end if;
  update sync.review_causes c set acknowledged_at = now(), acknowledged_by = (select auth.uid())::text
  where c.booking_id = new.id and c.acknowledged_at is null
    and c.reason = any (old.review_reasons) and c.reason <> all (new.review_reasons);
  new.review_reasons := array(select distinct r from unnest(new.review_reasons) r order by r);
  return new;
end;
$$;

comment on function sync.note_review() is
  'Trigger: a review reason that a person takes away is acknowledged with all that caused it; nobody adds one.';

create trigger bookings_note_review before update of review_reasons on public.bookings
  for each row when (current_user = 'authenticated' and old.review_reasons is distinct from new.review_reasons)
  execute function sync.note_review();

create function sync.note_due_date() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.due_on is distinct from old.due_on then
    new.adjusted_at := case when new.due_on is distinct from new.derived_due_on then now() end;
  end if;
  return new;
end;
$$;

comment on function sync.note_due_date() is 'Trigger: a due date that a person sets stays, until it is set back to the derived one.';

create trigger packing_tasks_note_due_date before update of due_on on public.packing_tasks
  for each row when (current_user = 'authenticated') execute function sync.note_due_date();

create function sync.note_attachment() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  new.origin := 'user';
  new.url_key := sync.url_key(new.url);
  return new;
end;
$$;

comment on function sync.note_attachment() is 'Trigger: a file that a person adds gets origin user, and its url_key from its URL.';

create trigger booking_attachments_note_attachment before insert on public.booking_attachments
  for each row when (current_user = 'authenticated') execute function sync.note_attachment();

create function sync.refuse_removal_of_packed(request public.packing_change_requests) returns void
language plpgsql
set search_path = ''
as $$
declare
  item record;
begin
  select p.name, i.quantity_packed - coalesce(i.quantity_returned, 0) as quantity into item
  from public.packing_items i
  join public.booking_products p on p.id = i.booking_product_id
  where i.packing_project_id = request.packing_project_id and i.booking_product_id = request.booking_product_id
    and i.quantity_packed > coalesce(i.quantity_returned, 0);
  if found then
    raise exception 'Cannot accept the removal of %: % of it packed and not returned', coalesce(item.name, 'this item'), item.quantity
      using errcode = '23514', hint = 'Take it out and set quantity_packed to 0, or record its return in quantity_returned, and accept again.';
  end if;
end;
$$;

comment on function sync.refuse_removal_of_packed(public.packing_change_requests) is
  'Refuses to take an item off the list while some of it is packed: its return comes first.';

create function sync.note_resolution() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if old.status = 'pending' and new.status = 'accepted' and new.change_type = 'item_removed' then
    perform sync.refuse_removal_of_packed(new);
  end if;
  if old.status <> 'pending' and new.status <> old.status then
    raise exception 'Cannot change packing change request %: it is already %', old.id, old.status
      using errcode = '23514';
  end if;
  if new.status <> 'pending' and old.status = 'pending' then
    new.resolved_at := now();
    new.resolved_by := coalesce((select auth.uid())::text, new.resolved_by);
  end if;
  return new;
end;
$$;

comment on function sync.note_resolution() is 'Trigger: a request is decided once, and records when and by whom.';

create function sync.apply_resolution() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if old.status = 'pending' and new.status = 'accepted' then
    insert into public.packing_items as i (organization_id, packing_project_id, booking_product_id, quantity_to_pack)
    select new.organization_id, new.packing_project_id, new.booking_product_id, new.new_quantity
    where new.change_type <> 'item_removed'
    on conflict on constraint packing_items_project_product_key
    do update set quantity_to_pack = excluded.quantity_to_pack, active = true, updated_at = now();
    update public.packing_items i set active = false, updated_at = now()
    where new.change_type = 'item_removed'
      and i.packing_project_id = new.packing_project_id and i.booking_product_id = new.booking_product_id;
  end if;
  if new.status <> old.status then
    perform sync.review_packing(array[new.packing_project_id]);
  end if;
  return null;
end;
$$;

comment on function sync.apply_resolution() is 'Trigger: an accepted request changes the packing list; the project then says how many requests still wait.';

create trigger packing_change_requests_note_resolution before update of status on public.packing_change_requests
  for each row when (current_user = 'authenticated') execute function sync.note_resolution();

create trigger packing_change_requests_apply_resolution after update of status on public.packing_change_requests
  for each row when (current_user = 'authenticated') execute function sync.apply_resolution();

create function sync.record_planner_change() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  row_now constant jsonb := to_jsonb(new);
  booking bigint := (row_now ->> 'booking_id')::bigint;
  name text := tg_table_name || '[' || new.id || '].';
  fields jsonb;
begin
  if tg_table_name = 'bookings' then
    booking := new.id;
    name := 'bookings.';
  elsif row_now ? 'packing_project_id' then
    select p.booking_id into booking from public.packing_projects p
    where p.id = (row_now ->> 'packing_project_id')::bigint;
  end if;
  fields := case when tg_op = 'INSERT' then jsonb_build_object('*', jsonb_build_array(null, row_now - array['id', 'organization_id', 'created_at', 'updated_at']))
    else sync.changed_fields(to_jsonb(old), row_now) end;
  if booking is not null and fields <> '{}' then
    insert into public.booking_history (organization_id, booking_id, actor, actor_id, verdict, changes)
    select new.organization_id, booking, 'planner', (select auth.uid())::text, 'updated',
      jsonb_object_agg(name || f.key, f.value)
    from jsonb_each(fields) f;
  end if;
  return null;
end;
$$;

comment on function sync.record_planner_change() is 'Trigger: records in the history of the booking what a person changed, under their user id.';

create trigger bookings_record_planner_change after update on public.bookings
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger calendar_events_record_planner_change after update on public.calendar_events
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger warehouse_events_record_planner_change after update on public.warehouse_events
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger packing_projects_record_planner_change after update on public.packing_projects
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger packing_tasks_record_planner_change after update on public.packing_tasks
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger packing_items_record_planner_change after update on public.packing_items
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger packing_change_requests_record_planner_change after update on public.packing_change_requests
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger packing_items_record_planner_insert after insert on public.packing_items
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger booking_attachments_record_planner_insert after insert on public.booking_attachments
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();
