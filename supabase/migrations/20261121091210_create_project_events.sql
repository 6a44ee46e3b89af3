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

revoke all on function sync.project_events(bigint[], text, boolean) from public, anon, authenticated;
grant execute on function sync.project_events(bigint[], text, boolean) to service_role;
