-- Purpose: what the rules and days of bookings call for in the calendar and the warehouse, and which
-- stored row stands for which of it. Pure reading; the writers come next.

create type sync.desired_event as (
  organization_id uuid,
  booking_id bigint,
  kind text,
  day date,
  starts_at timestamptz,
  ends_at timestamptz,
  title text,
  delivery_address text
);

comment on type sync.desired_event is 'A row that a confirmed booking calls for in the calendar or the warehouse.';

create type sync.stored_day as (row_id bigint, booking_id bigint, kind text, day date, active boolean);

comment on type sync.stored_day is 'A stored calendar or warehouse row, as far as matching needs it.';

-- Wall clock in, instants out (invariant 15). Durations are wall clock too, and an end at or before
-- its start is on the next day. Where the clocks change, an end that would come before its start
-- gets the duration that the wall clock shows.
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
        else r.title_template end, coalesce(b.title, b.booking_number), b.client_name, d.day::text) as title,
      d.day + r.day_offset + t.start_time as starts,
      case when t.end_time is null then d.day + r.day_offset + t.start_time + r.duration
        when t.end_time <= t.start_time then d.day + r.day_offset + 1 + t.end_time
        else d.day + r.day_offset + t.end_time end as ends
    from public.bookings b
    join public.organizations o on o.id = b.organization_id
    join sync.effective_rules(desired_events.booking_ids, desired_events.projection) r
      on r.booking_organization_id = b.organization_id and r.booking_source = b.source
    join days d on d.booking_id = b.id and d.phase = r.anchor
      and case r.which when 'first' then d.place = 1 when 'last' then d.place_from_end = 1 else true end
    cross join lateral (
      -- The calendar shows the booking's own times; the warehouse has hours of its own.
      select case when desired_events.projection = 'calendar' then coalesce(d.start_time, r.start_time) else r.start_time end,
        case when desired_events.projection = 'calendar' then d.end_time end
    ) as t (start_time, end_time)
    where b.id = any (desired_events.booking_ids) and b.status = 'CONFIRMED'
  )
  select l.organization_id, l.booking_id, l.kind, l.day, l.starts at time zone l.time_zone,
    case when l.ends at time zone l.time_zone > l.starts at time zone l.time_zone
      then l.ends at time zone l.time_zone
      else l.starts at time zone l.time_zone + (l.ends - l.starts) end,
    case when l.title = '' then l.kind else l.title end, l.delivery_address
  from local l
$$;

comment on function sync.desired_events(bigint[], text) is
  'Every calendar or warehouse row that some bookings call for; none for a booking that is not confirmed.';

-- Which stored row stands for which desired day. As many old days as new ones: the n-th old day
-- becomes the n-th new one. Else rows keep their day where they can (a list that flickers between
-- one day and the range loses no team), and the n-th of the rest becomes the n-th of the rest.
-- Old days are the active ones; without any (a booking that comes back) all of them, each on its day
-- where it can be. An inactive
-- row that stands where another must go takes a day that became free.
create function sync.match_days(stored sync.stored_day[], desired sync.desired_event[])
returns table (row_id bigint, booking_id bigint, kind text, day date, wanted boolean)
language sql immutable
set search_path = ''
as $$
  with groups as (
    select g.booking_id, g.kind, sum(g.wanted) as wanted, sum(g.active) as active
    from (
      select d.booking_id, d.kind, 1 as wanted, 0 as active from unnest(match_days.desired) d
      union all
      select s.booking_id, s.kind, 0, s.active::integer from unnest(match_days.stored) s
    ) g
    group by g.booking_id, g.kind
  ), old as materialized (
    select s.row_id, s.booking_id, s.kind, s.day, s.active or g.active = 0 as counts,
      g.wanted = g.active as shift
    from unnest(match_days.stored) s
    join groups g on g.booking_id = s.booking_id and g.kind = s.kind
    where g.wanted > 0
  ), new as materialized (
    select d.booking_id, d.kind, d.day from unnest(match_days.desired) d
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
  select e.row_id, e.booking_id, e.kind, e.day, true from exact e
  union all
  select m.row_id, m.booking_id, m.kind, m.day, true from moved m
  union all
  select d.row_id, d.booking_id, d.kind, v.day, false
  from displaced d join vacated v on v.booking_id = d.booking_id and v.kind = d.kind and v.place = d.place
$$;

comment on function sync.match_days(sync.stored_day[], sync.desired_event[]) is
  'Pairs stored rows with desired days; row_id null: a new row; wanted false: an inactive row that only makes room.';

-- Purpose: write the calendar and the warehouse of some bookings: one body for both tables, which
-- differ in the name of the day and in times_locked.
-- A person's times stay: a row counts as adjusted if adjusted_at is set, its times are locked, or it
-- simply stands elsewhere than we put it. What the source says goes into derived_*, and a
-- difference that the source made shows as has_source_changes.

create function sync.project_events(booking_ids bigint[], projection text, detailed boolean)
returns setof sync.row_change
language plpgsql
set search_path = ''
as $$
begin
  return query execute format($query$
    with desired as materialized (
      select d as wanted from sync.desired_events($1, %1$L) d
    ), stored as materialized (
      select e as old, e.adjusted_at is not null or %4$s
        or (e.starts_at, e.ends_at) is distinct from (e.derived_starts_at, e.derived_ends_at) as adjusted
      from public.%2$I e where e.booking_id = any ($1)
    ), matched as materialized (
      select m.* from sync.match_days(
        array(select row((s.old).id, (s.old).booking_id, (s.old).event_type, (s.old).%3$I, (s.old).active)::sync.stored_day from stored s),
        array(select d.wanted from desired d)) m
    ), changed as materialized (
      select s.old, jsonb_populate_record(s.old,
        case when d.wanted is null then jsonb_build_object(
          'active', false, '%3$s', coalesce(m.day, (s.old).%3$I))
        else jsonb_build_object(
          'active', true, '%3$s', m.day,
          'starts_at', case when s.adjusted then (s.old).starts_at else (d.wanted).starts_at end,
          'ends_at', case when s.adjusted then (s.old).ends_at else (d.wanted).ends_at end,
          'derived_starts_at', (d.wanted).starts_at, 'derived_ends_at', (d.wanted).ends_at,
          'has_source_changes', s.adjusted
            and ((s.old).starts_at, (s.old).ends_at) is distinct from ((d.wanted).starts_at, (d.wanted).ends_at)
            and ((s.old).has_source_changes or ((s.old).derived_starts_at, (s.old).derived_ends_at)
              is distinct from ((d.wanted).starts_at, (d.wanted).ends_at)),
          'title', (d.wanted).title, 'delivery_address', (d.wanted).delivery_address)
        end) as new
      from stored s
      left join matched m on m.row_id = (s.old).id
      left join desired d on m.wanted and (d.wanted).booking_id = m.booking_id
        and (d.wanted).kind = m.kind and (d.wanted).day = m.day
    ), added as materialized (
      select d.wanted
      from matched m
      join desired d on (d.wanted).booking_id = m.booking_id and (d.wanted).kind = m.kind and (d.wanted).day = m.day
      where m.row_id is null
    ), inserted as (
      insert into public.%2$I (organization_id, booking_id, event_type, %3$I, starts_at, ends_at,
        derived_starts_at, derived_ends_at, title, delivery_address)
      select (a.wanted).organization_id, (a.wanted).booking_id, (a.wanted).kind, (a.wanted).day,
        (a.wanted).starts_at, (a.wanted).ends_at, (a.wanted).starts_at, (a.wanted).ends_at,
        (a.wanted).title, (a.wanted).delivery_address
      from added a
    ), updated as (
      update public.%2$I e set %3$I = (c.new).%3$I, starts_at = (c.new).starts_at,
        ends_at = (c.new).ends_at, derived_starts_at = (c.new).derived_starts_at,
        derived_ends_at = (c.new).derived_ends_at, title = (c.new).title,
        delivery_address = (c.new).delivery_address,
        has_source_changes = (c.new).has_source_changes, active = (c.new).active, updated_at = now()
      from changed c where e.id = (c.old).id and c.new is distinct from c.old
    )
    select (a.wanted).booking_id, %2$L, (a.wanted).kind || ' ' || (a.wanted).day, 'created',
      case when $2 then jsonb_build_object('*', jsonb_build_array(null, to_jsonb(a.wanted) - array['organization_id', 'booking_id'])) end
    from added a
    union all
    select (c.old).booking_id, %2$L, (c.old).event_type || ' ' || (c.old).%3$I, 'updated',
      case when $2 then sync.changed_fields(to_jsonb(c.old), to_jsonb(c.new)) end
    from changed c where c.new is distinct from c.old
  $query$,
    projection,
    case projection when 'calendar' then 'calendar_events' else 'warehouse_events' end,
    case projection when 'calendar' then 'day' else 'basis_day' end,
    case projection when 'calendar' then 'e.times_locked' else 'false' end)
  using booking_ids, detailed;
end;
$$;

comment on function sync.project_events(bigint[], text, boolean) is
  'Writes the calendar or the warehouse rows of some bookings; returns what it wrote, with fields if detailed.';
