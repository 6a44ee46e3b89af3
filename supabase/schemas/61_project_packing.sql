-- Purpose: write packing projects, their tasks and their items.
-- Frozen (started, or the rig is less than 14 days away) means that people rely on the list: item
-- changes become requests for a person to decide. A project that this very call creates is filled.

create function sync.packed_quantities(booking_ids bigint[])
returns table (booking_id bigint, product_id bigint, quantity numeric)
language sql stable
set search_path = ''
as $$
  with recursive products as materialized (
    -- A package that has gone multiplies nothing, as if it had never been known.
    select p.id, p.booking_id, p.parent_id, p.quantity, p.is_package_component
    from public.booking_products p
    where p.booking_id = any (packed_quantities.booking_ids) and p.source_missing_since is null
  ), pieces as (
    -- From the rows that stand for themselves down through their components, package by package.
    select p.id, p.quantity from products p
    where not p.is_package_component or not exists (select from products q where q.id = p.parent_id)
    union all
    select c.id, c.quantity * p.quantity
    from pieces p
    join products c on c.parent_id = p.id and c.is_package_component
  )
  -- A package header with components is not packed itself, its components are, times the header's
  -- quantity. Only components multiply; rows that are each other's parents count for themselves.
  select p.booking_id, p.id, coalesce(n.quantity, p.quantity)
  from products p
  left join pieces n on n.id = p.id
  where not exists (
    select from products c where c.parent_id = p.id and c.id <> p.id and c.is_package_component)
$$;

comment on function sync.packed_quantities(bigint[]) is 'What is to be packed for some bookings: pieces per product row.';

-- known_project_ids: the projects that these bookings have before this call.
create function sync.project_packing(booking_ids bigint[], known_project_ids bigint[], detailed boolean)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with days as materialized (
    select d.booking_id,
      min(d.day) filter (where d.phase = 'rig') as first_rig, min(d.day) filter (where d.phase = 'event') as first_event,
      max(d.day) filter (where d.phase = 'event') as last_event, max(d.day) filter (where d.phase = 'rig') as last_rig,
      min(d.day) filter (where d.phase = 'rigdown') as first_rigdown, max(d.day) filter (where d.phase = 'rigdown') as last_rigdown,
      min(d.day) as first_day, max(d.day) as last_day
    from public.booking_dates d
    where d.booking_id = any (project_packing.booking_ids) and d.source_missing_since is null
    group by d.booking_id
  ), wanted as materialized (
    select b.id as booking_id, b.organization_id, b.source, b.client_name, b.delivery_address, b.source_notes,
      coalesce(nullif(sync.fill_title(r.title_template, b.title, b.client_name,
        coalesce(d.first_event, d.first_day)::text), ''), b.booking_number, b.external_id) as name,
      coalesce(d.first_rig, d.first_day) as starts_on, coalesce(d.last_rigdown, d.last_day) as ends_on
    from public.bookings b
    join sync.effective_rules(project_packing.booking_ids, 'packing_project') r
      on r.booking_organization_id = b.organization_id and r.booking_source = b.source
    left join days d on d.booking_id = b.id
    where b.id = any (project_packing.booking_ids) and b.status = 'CONFIRMED'
  ), stored as materialized (
    select p as old from public.packing_projects p where p.id = any (project_packing.known_project_ids)
  ), stored_tasks as materialized (
    select t as old from public.packing_tasks t where t.packing_project_id = any (project_packing.known_project_ids)
  ), projects as materialized (
    select w.*, s.old, coalesce((s.old).id, nextval('public.packing_projects_id_seq')) as project_id,
      jsonb_populate_record(s.old, jsonb_build_object('name', w.name, 'client_name', w.client_name,
        'starts_on', w.starts_on, 'ends_on', w.ends_on, 'delivery_address', w.delivery_address,
        'notes', w.source_notes, 'active', true)) as new
    from wanted w
    left join stored s on (s.old).booking_id = w.booking_id
  ), inserted as (
    insert into public.packing_projects (id, organization_id, booking_id, name, client_name, starts_on, ends_on, delivery_address, notes)
    overriding system value
    select p.project_id, p.organization_id, p.booking_id, p.name, p.client_name, p.starts_on, p.ends_on, p.delivery_address, p.source_notes
    from projects p where p.old is null
  ), updated as (
    update public.packing_projects t set name = (p.new).name, client_name = (p.new).client_name,
      starts_on = (p.new).starts_on, ends_on = (p.new).ends_on,
      delivery_address = (p.new).delivery_address, notes = (p.new).notes, active = true, updated_at = now()
    from projects p
    where t.id = (p.old).id and t.id = any (project_packing.known_project_ids) and p.new is distinct from p.old
  ), left_out as (
    update public.packing_projects t set active = false, updated_at = now()
    where t.id = any (project_packing.known_project_ids) and t.active
      and not exists (select from wanted w where w.booking_id = t.booking_id)
    returning t.booking_id, t.name
  ), wanted_tasks as materialized (
    select p.project_id, p.organization_id, p.booking_id, r.kind, r.title_template as title, r.sort_order, t.old,
      case r.which when 'last'
        then case r.anchor when 'rig' then d.last_rig when 'event' then d.last_event else d.last_rigdown end
        else case r.anchor when 'rig' then d.first_rig when 'event' then d.first_event else d.first_rigdown end
      end + r.day_offset as due_on,
      -- A person's date stays: set as adjusted, or simply standing elsewhere than we put it.
      coalesce((t.old).completed_at is not null or (t.old).adjusted_at is not null
        or (t.old).due_on is distinct from (t.old).derived_due_on, false) as kept
    from projects p
    join sync.effective_rules(project_packing.booking_ids, 'packing_task') r
      on r.booking_organization_id = p.organization_id and r.booking_source = p.source
    left join days d on d.booking_id = p.booking_id
    left join stored_tasks t on (t.old).packing_project_id = (p.old).id and (t.old).kind = r.kind
  ), changed_tasks as materialized (
    select w.*, case when w.kept then (w.old).due_on else w.due_on end as new_due_on
    from wanted_tasks w
    where not (w.old is null) and ((w.old).title, (w.old).sort_order, (w.old).due_on, (w.old).derived_due_on)
      is distinct from (w.title, w.sort_order, case when w.kept then (w.old).due_on else w.due_on end, w.due_on)
  ), inserted_tasks as (
    insert into public.packing_tasks (organization_id, packing_project_id, kind, title, due_on, derived_due_on, sort_order)
    select w.organization_id, w.project_id, w.kind, w.title, w.due_on, w.due_on, w.sort_order
    from wanted_tasks w where w.old is null
  ), updated_tasks as (
    update public.packing_tasks t set title = c.title, sort_order = c.sort_order, due_on = c.new_due_on,
      derived_due_on = c.due_on, updated_at = now()
    from changed_tasks c
    where t.id = (c.old).id and t.packing_project_id = any (project_packing.known_project_ids)
  )
  select p.booking_id, 'packing_projects', p.name, case when p.old is null then 'created' else 'updated' end,
    case when not detailed then null
      when p.old is null then jsonb_build_object('*', jsonb_build_array(null,
        jsonb_build_object('name', p.name, 'starts_on', p.starts_on, 'ends_on', p.ends_on)))
      else sync.changed_fields(to_jsonb(p.old), to_jsonb(p.new)) end
  from projects p where p.old is null or p.new is distinct from p.old
  union all
  select l.booking_id, 'packing_projects', l.name, 'updated',
    case when detailed then '{"active": [true, false]}'::jsonb end
  from left_out l
  union all
  select w.booking_id, 'packing_tasks', w.kind, 'created',
    case when detailed then jsonb_build_object('*', jsonb_build_array(null, jsonb_build_object('title', w.title, 'due_on', w.due_on))) end
  from wanted_tasks w where w.old is null
  union all
  select c.booking_id, 'packing_tasks', c.kind, 'updated',
    case when detailed then jsonb_build_object('derived_due_on', jsonb_build_array((c.old).derived_due_on, c.due_on),
      'due_on', jsonb_build_array((c.old).due_on, c.new_due_on)) end
  from changed_tasks c
$$;

comment on function sync.project_packing(bigint[], bigint[], boolean) is 'Writes the packing projects and tasks of some bookings.';

-- project_ids: the projects of these bookings; new_project_ids: those that this very call has created.
create function sync.project_packing_items(
  booking_ids bigint[], project_ids bigint[], new_project_ids bigint[], detailed boolean
) returns setof sync.row_change
language sql
set search_path = ''
as $$
  with items as materialized (
    select i as old from public.packing_items i
    where i.packing_project_id = any (project_packing_items.project_ids) and i.booking_product_id is not null
  ), started as materialized (
    select distinct i.packing_project_id from public.packing_items i
    where i.packing_project_id = any (project_packing_items.project_ids) and (i.quantity_packed > 0 or i.packed_at is not null)
  ), requests as materialized (
    select r.* from public.packing_change_requests r
    where r.packing_project_id = any (project_packing_items.project_ids)
  ), projects as materialized (
    select p.id, p.organization_id, p.booking_id,
      coalesce(p.starts_on - (now() at time zone o.time_zone)::date < 14, false) as short_notice,
      p.id <> all (project_packing_items.new_project_ids) and (
        p.status <> 'planning'
        or coalesce(p.starts_on - (now() at time zone o.time_zone)::date < 14, false)
        or exists (select from started i where i.packing_project_id = p.id)
      ) as frozen
    from public.packing_projects p
    join public.organizations o on o.id = p.organization_id
    where p.id = any (project_packing_items.project_ids) and p.active
  ), stored as materialized (
    select i.old, (i.old).packing_project_id, (i.old).booking_product_id
    from projects p
    join items i on (i.old).packing_project_id = p.id
  ), wanted as materialized (
    select p.id as packing_project_id, q.product_id, q.quantity
    from projects p
    join sync.packed_quantities(project_packing_items.booking_ids) q on q.booking_id = p.booking_id
  ), differences as materialized (
    select p.id as packing_project_id, p.organization_id, p.booking_id, p.frozen, p.short_notice, s.old,
      coalesce(w.product_id, s.booking_product_id) as product_id, w.quantity,
      case when s.old is null or not (s.old).active and w.product_id is not null then 'item_added'
        when w.product_id is null then 'item_removed' else 'quantity_changed' end as change_type,
      case when (s.old).active then (s.old).quantity_to_pack end as old_quantity
    from wanted w
    full join stored s on s.packing_project_id = w.packing_project_id and s.booking_product_id = w.product_id
    join projects p on p.id = coalesce(w.packing_project_id, s.packing_project_id)
    where s.old is null
      or (s.old).active is distinct from (w.product_id is not null)
      or (s.old).active and (s.old).quantity_to_pack is distinct from w.quantity
  ), inserted as (
    insert into public.packing_items (organization_id, packing_project_id, booking_product_id, quantity_to_pack)
    select d.organization_id, d.packing_project_id, d.product_id, d.quantity
    from differences d where not d.frozen and d.old is null
  ), updated as (
    update public.packing_items i set active = d.quantity is not null,
      quantity_to_pack = coalesce(d.quantity, i.quantity_to_pack), updated_at = now()
    from differences d
    where not d.frozen and i.id = (d.old).id and i.packing_project_id = any (project_packing_items.project_ids)
  ), undecided as materialized (
    -- A person's no stands: a dismissed request does not come back for the same quantity.
    select d.* from differences d
    where d.frozen and not exists (
      select from requests n
      where n.packing_project_id = d.packing_project_id and n.booking_product_id = d.product_id
        and n.change_type = d.change_type and n.status = 'dismissed'
        and n.resolved_by is distinct from 'system' and n.new_quantity is not distinct from d.quantity)
  ), asked as materialized (
    select d.*, r.id as pending_id
    from undecided d
    left join requests r on r.packing_project_id = d.packing_project_id
      and r.booking_product_id = d.product_id and r.change_type = d.change_type and r.status = 'pending'
    where r.id is null or r.new_quantity is distinct from d.quantity
  ), requested as (
    insert into public.packing_change_requests (organization_id, packing_project_id,
      booking_product_id, change_type, old_quantity, new_quantity, urgency)
    select a.organization_id, a.packing_project_id, a.product_id, a.change_type, a.old_quantity, a.quantity,
      case when a.short_notice then 'short_notice' else 'normal' end
    from asked a where a.pending_id is null
  ), restated as (
    update public.packing_change_requests r set old_quantity = a.old_quantity, new_quantity = a.quantity,
      urgency = case when a.short_notice then 'short_notice' else 'normal' end, updated_at = now()
    from asked a
    where r.id = a.pending_id and r.packing_project_id = any (project_packing_items.project_ids)
  ), withdrawn as (
    -- The cause has gone: the system takes its question back.
    update public.packing_change_requests r set status = 'dismissed', resolved_at = now(),
      resolved_by = 'system', updated_at = now()
    from projects p
    where r.packing_project_id = p.id and r.packing_project_id = any (project_packing_items.project_ids)
      and r.status = 'pending'
      and not exists (select from undecided d
        where d.packing_project_id = r.packing_project_id
          and d.product_id = r.booking_product_id and d.change_type = r.change_type)
    returning r.packing_project_id, r.booking_product_id, r.change_type
  )
  select d.booking_id, 'packing_items', d.product_id::text, case when d.old is null then 'created' else 'updated' end,
    case when detailed then jsonb_build_object('quantity_to_pack', jsonb_build_array(d.old_quantity, d.quantity)) end
  from differences d where not d.frozen
  union all
  select a.booking_id, 'packing_change_requests', a.product_id || ' ' || a.change_type,
    case when a.pending_id is null then 'created' else 'updated' end,
    case when detailed then jsonb_build_object('quantity', jsonb_build_array(a.old_quantity, a.quantity)) end
  from asked a
  union all
  select p.booking_id, 'packing_change_requests', w.booking_product_id || ' ' || w.change_type, 'updated',
    case when detailed then '{"status": ["pending", "dismissed"]}'::jsonb end
  from withdrawn w join projects p on p.id = w.packing_project_id
$$;

comment on function sync.project_packing_items(bigint[], bigint[], bigint[], boolean) is
  'Writes the items of some bookings'' packing projects, or asks a person where a project is frozen. Manual items are never touched.';

create function sync.review_packing(project_ids bigint[]) returns void
language sql
set search_path = ''
as $$
  with reasons as (
    select p.id, case count(r.id) when 0 then null
      when 1 then '1 change of the booking waits for a decision'
      else count(r.id) || ' changes of the booking wait for a decision' end as reason
    from public.packing_projects p
    left join (
      select q.id, q.packing_project_id from public.packing_change_requests q
      where q.packing_project_id = any (review_packing.project_ids) and q.status = 'pending'
    ) r on r.packing_project_id = p.id
    where p.id = any (review_packing.project_ids)
    group by p.id
  )
  update public.packing_projects p
  set needs_review = n.reason is not null, review_reason = n.reason, updated_at = now()
  from reasons n
  where p.id = n.id and p.id = any (review_packing.project_ids)
    and p.review_reason is distinct from n.reason
$$;

comment on function sync.review_packing(bigint[]) is 'Says on each packing project whether changes wait for a person.';
