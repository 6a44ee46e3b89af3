-- Purpose: the brake (invariant 7). Departures from CONFIRMED are let through up to the connection's
-- cancel_budget per rolling hour, whichever path brought them; the rest is held for a person.

create function sync.remaining_cancel_budget(organization_id uuid, source public.booking_source)
returns integer
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  budget integer;
begin
  -- Locked, so that two workers cannot both spend the last of it.
  select c.cancel_budget into budget from sync.connections c
  where c.organization_id = remaining_cancel_budget.organization_id
    and c.source = remaining_cancel_budget.source
  for no key update;
  return greatest(0, budget - (
    select count(*)::integer
    from public.booking_history h
    where h.organization_id = remaining_cancel_budget.organization_id
      and h.at > now() - interval '60 minutes'
      and (h.changes -> 'bookings.status' ->> 0) = 'CONFIRMED'
      and remaining_cancel_budget.source = (select b.source from public.bookings b where b.id = h.booking_id)
  ));
end;
$$;

comment on function sync.remaining_cancel_budget(uuid, public.booking_source) is
  'Departures from CONFIRMED that a connection may still make in this rolling hour; locks the connection.';

create function sync.is_released(booking_id bigint, read_at timestamptz) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (select from sync.held_changes h
    where h.booking_id = is_released.booking_id and h.released_at is not null and h.settled_at is null
      and h.released_at <= is_released.read_at and h.released_at > now() - interval '1 day')
$$;

comment on function sync.is_released(bigint, timestamptz) is
  'Whether a person has let this booking pass the brake within a day, before the read began, and no read has followed yet.';

-- Keeps what the brake stopped. A newer statement replaces the open hold; the same one writes nothing.
create function sync.hold_change(
  organization_id uuid, booking_id bigint, new_status public.booking_status, snapshot jsonb,
  delivery_id uuid, run_id uuid
) returns boolean
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  written boolean;
begin
  insert into sync.held_changes as h (organization_id, booking_id, kind, delivery_id, run_id, snapshot, reason)
  values (hold_change.organization_id, hold_change.booking_id, hold_change.new_status::text,
    hold_change.delivery_id, hold_change.run_id, hold_change.snapshot,
    format('More bookings left CONFIRMED within an hour than the connection allows; %s waits for a person.', hold_change.new_status))
  on conflict (booking_id) where released_at is null and dismissed_at is null
  do update set kind = excluded.kind, snapshot = excluded.snapshot, delivery_id = excluded.delivery_id,
    run_id = excluded.run_id, held_at = now()
  where (h.kind <> excluded.kind
      or h.snapshot ->> 'content_hash' is distinct from excluded.snapshot ->> 'content_hash')
    -- Nor does an older statement replace a newer one here (invariant 3).
    and case sync.compare_revisions(excluded.snapshot, h.snapshot)
      when 0 then coalesce((excluded.snapshot ->> 'fetched_at')::timestamptz >= (h.snapshot ->> 'fetched_at')::timestamptz, true)
      else sync.compare_revisions(excluded.snapshot, h.snapshot) > 0 end
  returning true into written;
  if written is null then
    return false;
  end if;
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, run_id, verdict)
  values (hold_change.organization_id, hold_change.booking_id,
    case when hold_change.delivery_id is null then 'import' else 'webhook' end,
    hold_change.delivery_id, hold_change.run_id, 'held');
  return true;
end;
$$;

comment on function sync.hold_change(uuid, bigint, public.booking_status, jsonb, uuid, uuid) is
  'Opens or replaces the hold of one booking; true if anything was written.';

create function sync.is_dropped(booking_id bigint, new_status public.booking_status, snapshot jsonb) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (select from sync.held_changes h
    where h.booking_id = is_dropped.booking_id and h.dismissed_at is not null and h.settled_at is null
      and h.by <> 'system' and h.kind = is_dropped.new_status::text
      and sync.compare_revisions(is_dropped.snapshot, h.snapshot) <= 0)
$$;

comment on function sync.is_dropped(bigint, public.booking_status, jsonb) is
  'Whether a person has dropped this very change of status, and the source has said nothing newer and nothing else since.';
