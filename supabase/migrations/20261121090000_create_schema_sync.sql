-- Purpose: the schema of the machinery and the vocabulary that both schemas share.
-- Compatibility: Postgres 15 and later; nothing here needs an extension.
-- `sync` is not exposed by the API: its tables are private, the functions in `public` are the interface.

create schema sync;

comment on schema sync is
  'Machinery of the booking sync: inbox, source states, runs, rules. Private; the RPCs in public are its interface.';

revoke all on schema sync from public, anon, authenticated;
grant usage on schema sync to service_role;

create type public.booking_source as enum ('eventflow', 'headout');
create type public.booking_status as enum ('OFFER', 'PENDING', 'CONFIRMED', 'CANCELLED', 'REJECTED');
create type public.booking_phase as enum ('rig', 'event', 'rigdown');

comment on type public.booking_source is 'The outside system that a booking comes from. A third source is one more value.';
comment on type public.booking_status is
  'Our status of a booking. Only CONFIRMED bookings have active projections.';
comment on type public.booking_phase is 'Part of an event rental: rig (build), event, rigdown (dismantle).';

-- Planners write through the API as `authenticated`; the import writes as service_role and sets
-- updated_at in its own statements, so the trigger costs it nothing (the `when` is false).
create function sync.touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

comment on function sync.touch_updated_at() is 'Trigger: sets updated_at on a row that a person changed.';
revoke all on function sync.touch_updated_at() from public, anon, authenticated;
