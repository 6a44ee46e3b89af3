-- The status of a booking, for both sources and every path, and the order of two statements about it.
-- Any status may follow any other when the source states it. Two changes are special:
--   - leaving CONFIRMED is counted and, beyond the budget, held (31_brake);
--   - leaving REJECTED by an event is a conflict that only a read may decide (43_headout_event).

create function sync.is_departure(old_status public.booking_status, new_status public.booking_status)
returns boolean
language sql immutable parallel safe
set search_path = ''
as $$
  select coalesce(old_status = 'CONFIRMED' and new_status <> 'CONFIRMED', false)
$$;

comment on function sync.is_departure(public.booking_status, public.booking_status) is
  'Whether a change of status leaves CONFIRMED and so counts against the brake.';

-- Empty if the status does not change, so that equal content writes nothing. Each timestamp says when
-- we learned of the present status; history keeps the earlier ones.
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

-- Version before updated_at: the first of the two that both sides state and that differs decides.
create function sync.revision_order(
  version bigint, updated_at timestamptz, other_version bigint, other_updated_at timestamptz
) returns integer
language sql immutable parallel safe
set search_path = ''
as $$
  select case
    when version > other_version then 1
    when version < other_version then -1
    when updated_at > other_updated_at then 1
    when updated_at < other_updated_at then -1
    else 0 end
$$;

comment on function sync.revision_order(bigint, timestamptz, bigint, timestamptz) is
  'Which of two revisions of a booking wins: 1 the first, -1 the other, 0 if the revisions cannot tell; then the later read wins (rule: older never overwrites newer).';

create function sync.compare_snapshots(snapshot jsonb, other jsonb) returns integer
language sql immutable parallel safe
set search_path = ''
as $$
  select sync.revision_order(
    (snapshot ->> 'source_version')::bigint, (snapshot ->> 'source_updated_at')::timestamptz,
    (other ->> 'source_version')::bigint, (other ->> 'source_updated_at')::timestamptz)
$$;

comment on function sync.compare_snapshots(jsonb, jsonb) is 'sync.revision_order of two snapshots.';
