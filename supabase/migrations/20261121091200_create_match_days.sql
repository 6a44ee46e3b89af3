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

-- A rule of the organization replaces the general one; one for its source replaces both.
create function sync.effective_rules(booking_ids bigint[], projection text)
returns table (
  booking_organization_id uuid, booking_source public.booking_source, kind text,
  anchor public.booking_phase, which text, day_offset integer, start_time time, duration interval,
  title_template text, rental_only_title_template text, sort_order integer
)
language sql stable
set search_path = ''
as $$
  select e.organization_id, e.source, (e.rule).kind, (e.rule).anchor, (e.rule).which,
    (e.rule).day_offset, (e.rule).start_time, (e.rule).duration, (e.rule).title_template,
    (e.rule).rental_only_title_template, (e.rule).sort_order
  from (
    select distinct on (o.organization_id, o.source, r.kind) o.organization_id, o.source, r as rule
    from (
      select distinct b.organization_id, b.source from public.bookings b
      where b.id = any (effective_rules.booking_ids)
    ) o
    join sync.projection_rules r on r.projection = effective_rules.projection
      and (r.organization_id is null or r.organization_id = o.organization_id)
      and (r.source is null or r.source = o.source)
    order by o.organization_id, o.source, r.kind, r.source nulls last, r.organization_id nulls last
  ) e
  where (e.rule).enabled
$$;

comment on function sync.effective_rules(bigint[], text) is 'The rules in force for the organizations and sources of some bookings.';

create function sync.fill_title(template text, title text, client text, day text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  -- Placeholders become single characters first, so that a client called "{title}" stays one. A
  -- missing client leaves no dangling dash.
  select btrim(replace(replace(replace(
      replace(replace(replace(template, '{day}', chr(1)), '{client}', chr(2)), '{title}', chr(3)),
    chr(1), coalesce(day, '')), chr(2), coalesce(client, '')), chr(3), coalesce(title, '')), ' –-')
$$;

comment on function sync.fill_title(text, text, text, text) is 'A title from its template.';

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

revoke all on function sync.effective_rules(bigint[], text), sync.fill_title(text, text, text, text),
  sync.desired_events(bigint[], text), sync.match_days(sync.stored_day[], sync.desired_event[])
  from public, anon, authenticated;
grant execute on function sync.effective_rules(bigint[], text), sync.fill_title(text, text, text, text),
  sync.desired_events(bigint[], text), sync.match_days(sync.stored_day[], sync.desired_event[])
  to service_role;
