-- Purpose: the one place where a booking's status is decided, for both sources and every path.
-- Any status may follow any other when the source states it; what is special is
--   - leaving CONFIRMED: counted and, past the budget, held (invariant 7);
--   - leaving REJECTED by an event: a conflict that only a fetch may decide.

create function sync.is_departure(old_status public.booking_status, new_status public.booking_status)
returns boolean
language sql immutable parallel safe
set search_path = ''
as $$
  select coalesce(old_status = 'CONFIRMED' and new_status <> 'CONFIRMED', false)
$$;

comment on function sync.is_departure(public.booking_status, public.booking_status) is
  'Whether a change of status leaves CONFIRMED and so counts against the brake.';

-- The columns that change with the status. Empty if it does not change, so that equal content
-- writes nothing. Each timestamp says when the *present* state was learned of; history keeps the rest.
create function sync.status_patch(
  old_status public.booking_status,
  new_status public.booking_status,
  at timestamptz,
  completed boolean default false
) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  select case when old_status is not distinct from new_status then '{}'::jsonb
    else jsonb_build_object(
      'status', new_status,
      'status_changed_at', at,
      'confirmed_at', case when new_status = 'CONFIRMED' then at end,
      'completed_at', case when new_status = 'CONFIRMED' and completed then at end,
      'cancelled_at', case when new_status = 'CANCELLED' then at end,
      'rejected_at', case when new_status = 'REJECTED' then at end)
    end
$$;

comment on function sync.status_patch(public.booking_status, public.booking_status, timestamptz, boolean) is
  'Columns of bookings that change when the status goes from old to new at an instant.';

create function sync.headout_status(event_type text) returns public.booking_status
language sql immutable parallel safe
set search_path = ''
as $$
  select case event_type
    when 'UNCAPTURED' then 'PENDING'
    when 'PENDING' then 'PENDING'
    when 'COMPLETED' then 'CONFIRMED'
    when 'CANCELLED' then 'CANCELLED'
    when 'FAILED' then 'REJECTED'
    when 'CAPTURE_TIMEDOUT' then 'REJECTED'
  end::public.booking_status
$$;

comment on function sync.headout_status(text) is 'Our status for a status of Headout; null for an unknown one.';

create function sync.headout_rank(event_type text) returns integer
language sql immutable parallel safe
set search_path = ''
as $$
  select array_position(
    array['UNCAPTURED', 'PENDING', 'COMPLETED', 'CANCELLED', 'FAILED', 'CAPTURE_TIMEDOUT'], event_type)
$$;

comment on function sync.headout_rank(text) is
  'Place in the lifecycle; decides between two events of one booking in the same second.';

revoke all on function sync.is_departure(public.booking_status, public.booking_status),
  sync.status_patch(public.booking_status, public.booking_status, timestamptz, boolean),
  sync.headout_status(text), sync.headout_rank(text) from public, anon, authenticated;
grant execute on function sync.is_departure(public.booking_status, public.booking_status),
  sync.status_patch(public.booking_status, public.booking_status, timestamptz, boolean),
  sync.headout_status(text), sync.headout_rank(text) to service_role;
