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

-- Purpose: what the brake holds is a statement like any other, and ordered like any other (invariant 3).
-- An event older than a held one was applied and ended the hold; a list that lagged behind ended the
-- hold of a newer revision, or used up a release; a read that began before replaced one from after it.
-- And a release is for the next fresh read: one that began before the person decided does not use it,
-- it lasts a day, and what passes with it counts in the budget of its page. What a person dropped was
-- applied all the same by the next full run, whose list says it in other words, or by a repair: now it
-- stays dropped until the source says something newer or something else.
-- Compatible: same arguments and results; sync.is_released has one argument more.

create function sync.compare_revisions(a jsonb, b jsonb) returns integer
language sql immutable parallel safe
set search_path = ''
as $$
  select coalesce(case when (a ->> 'source_version')::bigint <> (b ->> 'source_version')::bigint
    then sign((a ->> 'source_version')::numeric - (b ->> 'source_version')::numeric)::integer
    when (a ->> 'source_updated_at')::timestamptz > (b ->> 'source_updated_at')::timestamptz then 1
    when (a ->> 'source_updated_at')::timestamptz < (b ->> 'source_updated_at')::timestamptz then -1 end, 0)
$$;

comment on function sync.compare_revisions(jsonb, jsonb) is
  'Of two snapshots, whether the first has the higher revision (1), the lower (-1), or nobody can tell (0). Version before updated_at.';
