-- Everything that stored bookings drive, in one call: calendar, warehouse, packing.

-- event_ids: bookings whose own row or days may have changed. packing_ids: bookings of which anything
-- may have. A page in which only quantities changed reads no calendar.
create function sync.project(event_ids bigint[], packing_ids bigint[], detailed boolean)
returns setof sync.row_change
language plpgsql
set search_path = ''
as $$
begin
  if cardinality(event_ids) > 0 then
    return query select * from sync.project_events(event_ids, 'calendar', detailed);
    return query select * from sync.project_events(event_ids, 'warehouse', detailed);
  end if;
  if cardinality(packing_ids) > 0 then
    return query select * from sync.project_packing(packing_ids, detailed);
  end if;
end;
$$;

comment on function sync.project(bigint[], bigint[], boolean) is
  'Derives the calendar and warehouse rows of some bookings and the packing rows of others.';

create function public.project_bookings(booking_ids bigint[], detailed boolean default false)
returns table (booking_id bigint, table_name text, key text, operation text, fields jsonb)
language plpgsql
set search_path = ''
-- As in apply_snapshots: join in memory, whatever the statistics say.
set enable_nestloop = off
set jit = off
as $$
#variable_conflict use_column
begin
  -- One projection of a booking at a time, even while an operator projects after changing a rule.
  perform from public.bookings b where b.id = any (project_bookings.booking_ids) order by b.id for no key update;
  return query select * from sync.project(coalesce(project_bookings.booking_ids, '{}'),
    coalesce(project_bookings.booking_ids, '{}'), project_bookings.detailed);
  return query select * from sync.review(coalesce(project_bookings.booking_ids, '{}'));
end;
$$;

comment on function public.project_bookings(bigint[], boolean) is
  'Derives the calendar, warehouse and packing rows of stored bookings by sync.projection_rules, and what a person should review. Writes only what differs. Only CONFIRMED bookings have active rows. Returns one row_change per row written, with its fields if detailed.';
