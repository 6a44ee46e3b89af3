-- Purpose: a status event of Headout, whole: booking, timestamps, projections, history and delivery
-- in one transaction and one round trip, before the 200 (design 4.2).
--
-- Events of one booking are ordered by their local timestamp as text; within one second by lifecycle
-- rank. Headout's API is the arbiter wherever they disagree, so the delivery stays open until a
-- re-fetch has ended it; result keeps what the sender was told.

create function sync.apply_event(
  p_organization_id uuid, p_external_id text, p_event_type text, p_event_timestamp text,
  p_headers jsonb, p_body jsonb,
  out delivery_id uuid, out outcome text, out organization_id uuid, out booking_id bigint,
  out old_status text, out new_status text, out processed_at timestamptz, out lease_token uuid
)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  connection sync.connections := sync.resolve_connection(p_organization_id, 'headout');
  key constant text := concat_ws(':', 'headout', connection.id, p_external_id, p_event_type, p_event_timestamp);
  stated constant public.booking_status := sync.headout_status(p_event_type);
  state sync.source_states;
  booking public.bookings;
  changed public.bookings;
  first sync.deliveries;
  change jsonb;
  refetch boolean;
begin
  if stated is null then
    raise exception 'Cannot apply event: % is not a status of Headout', p_event_type using errcode = '22023';
  end if;
  if connection.id is null then
    apply_event.outcome := case when p_organization_id is null then 'not_configured' else 'unknown_organization' end;
    return;
  end if;
  apply_event.organization_id := connection.organization_id;
  apply_event.processed_at := now();

  insert into sync.source_states (organization_id, source, external_id)
  values (connection.organization_id, 'headout', p_external_id)
  on conflict do nothing;
  select * into state from sync.source_states s
  where s.organization_id = connection.organization_id and s.source = 'headout' and s.external_id = p_external_id
  for update;

  -- The lock above makes this look safe against the same event at the same moment.
  select * into first from sync.deliveries d where d.dedupe_key = key and d.status <> 'duplicate';
  if first.id is not null then
    insert into sync.deliveries (connection_id, function, dedupe_key, duplicate_of, event_type,
      external_id, event_timestamp, headers, body, status, finished_at)
    values (connection.id, 'headout-webhook', key, first.id, p_event_type, p_external_id,
      p_event_timestamp, coalesce(p_headers, '{}'), p_body, 'duplicate', now())
    returning id into apply_event.delivery_id;
    apply_event.outcome := 'duplicate';
    apply_event.booking_id := (first.result ->> 'booking_id')::bigint;
    apply_event.old_status := first.result ->> 'old_status';
    apply_event.new_status := first.result ->> 'new_status';
    return;
  end if;

  select * into booking from public.bookings b
  where b.organization_id = connection.organization_id and b.source = 'headout' and b.external_id = p_external_id
  for update;
  apply_event.booking_id := booking.id;
  apply_event.old_status := booking.status;

  apply_event.outcome := case
    when booking.id is null then 'stub_created'
    when p_event_timestamp collate "C" < state.last_event_timestamp then 'stale'
    when p_event_timestamp = state.last_event_timestamp
      and sync.headout_rank(p_event_type) < sync.headout_rank(state.last_event_status) then 'stale'
    when booking.status = 'REJECTED' and stated <> 'REJECTED' then 'conflict'
    when sync.is_departure(booking.status, stated) and not sync.is_released(booking.id, now())
      and sync.remaining_cancel_budget(connection.organization_id, 'headout') < 1 then 'held'
    else 'applied' end;
  -- An older event needs no second opinion, unless it is of the very same second.
  refetch := apply_event.outcome in ('stub_created', 'applied', 'conflict')
    or apply_event.outcome = 'stale' and p_event_timestamp = state.last_event_timestamp;
  apply_event.new_status := case when apply_event.outcome in ('stub_created', 'applied')
    then stated else booking.status end;

  insert into sync.deliveries (connection_id, function, dedupe_key, event_type, external_id,
    event_timestamp, headers, body, status, next_attempt_at, finished_at)
  values (connection.id, 'headout-webhook', key, p_event_type, p_external_id, p_event_timestamp,
    coalesce(p_headers, '{}'), p_body,
    case when refetch then 'pending' else apply_event.outcome end,
    case when refetch then now() end, case when refetch then null else now() end)
  returning id into apply_event.delivery_id;

  if apply_event.outcome = 'stub_created' then
    insert into public.bookings (organization_id, source, external_id, status, source_status,
      status_changed_at, confirmed_at, completed_at, cancelled_at, rejected_at, is_stub)
    select connection.organization_id, 'headout', p_external_id, stated, p_event_type, now(),
      n.confirmed_at, n.completed_at, n.cancelled_at, n.rejected_at, true
    from jsonb_populate_record(null::public.bookings, sync.status_patch(null, stated, now(), p_event_type = 'COMPLETED')) n
    returning id into apply_event.booking_id;
    change := jsonb_build_object('bookings.status', jsonb_build_array(null, stated),
      'bookings.source_status', jsonb_build_array(null, p_event_type));
  elsif apply_event.outcome = 'applied' then
    changed := jsonb_populate_record(booking, jsonb_build_object('source_status', p_event_type)
      || sync.status_patch(booking.status, stated, now(), p_event_type = 'COMPLETED'));
    update public.bookings b set status = changed.status, source_status = changed.source_status,
      status_changed_at = changed.status_changed_at, confirmed_at = changed.confirmed_at,
      completed_at = changed.completed_at, cancelled_at = changed.cancelled_at,
      rejected_at = changed.rejected_at, updated_at = now()
    where b.id = booking.id and booking is distinct from changed;
    select coalesce(jsonb_object_agg('bookings.' || f.key, f.value), '{}') into change
    from jsonb_each(sync.changed_fields(to_jsonb(booking), to_jsonb(changed))) f;
    update sync.held_changes h set
      dismissed_at = case when h.released_at is null then now() end,
      settled_at = case when h.released_at is not null then now() end,
      by = coalesce(h.by, 'system')
    where h.booking_id = booking.id and h.dismissed_at is null
      and (h.released_at is null or h.settled_at is null);
    update sync.held_changes h set settled_at = now()
    where h.booking_id = booking.id and h.dismissed_at is not null and h.settled_at is null
      and h.by <> 'system' and h.kind <> stated::text;
  elsif apply_event.outcome = 'held' then
    perform sync.hold_change(connection.organization_id, booking.id, stated,
      jsonb_build_object('external_id', p_external_id, 'event', p_body, 'content_hash', key, 'fetched_at', now()),
      apply_event.delivery_id, null);
  end if;

  if apply_event.outcome in ('applied', 'stub_created', 'conflict') then
    insert into public.booking_history (organization_id, booking_id, actor, delivery_id, verdict, changes)
    values (connection.organization_id, apply_event.booking_id, 'webhook', apply_event.delivery_id,
      apply_event.outcome, coalesce(change, '{}'));
    perform from public.project_bookings(array[apply_event.booking_id]);
  end if;

  if apply_event.outcome <> 'stale' then
    -- Dated at arrival, so that a page read before cannot undo it; the next fetch is compared with
    -- the rows, not with a hash. What the brake stopped has been said all the same: an event of before
    -- is older than it.
    update sync.source_states s set
      last_event_timestamp = p_event_timestamp,
      last_event_status = p_event_type,
      content_hash = null,
      fetched_at = case when apply_event.outcome in ('applied', 'stub_created') then greatest(now(), s.fetched_at) else s.fetched_at end,
      updated_at = now()
    where s.organization_id = connection.organization_id and s.source = 'headout' and s.external_id = p_external_id;
  end if;

  if refetch then
    select l.lease_token into apply_event.lease_token
    from sync.enter_lane(apply_event.delivery_id, connection, true) l;
  end if;

  update sync.deliveries d set result = jsonb_build_object(
    'outcome', apply_event.outcome, 'booking_id', apply_event.booking_id,
    'old_status', apply_event.old_status, 'new_status', apply_event.new_status, 'processed_at', now())
  where d.id = apply_event.delivery_id;
end;
$$;

comment on function sync.apply_event(uuid, text, text, text, jsonb, jsonb) is 'The work of apply_headout_event.';

create function public.apply_headout_event(
  external_id text,
  event_type text,
  event_timestamp text,
  organization_id uuid default null,
  headers jsonb default '{}',
  body jsonb default null
) returns table (
  delivery_id uuid, outcome text, organization_id uuid, booking_id bigint, old_status text,
  new_status text, processed_at timestamptz, lease_token uuid
)
language sql
set search_path = ''
as $$
  select e.delivery_id, e.outcome, e.organization_id, e.booking_id, e.old_status, e.new_status,
    e.processed_at, e.lease_token
  from sync.apply_event($4, $1, $2, $3, $5, $6) e
$$;

comment on function public.apply_headout_event(text, text, text, uuid, jsonb, jsonb) is
  'Stores and applies one Headout status event. outcome: applied, duplicate, stale, held, conflict, stub_created, or not_configured / unknown_organization (nothing stored). A lease_token asks the caller to have the booking fetched now.';
