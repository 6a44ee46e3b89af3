-- What the rules and the days of confirmed bookings call for in the calendar and the warehouse, and
-- how their stored rows follow. Both tables are derived alike; they differ in the name of the day and
-- in times_locked.
-- Rules: local times use the organization's zone; a person's work is never overwritten.

create type sync.desired_event as (
  organization_id uuid,
  booking_id bigint,
  kind text,
  day date,
  starts_at timestamptz,
  ends_at timestamptz,
  title text,
  delivery_address text,
  times_are_default boolean
);

comment on type sync.desired_event is 'A row that a confirmed booking calls for in the calendar or the warehouse.';

create type sync.stored_event as (
  row_id bigint,
  booking_id bigint,
  kind text,
  day date,
  starts_at timestamptz,
  ends_at timestamptz,
  derived_starts_at timestamptz,
  derived_ends_at timestamptz,
  title text,
  delivery_address text,
  has_source_changes boolean,
  active boolean,
  times_are_default boolean,
  day_dropped boolean,
  has_team boolean,
  adjusted boolean
);

comment on type sync.stored_event is
  'A derived row of calendar_events or warehouse_events. adjusted: a person decided its times; day_dropped: and the source has dropped its day since.';

create type sync.event_change as (
  wanted sync.desired_event,
  old sync.stored_event,
  new sync.stored_event
);

comment on type sync.event_change is
  'A row to write: new replaces old; without an old one, wanted is inserted.';

-- A start alone lasts as long as the rule says; so does one that equals its end. An end alone begins when
-- the rule says if that is earlier, else as long before as the rule lasts, also on the day before.
--
-- Takes wall-clock times and returns instants (rule: local times use the organization's zone).
-- Durations are wall clock too, and an end at or before its start is on the next day. Where the clocks
-- change and the end would come before the start, the duration that the wall clock shows is kept.
create function sync.desired_events(booking_ids bigint[], projection text)
returns setof sync.desired_event
language sql stable
set search_path = ''
as $$
  with days as (
    select d.booking_id, d.phase, d.day, d.start_time, d.end_time,
      row_number() over (partition by d.booking_id, d.phase order by d.day) as place,
      row_number() over (partition by d.booking_id, d.phase order by d.day desc) as place_from_end
    from public.booking_dates d
    where d.booking_id = any (desired_events.booking_ids) and d.source_missing_since is null
  ), local as (
    select b.organization_id, b.id as booking_id, r.kind, d.day, o.time_zone, b.delivery_address,
      sync.fill_title(case when b.rental_only then coalesce(r.rental_only_title_template, r.title_template)
        else r.title_template end, coalesce(nullif(btrim(b.title), ''), b.booking_number),
        coalesce(nullif(btrim(b.client_name), ''), case when b.source = 'eventflow' then 'Okänd kund' end), d.day::text) as title,
      t.is_default,
      case when t.start_time is null then d.day + r.day_offset + t.end_time - r.duration
        else d.day + r.day_offset + t.start_time end as starts,
      case when t.end_time is null then d.day + r.day_offset + t.start_time + r.duration
        when t.end_time <= t.start_time then d.day + r.day_offset + 1 + t.end_time
        else d.day + r.day_offset + t.end_time end as ends
    from public.bookings b
    join public.organizations o on o.id = b.organization_id
    join sync.effective_rules(desired_events.booking_ids, desired_events.projection) r
      on r.booking_organization_id = b.organization_id and r.booking_source = b.source
    join days d on d.booking_id = b.id and d.phase = r.anchor
      and case r.which when 'first' then d.place = 1 when 'last' then d.place_from_end = 1 else true end
    -- An end that is its start says nothing; from 24:00 to 00:00 is one moment, too.
    cross join lateral (select case when d.start_time = '24:00' and d.end_time = '00:00' then null
      else nullif(d.end_time, d.start_time) end) e (end_time)
    cross join lateral (
      -- The calendar shows the times of the booking; the warehouse works by the hours of the rule.
      select case when desired_events.projection <> 'calendar' then r.start_time
          when d.start_time is not null then d.start_time
          when d.end_time is null or r.start_time < d.end_time then r.start_time end,
        case when desired_events.projection = 'calendar' then e.end_time end,
        desired_events.projection = 'calendar' and (d.start_time is null or e.end_time is null)
    ) as t (start_time, end_time, is_default)
    where b.id = any (desired_events.booking_ids) and b.status = any (r.project_statuses)
  )
  select l.organization_id, l.booking_id, l.kind, l.day, l.starts at time zone l.time_zone,
    case when l.ends at time zone l.time_zone > l.starts at time zone l.time_zone
      then l.ends at time zone l.time_zone
      else l.starts at time zone l.time_zone + (l.ends - l.starts) end,
    case when l.title = '' then l.kind else l.title end, l.delivery_address, l.is_default
  from local l
$$;

comment on function sync.desired_events(bigint[], text) is
  'Every calendar or warehouse row that some bookings call for; none for a booking of which the status does not project.';

-- With as many old days as new ones, the n-th old day becomes the n-th new one. Otherwise rows keep
-- their day where they can, so that a list that flickers loses no team, and the n-th row that is left
-- takes the n-th day that is left. Old days are the active ones, or all of them if the booking comes
-- back and has no active ones. An inactive row on a day that another row takes moves to a freed day.
-- A row whose day was dropped takes no part until that day is listed again; then the day is its own.
create function sync.match_days(stored sync.stored_event[], desired sync.desired_event[])
returns table (row_id bigint, booking_id bigint, kind text, day date, wanted boolean)
language sql immutable
set search_path = ''
as $$
  with returned as materialized (
    select s.row_id, s.booking_id, s.kind, s.day
    from unnest(match_days.stored) s
    join unnest(match_days.desired) d on d.booking_id = s.booking_id and d.kind = s.kind and d.day = s.day
    where s.day_dropped
  ), new as materialized (
    select d.booking_id, d.kind, d.day from unnest(match_days.desired) d
    where (d.booking_id, d.kind, d.day) not in (select r.booking_id, r.kind, r.day from returned r)
  ), groups as (
    select g.booking_id, g.kind, sum(g.wanted) as wanted, sum(g.active) as active
    from (
      select n.booking_id, n.kind, 1 as wanted, 0 as active from new n
      union all
      select s.booking_id, s.kind, 0, s.active::integer from unnest(match_days.stored) s where not s.day_dropped
    ) g
    group by g.booking_id, g.kind
  ), old as materialized (
    select s.row_id, s.booking_id, s.kind, s.day, s.active or g.active = 0 as counts,
      g.wanted = g.active as shift
    from unnest(match_days.stored) s
    join groups g on g.booking_id = s.booking_id and g.kind = s.kind
    where g.wanted > 0 and not s.day_dropped
  ), exact as materialized (
    select o.row_id, o.booking_id, o.kind, o.day
    from old o join new n on n.booking_id = o.booking_id and n.kind = o.kind and n.day = o.day
    where not o.shift
  ), old_rest as (
    select o.*, row_number() over (partition by o.booking_id, o.kind order by o.day) as place
    from old o
    where o.counts and not exists (select from exact e where e.row_id = o.row_id)
  ), new_rest as (
    select n.*, row_number() over (partition by n.booking_id, n.kind order by n.day) as place
    from new n
    where not exists (select from exact e where e.booking_id = n.booking_id and e.kind = n.kind and e.day = n.day)
  ), moved as materialized (
    select o.row_id, n.booking_id, n.kind, n.day, o.day as old_day
    from new_rest n
    left join old_rest o on o.booking_id = n.booking_id and o.kind = n.kind and o.place = n.place
  ), displaced as (
    select o.row_id, o.booking_id, o.kind, row_number() over (partition by o.booking_id, o.kind order by o.day) as place
    from old o
    join moved m on m.booking_id = o.booking_id and m.kind = o.kind and m.day = o.day
    where not exists (select from exact e where e.row_id = o.row_id)
      and not exists (select from moved k where k.row_id = o.row_id)
  ), vacated as (
    select m.booking_id, m.kind, m.old_day as day, row_number() over (partition by m.booking_id, m.kind order by m.old_day) as place
    from moved m
    where m.old_day is not null
      and not exists (select from moved k where k.booking_id = m.booking_id and k.kind = m.kind and k.day = m.old_day)
  )
  select r.row_id, r.booking_id, r.kind, r.day, true from returned r
  union all
  select e.row_id, e.booking_id, e.kind, e.day, true from exact e
  union all
  select m.row_id, m.booking_id, m.kind, m.day, true from moved m
  union all
  select d.row_id, d.booking_id, d.kind, v.day, false
  from displaced d join vacated v on v.booking_id = d.booking_id and v.kind = d.kind and v.place = d.place
$$;

comment on function sync.match_days(sync.stored_event[], sync.desired_event[]) is
  'Pairs stored rows with desired days; row_id null: a new row; wanted false: an inactive row that only makes room.';

create function sync.stored_events(booking_ids bigint[], projection text) returns setof sync.stored_event
language sql stable
set search_path = ''
as $$
  select c.id, c.booking_id, c.event_type, c.day, c.starts_at, c.ends_at, c.derived_starts_at, c.derived_ends_at,
    c.title, c.delivery_address, c.has_source_changes, c.active, c.times_are_default, c.day_dropped, c.resource_id is not null,
    c.adjusted_at is not null or c.times_locked
      or (c.starts_at, c.ends_at) is distinct from (c.derived_starts_at, c.derived_ends_at)
  from public.calendar_events c
  where stored_events.projection = 'calendar' and c.booking_id = any (stored_events.booking_ids)
  union all
  select w.id, w.booking_id, w.event_type, w.basis_day, w.starts_at, w.ends_at, w.derived_starts_at, w.derived_ends_at,
    w.title, w.delivery_address, w.has_source_changes, w.active, false, w.day_dropped, false,
    w.adjusted_at is not null
      or (w.starts_at, w.ends_at) is distinct from (w.derived_starts_at, w.derived_ends_at)
  from public.warehouse_events w
  where stored_events.projection = 'warehouse' and w.booking_id = any (stored_events.booking_ids)
$$;

comment on function sync.stored_events(bigint[], text) is
  'The calendar or warehouse rows of some bookings. A row counts as adjusted if a person set or locked its times, or if it simply differs from what was derived.';

create function sync.is_day_dropped(booking_id bigint, phase text, day date) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (
    select from public.bookings b
    join sync.connections c on c.organization_id = b.organization_id and c.source = b.source
    join public.booking_dates d on d.booking_id = b.id
    where b.id = is_day_dropped.booking_id and b.status = any (c.project_statuses) and d.day = is_day_dropped.day
      and (is_day_dropped.phase is null or d.phase::text = is_day_dropped.phase)
    having bool_and(d.source_missing_since is not null))
$$;

comment on function sync.is_day_dropped(bigint, text, date) is
  'Whether a booking that projects once had this day, in the phase if one is named, and its source has dropped it.';

-- A person's times stay. What the source says goes into derived_*, and a difference that the source
-- made shows as has_source_changes.
create function sync.plan_events(booking_ids bigint[], projection text) returns setof sync.event_change
language sql stable
set search_path = ''
as $$
  with desired as materialized (
    select d as wanted from sync.desired_events(plan_events.booking_ids, plan_events.projection) d
  ), stored as materialized (
    select s as old from sync.stored_events(plan_events.booking_ids, plan_events.projection) s
  ), matched as materialized (
    select m.* from sync.match_days(array(select s.old from stored s), array(select d.wanted from desired d)) m
  ), paired as materialized (
    select d.wanted, not (d.wanted is null) as active, s.old, coalesce(m.day, (s.old).day) as day
    from stored s
    full join matched m on m.row_id = (s.old).row_id
    left join desired d on m.wanted and (d.wanted).booking_id = m.booking_id
      and (d.wanted).kind = m.kind and (d.wanted).day = m.day
  ), judged as materialized (
    select p.*, case when not p.active and (p.old).active and (p.old).adjusted
      then sync.is_day_dropped((p.old).booking_id, case plan_events.projection when 'calendar' then (p.old).kind end, (p.old).day)
      else false end as dropped
    from paired p
  ), planned as materialized (
    select p.wanted, p.old, row(n.*)::sync.stored_event as new
    from judged p
    cross join lateral (
      select (p.old).row_id as row_id, (p.old).booking_id as booking_id, (p.old).kind as kind, p.day as day,
        case when p.active and not (p.old).adjusted then (p.wanted).starts_at else (p.old).starts_at end as starts_at,
        case when p.active and not (p.old).adjusted then (p.wanted).ends_at else (p.old).ends_at end as ends_at,
        coalesce((p.wanted).starts_at, (p.old).derived_starts_at) as derived_starts_at,
        coalesce((p.wanted).ends_at, (p.old).derived_ends_at) as derived_ends_at,
        coalesce((p.wanted).title, (p.old).title) as title,
        case when p.active then (p.wanted).delivery_address else (p.old).delivery_address end as delivery_address,
        case when p.active then (p.old).adjusted
            and ((p.old).starts_at, (p.old).ends_at) is distinct from ((p.wanted).starts_at, (p.wanted).ends_at)
            and ((p.old).has_source_changes and not (p.old).day_dropped or ((p.old).derived_starts_at, (p.old).derived_ends_at)
              is distinct from ((p.wanted).starts_at, (p.wanted).ends_at))
          else (p.old).has_source_changes or p.dropped end as has_source_changes,
        p.active or p.dropped as active,
        coalesce((p.wanted).times_are_default, (p.old).times_are_default) as times_are_default,
        p.dropped as day_dropped, (p.old).has_team as has_team, (p.old).adjusted as adjusted
    ) n
  )
  select p.wanted, p.old, p.new from planned p
  where p.old is null or p.new is distinct from p.old
$$;

comment on function sync.plan_events(bigint[], text) is
  'How the calendar or warehouse rows of some bookings must change to follow the bookings. Writes nothing.';

-- Existing rows move first: a new row may take the day of one that makes room.
create function sync.write_calendar_events(changes sync.event_change[], booking_ids bigint[]) returns void
language sql
set search_path = ''
as $$
  update public.calendar_events e set day = (c.new).day, starts_at = (c.new).starts_at, ends_at = (c.new).ends_at,
    derived_starts_at = (c.new).derived_starts_at, derived_ends_at = (c.new).derived_ends_at,
    title = (c.new).title, delivery_address = (c.new).delivery_address,
    has_source_changes = (c.new).has_source_changes, times_are_default = (c.new).times_are_default, day_dropped = (c.new).day_dropped,
    active = (c.new).active, updated_at = now()
  from unnest(changes) c
  where e.id = (c.old).row_id and e.booking_id = any (booking_ids);

  insert into public.calendar_events (organization_id, booking_id, event_type, day, starts_at, ends_at,
    derived_starts_at, derived_ends_at, title, delivery_address, times_are_default, resource_id)
  select (c.wanted).organization_id, (c.wanted).booking_id, (c.wanted).kind, (c.wanted).day,
    (c.wanted).starts_at, (c.wanted).ends_at, (c.wanted).starts_at, (c.wanted).ends_at,
    (c.wanted).title, (c.wanted).delivery_address, (c.wanted).times_are_default, (
      -- The team that all other days of the phase share.
      select case when count(*) = count(e.resource_id) and count(distinct e.resource_id) = 1
        then (array_agg(e.resource_id))[1] end
      from public.calendar_events e
      where e.booking_id = (c.wanted).booking_id and e.event_type = (c.wanted).kind and e.active)
  from unnest(changes) c
  where c.old is null
$$;

comment on function sync.write_calendar_events(sync.event_change[], bigint[]) is
  'Writes planned changes to calendar_events. A new day takes the team that all other days of its phase share.';

create function sync.write_warehouse_events(changes sync.event_change[], booking_ids bigint[]) returns void
language sql
set search_path = ''
as $$
  update public.warehouse_events e set basis_day = (c.new).day, starts_at = (c.new).starts_at, ends_at = (c.new).ends_at,
    derived_starts_at = (c.new).derived_starts_at, derived_ends_at = (c.new).derived_ends_at,
    title = (c.new).title, delivery_address = (c.new).delivery_address,
    has_source_changes = (c.new).has_source_changes, day_dropped = (c.new).day_dropped,
    active = (c.new).active, updated_at = now()
  from unnest(changes) c
  where e.id = (c.old).row_id and e.booking_id = any (booking_ids);

  insert into public.warehouse_events (organization_id, booking_id, event_type, basis_day, starts_at, ends_at,
    derived_starts_at, derived_ends_at, title, delivery_address)
  select (c.wanted).organization_id, (c.wanted).booking_id, (c.wanted).kind, (c.wanted).day,
    (c.wanted).starts_at, (c.wanted).ends_at, (c.wanted).starts_at, (c.wanted).ends_at,
    (c.wanted).title, (c.wanted).delivery_address
  from unnest(changes) c
  where c.old is null
$$;

comment on function sync.write_warehouse_events(sync.event_change[], bigint[]) is 'Writes planned changes to warehouse_events.';

create function sync.event_change_fields(change sync.event_change, projection text) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  select case
    when (change).old is null then jsonb_build_object('*', jsonb_build_array(null,
      to_jsonb((change).wanted) - array['organization_id', 'booking_id']))
    when projection = 'warehouse' and f.fields ? 'day'
      then f.fields - 'day' || jsonb_build_object('basis_day', f.fields -> 'day')
    else f.fields end
  from (select sync.changed_fields(to_jsonb((change).old), to_jsonb((change).new))) f (fields)
$$;

comment on function sync.event_change_fields(sync.event_change, text) is
  'The fields of a row_change for a calendar or warehouse row, under the names of its table.';

-- Row by row on purpose (lateral): for `= any` the planner expects to meet a row at once, and reads the
-- whole table when there is none, which is what a first import asks.
create function sync.has_events(booking_ids bigint[], projection text) returns boolean
language plpgsql stable
set search_path = ''
as $$
begin
  if projection = 'calendar' then
    return exists (select from unnest(booking_ids) b (id)
      cross join lateral (select from public.calendar_events c where c.booking_id = b.id limit 1) c);
  end if;
  return exists (select from unnest(booking_ids) b (id)
    cross join lateral (select from public.warehouse_events w where w.booking_id = b.id limit 1) w);
end;
$$;

comment on function sync.has_events(bigint[], text) is 'Whether any of some bookings has rows in the calendar or the warehouse.';

create function sync.project_events(booking_ids bigint[], projection text, detailed boolean)
returns setof sync.row_change
language plpgsql
set search_path = ''
as $$
declare
  changes sync.event_change[];
begin
  -- A first import has nothing to compare with.
  if sync.has_events(booking_ids, projection) then
    changes := array(select c from sync.plan_events(booking_ids, projection) c);
  else
    changes := array(select row(d, null, null)::sync.event_change from sync.desired_events(booking_ids, projection) d);
  end if;
  if projection = 'calendar' then
    perform sync.write_calendar_events(changes, booking_ids);
  else
    perform sync.write_warehouse_events(changes, booking_ids);
  end if;
  perform sync.review_events(changes);
  return query
    select coalesce((c.wanted).booking_id, (c.old).booking_id),
      projection || '_events',
      case when c.old is null then (c.wanted).kind || ' ' || (c.wanted).day else (c.old).kind || ' ' || (c.old).day end,
      case when c.old is null then 'created' else 'updated' end,
      case when detailed then sync.event_change_fields(row(c.*)::sync.event_change, projection) end
    from unnest(changes) c;
end;
$$;

comment on function sync.project_events(bigint[], text, boolean) is
  'Writes the calendar or the warehouse rows of some bookings; returns what it wrote, with fields if detailed.';
