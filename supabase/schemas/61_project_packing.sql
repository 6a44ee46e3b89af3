-- Packing projects, their tasks and their items, derived from bookings.
-- Once a project is frozen, people rely on its list: changes to its items become requests that a person
-- decides. A project that this call creates is filled normally. Manual items are never touched.
-- Rules: a person's work is never overwritten. The 14-day rule stands in sync.packing_states.

create function sync.wanted_packing_projects(booking_ids bigint[])
returns table (
  organization_id uuid, booking_id bigint, name text, client_name text, starts_on date, ends_on date,
  delivery_address text, notes text
)
language sql stable
set search_path = ''
as $$
  select b.organization_id, b.id,
    coalesce(nullif(sync.fill_title(r.title_template, b.title, b.client_name,
      coalesce(d.first_event, d.first_day)::text), ''), b.booking_number, b.external_id),
    b.client_name, coalesce(d.first_rig, d.first_day), coalesce(d.last_rigdown, d.last_day),
    b.delivery_address, b.source_notes
  from public.bookings b
  join sync.effective_rules(wanted_packing_projects.booking_ids, 'packing_project') r
    on r.booking_organization_id = b.organization_id and r.booking_source = b.source
  left join (
    select k.booking_id, min(k.day) as first_day, max(k.day) as last_day,
      min(k.day) filter (where k.phase = 'rig') as first_rig,
      min(k.day) filter (where k.phase = 'event') as first_event,
      max(k.day) filter (where k.phase = 'rigdown') as last_rigdown
    from public.booking_dates k
    where k.booking_id = any (wanted_packing_projects.booking_ids) and k.source_missing_since is null
    group by k.booking_id
  ) d on d.booking_id = b.id
  where b.id = any (wanted_packing_projects.booking_ids) and b.status = any (r.project_statuses)
$$;

comment on function sync.wanted_packing_projects(bigint[]) is
  'The packing projects that some bookings call for; none for a booking of which the status does not project.';

-- known_project_ids: the projects that these bookings have already.
create function sync.write_packing_projects(booking_ids bigint[], known_project_ids bigint[], detailed boolean)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with stored as materialized (
    select p as old from public.packing_projects p where p.id = any (write_packing_projects.known_project_ids)
  ), wanted as materialized (
    select w.*, s.old, jsonb_populate_record(s.old, jsonb_build_object('name', w.name,
      'client_name', w.client_name, 'starts_on', w.starts_on, 'ends_on', w.ends_on,
      'delivery_address', w.delivery_address, 'notes', w.notes, 'active', true)) as new
    from sync.wanted_packing_projects(write_packing_projects.booking_ids) w
    left join stored s on (s.old).booking_id = w.booking_id
  ), inserted as (
    insert into public.packing_projects
      (organization_id, booking_id, name, client_name, starts_on, ends_on, delivery_address, notes)
    select w.organization_id, w.booking_id, w.name, w.client_name, w.starts_on, w.ends_on, w.delivery_address, w.notes
    from wanted w
    where w.old is null
  ), updated as (
    update public.packing_projects p set name = w.name, client_name = w.client_name, starts_on = w.starts_on,
      ends_on = w.ends_on, delivery_address = w.delivery_address, notes = w.notes, active = true, updated_at = now()
    from wanted w
    where p.id = (w.old).id and p.id = any (write_packing_projects.known_project_ids) and w.new is distinct from w.old
  ), deactivated as (
    update public.packing_projects p set active = false, updated_at = now()
    where p.id = any (write_packing_projects.known_project_ids) and p.active
      and not exists (select from wanted w where w.booking_id = p.booking_id)
    returning p.booking_id, p.name
  )
  select w.booking_id, 'packing_projects', w.name, case when w.old is null then 'created' else 'updated' end,
    case when not detailed then null
      when w.old is null then jsonb_build_object('*', jsonb_build_array(null,
        jsonb_build_object('name', w.name, 'starts_on', w.starts_on, 'ends_on', w.ends_on)))
      else sync.changed_fields(to_jsonb(w.old), to_jsonb(w.new)) end
  from wanted w
  where w.old is null or w.new is distinct from w.old
  union all
  select d.booking_id, 'packing_projects', d.name, 'updated',
    case when detailed then '{"active": [true, false]}'::jsonb end
  from deactivated d
$$;

comment on function sync.write_packing_projects(bigint[], bigint[], boolean) is
  'Inserts, updates and deactivates the packing projects of some bookings.';

-- A task follows the days of its phase until a person completes it or sets another due date.
create function sync.wanted_packing_tasks(booking_ids bigint[])
returns table (
  packing_project_id bigint, organization_id uuid, booking_id bigint, kind text, title text, sort_order integer, due_on date
)
language sql stable
set search_path = ''
as $$
  select p.id, p.organization_id, p.booking_id, r.kind, r.title_template, r.sort_order,
    case r.which when 'last' then d.last_day else d.first_day end + r.day_offset
  from public.packing_projects p
  join public.bookings b on b.id = p.booking_id
  join sync.effective_rules(wanted_packing_tasks.booking_ids, 'packing_task') r
    on r.booking_organization_id = b.organization_id and r.booking_source = b.source
  left join (
    select k.booking_id, k.phase, min(k.day) as first_day, max(k.day) as last_day
    from public.booking_dates k
    where k.booking_id = any (wanted_packing_tasks.booking_ids) and k.source_missing_since is null
    group by k.booking_id, k.phase
  ) d on d.booking_id = p.booking_id and d.phase = r.anchor
  where p.booking_id = any (wanted_packing_tasks.booking_ids) and b.id = any (wanted_packing_tasks.booking_ids) and p.active
$$;

comment on function sync.wanted_packing_tasks(bigint[]) is 'The tasks that the active packing projects of some bookings call for.';

create function sync.write_packing_tasks(booking_ids bigint[], project_ids bigint[], detailed boolean)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with stored as materialized (
    select t as old from public.packing_tasks t where t.packing_project_id = any (write_packing_tasks.project_ids)
  ), wanted as materialized (
    select w.packing_project_id, w.organization_id, w.booking_id, w.kind, w.title, w.sort_order, s.old,
      w.due_on as derived_due_on,
      -- A person's date stays: the task is done, its date was set, or it simply differs from ours.
      case when (s.old).completed_at is not null or (s.old).adjusted_at is not null
          or (s.old).due_on is distinct from (s.old).derived_due_on then (s.old).due_on
        else w.due_on end as due_on
    from sync.wanted_packing_tasks(write_packing_tasks.booking_ids) w
    left join stored s on (s.old).packing_project_id = w.packing_project_id and (s.old).kind = w.kind
  ), changed as materialized (
    select w.* from wanted w
    where not (w.old is null) and ((w.old).title, (w.old).sort_order, (w.old).due_on, (w.old).derived_due_on)
      is distinct from (w.title, w.sort_order, w.due_on, w.derived_due_on)
  ), inserted as (
    insert into public.packing_tasks (organization_id, packing_project_id, kind, title, due_on, derived_due_on, sort_order)
    select w.organization_id, w.packing_project_id, w.kind, w.title, w.due_on, w.derived_due_on, w.sort_order
    from wanted w
    where w.old is null
  ), updated as (
    update public.packing_tasks t set title = c.title, sort_order = c.sort_order, due_on = c.due_on,
      derived_due_on = c.derived_due_on, updated_at = now()
    from changed c
    where t.id = (c.old).id and t.packing_project_id = any (write_packing_tasks.project_ids)
  )
  select w.booking_id, 'packing_tasks', w.kind, 'created', case when detailed then jsonb_build_object('*',
    jsonb_build_array(null, jsonb_build_object('title', w.title, 'due_on', w.due_on))) end
  from wanted w
  where w.old is null
  union all
  select c.booking_id, 'packing_tasks', c.kind, 'updated', case when detailed then jsonb_build_object(
    'derived_due_on', jsonb_build_array((c.old).derived_due_on, c.derived_due_on),
    'due_on', jsonb_build_array((c.old).due_on, c.due_on)) end
  from changed c
$$;

comment on function sync.write_packing_tasks(bigint[], bigint[], boolean) is
  'Inserts and updates the tasks of some bookings'' packing projects.';

create function sync.packed_quantities(booking_ids bigint[])
returns table (booking_id bigint, product_id bigint, quantity numeric)
language sql stable
set search_path = ''
as $$
  with recursive products as materialized (
    -- A package that the source no longer lists multiplies nothing.
    select p.id, p.booking_id, p.parent_id, p.quantity, p.is_package_component
    from public.booking_products p
    where p.booking_id = any (packed_quantities.booking_ids) and p.source_missing_since is null
  ), pieces as (
    -- From the rows that are no component of a listed row down through the components, level by level.
    select p.id, p.quantity from products p
    where not p.is_package_component or not exists (select from products q where q.id = p.parent_id)
    union all
    -- A refund or a discount is packed by nobody, and neither is a part of one, whatever the signs make.
    select c.id, case when c.quantity > 0 and p.quantity > 0 then c.quantity * p.quantity else 0 end
    from pieces p
    join products c on c.parent_id = p.id and c.is_package_component
  )
  -- A package with components is not packed itself; its components are, times its quantity. Only
  -- components multiply. Rows that are each other's parents keep their own quantity.
  select p.booking_id, p.id, coalesce(n.quantity, p.quantity)
  from products p
  left join pieces n on n.id = p.id
  where not exists (
    select from products c where c.parent_id = p.id and c.id <> p.id and c.is_package_component)
    and coalesce(n.quantity, p.quantity) > 0
$$;

comment on function sync.packed_quantities(bigint[]) is 'What is to be packed for some bookings: pieces per product row, more than none (incident: component quantities not multiplied).';

create type sync.packing_state as (
  packing_project_id bigint,
  organization_id uuid,
  booking_id bigint,
  short_notice boolean,
  frozen boolean
);

comment on type sync.packing_state is
  'An active packing project. short_notice: it starts in less than 14 days. frozen: people rely on its list.';

create function sync.packing_states(project_ids bigint[], new_project_ids bigint[]) returns setof sync.packing_state
language sql stable
set search_path = ''
as $$
  with started as materialized (
    select distinct i.packing_project_id from public.packing_items i
    where i.packing_project_id = any (packing_states.project_ids) and (i.quantity_packed > 0 or i.packed_at is not null)
  )
  select p.id, p.organization_id, p.booking_id, n.short_notice,
    p.id <> all (packing_states.new_project_ids) and (p.status <> 'planning' or n.short_notice
      or exists (select from started s where s.packing_project_id = p.id))
  from public.packing_projects p
  join public.organizations o on o.id = p.organization_id
  cross join lateral (
    select coalesce(p.starts_on - (now() at time zone o.time_zone)::date < 14, false)
  ) n (short_notice)
  where p.id = any (packing_states.project_ids) and p.active
$$;

comment on function sync.packing_states(bigint[], bigint[]) is
  'The active ones of some packing projects. A project is frozen if its status is not planning, if anything was packed, or if it starts in less than 14 days; never in the call that creates it (new_project_ids).';

create type sync.packing_difference as (
  packing_project_id bigint,
  organization_id uuid,
  booking_id bigint,
  booking_product_id bigint,
  packing_item_id bigint,
  change_type text,
  old_quantity numeric,
  new_quantity numeric,
  frozen boolean,
  short_notice boolean
);

comment on type sync.packing_difference is
  'What the booking packs and the list does not say yet. old_quantity null: not on the list; new_quantity null: no longer packed.';

create function sync.packing_differences(booking_ids bigint[], project_ids bigint[], new_project_ids bigint[])
returns setof sync.packing_difference
language sql stable
set search_path = ''
as $$
  with projects as materialized (
    select s.* from sync.packing_states(packing_differences.project_ids, packing_differences.new_project_ids) s
  ), stored as materialized (
    select i.id, i.packing_project_id, i.booking_product_id, i.active, i.quantity_to_pack
    from projects p
    join public.packing_items i on i.packing_project_id = p.packing_project_id
    where i.packing_project_id = any (packing_differences.project_ids) and i.booking_product_id is not null
  ), wanted as materialized (
    select p.packing_project_id, q.product_id, q.quantity
    from projects p
    join sync.packed_quantities(packing_differences.booking_ids) q on q.booking_id = p.booking_id
  )
  select p.packing_project_id, p.organization_id, p.booking_id, coalesce(w.product_id, s.booking_product_id), s.id,
    case when s.id is null or not s.active and w.product_id is not null then 'item_added'
      when w.product_id is null then 'item_removed' else 'quantity_changed' end,
    case when s.active then s.quantity_to_pack end, w.quantity, p.frozen, p.short_notice
  from wanted w
  full join stored s on s.packing_project_id = w.packing_project_id and s.booking_product_id = w.product_id
  join projects p on p.packing_project_id = coalesce(w.packing_project_id, s.packing_project_id)
  where s.id is null
    or s.active is distinct from (w.product_id is not null)
    or s.active and s.quantity_to_pack is distinct from w.quantity
$$;

comment on function sync.packing_differences(bigint[], bigint[], bigint[]) is
  'Compares the items of packing projects with what their bookings pack. Writes nothing.';

create function sync.write_packing_items(differences sync.packing_difference[], project_ids bigint[], detailed boolean)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with inserted as (
    insert into public.packing_items (organization_id, packing_project_id, booking_product_id, quantity_to_pack)
    select d.organization_id, d.packing_project_id, d.booking_product_id, d.new_quantity
    from unnest(differences) d
    where not d.frozen and d.packing_item_id is null
  ), updated as (
    update public.packing_items i set active = d.new_quantity is not null,
      quantity_to_pack = coalesce(d.new_quantity, i.quantity_to_pack), updated_at = now()
    from unnest(differences) d
    where not d.frozen and i.id = d.packing_item_id and i.packing_project_id = any (project_ids)
  )
  select d.booking_id, 'packing_items', d.booking_product_id::text,
    case when d.packing_item_id is null then 'created' else 'updated' end,
    case when detailed then jsonb_build_object('quantity_to_pack', jsonb_build_array(d.old_quantity, d.new_quantity)) end
  from unnest(differences) d
  where not d.frozen
$$;

comment on function sync.write_packing_items(sync.packing_difference[], bigint[], boolean) is
  'Makes the lists of projects that are not frozen follow their bookings. An item that is no longer packed becomes inactive.';

-- A person's no stands: a dismissed request does not come back for the same quantity.
create function sync.undecided_differences(differences sync.packing_difference[], project_ids bigint[])
returns setof sync.packing_difference
language sql stable
set search_path = ''
as $$
  select d.* from unnest(differences) d
  where d.frozen and not exists (
    select from public.packing_change_requests r
    where r.packing_project_id = any (project_ids) and r.packing_project_id = d.packing_project_id
      and r.booking_product_id = d.booking_product_id and r.change_type = d.change_type
      and r.status = 'dismissed' and r.resolved_by is distinct from 'system'
      and r.new_quantity is not distinct from d.new_quantity)
$$;

comment on function sync.undecided_differences(sync.packing_difference[], bigint[]) is
  'The differences of frozen projects that a person has yet to decide.';

create function sync.request_packing_changes(undecided sync.packing_difference[], project_ids bigint[], detailed boolean)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with asked as materialized (
    select d.*, r.id as pending_id, case when d.short_notice then 'short_notice' else 'normal' end as urgency
    from unnest(undecided) d
    left join public.packing_change_requests r on r.packing_project_id = any (project_ids)
      and r.packing_project_id = d.packing_project_id and r.booking_product_id = d.booking_product_id
      and r.change_type = d.change_type and r.status = 'pending'
    where r.id is null or r.new_quantity is distinct from d.new_quantity
  ), inserted as (
    insert into public.packing_change_requests (organization_id, packing_project_id,
      booking_product_id, change_type, old_quantity, new_quantity, urgency)
    select a.organization_id, a.packing_project_id, a.booking_product_id, a.change_type, a.old_quantity, a.new_quantity, a.urgency
    from asked a
    where a.pending_id is null
  ), updated as (
    update public.packing_change_requests r set old_quantity = a.old_quantity, new_quantity = a.new_quantity,
      urgency = a.urgency, updated_at = now()
    from asked a
    where r.id = a.pending_id and r.packing_project_id = any (project_ids)
  )
  select a.booking_id, 'packing_change_requests', a.booking_product_id || ' ' || a.change_type,
    case when a.pending_id is null then 'created' else 'updated' end,
    case when detailed then jsonb_build_object('quantity', jsonb_build_array(a.old_quantity, a.new_quantity)) end
  from asked a
$$;

comment on function sync.request_packing_changes(sync.packing_difference[], bigint[], boolean) is
  'Asks people about undecided differences. A pending request is brought up to date instead of repeated.';

create function sync.withdraw_packing_requests(undecided sync.packing_difference[], project_ids bigint[], detailed boolean)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with withdrawn as (
    update public.packing_change_requests r set status = 'dismissed', resolved_at = now(),
      resolved_by = 'system', updated_at = now()
    from public.packing_projects p
    where p.id = r.packing_project_id and p.active and p.id = any (project_ids)
      and r.packing_project_id = any (project_ids) and r.status = 'pending'
      and not exists (
        select from unnest(undecided) d
        where d.packing_project_id = r.packing_project_id
          and d.booking_product_id = r.booking_product_id and d.change_type = r.change_type)
    returning p.booking_id, r.booking_product_id, r.change_type
  )
  select w.booking_id, 'packing_change_requests', w.booking_product_id || ' ' || w.change_type, 'updated',
    case when detailed then '{"status": ["pending", "dismissed"]}'::jsonb end
  from withdrawn w
$$;

comment on function sync.withdraw_packing_requests(sync.packing_difference[], bigint[], boolean) is
  'Dismisses, in the name of the system, the pending requests whose cause is gone.';

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

comment on function sync.review_packing(bigint[]) is 'Marks each packing project that has changes waiting for a person, and says how many.';

create function sync.project_packing(booking_ids bigint[], detailed boolean) returns setof sync.row_change
language plpgsql
set search_path = ''
as $$
declare
  known_ids constant bigint[] := array(select p.id from public.packing_projects p where p.booking_id = any (booking_ids));
  project_ids bigint[];
  new_ids bigint[];
  differences sync.packing_difference[];
  undecided sync.packing_difference[];
begin
  return query select * from sync.write_packing_projects(booking_ids, known_ids, detailed);
  project_ids := array(select p.id from public.packing_projects p where p.booking_id = any (booking_ids));
  new_ids := array(select n.id from unnest(project_ids) n (id) where n.id <> all (known_ids));

  return query select * from sync.write_packing_tasks(booking_ids, project_ids, detailed);

  differences := array(select d from sync.packing_differences(booking_ids, project_ids, new_ids) d);
  return query select * from sync.write_packing_items(differences, project_ids, detailed);
  if cardinality(known_ids) > 0 then
    undecided := array(select d from sync.undecided_differences(differences, project_ids) d);
    return query select * from sync.request_packing_changes(undecided, project_ids, detailed);
    return query select * from sync.withdraw_packing_requests(undecided, project_ids, detailed);
    perform sync.review_packing(known_ids);
  end if;
end;
$$;

comment on function sync.project_packing(bigint[], boolean) is
  'Derives the packing rows of some bookings: projects, tasks, and items or requests to change them.';
