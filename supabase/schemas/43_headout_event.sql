-- A status event of Headout, whole: booking, timestamps, projections, history and delivery in one
-- transaction and one round trip, before the 200.
--
-- Events of one booking are ordered by their local timestamp as text, within one second by lifecycle
-- rank. Headout's API is the arbiter wherever events disagree, so the delivery stays open until a
-- re-fetch has ended it; its result keeps what the sender was told.

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

-- No zone is more than 14 hours ahead, and none more than 12 behind.
create function sync.is_future_event(event sync.deliveries) returns boolean
language sql stable
set search_path = ''
as $$
  select event.event_timestamp collate "C" > to_char(now() at time zone 'UTC' + interval '26 hours', 'YYYY-MM-DD"T"HH24:MI:SS')
$$;

comment on function sync.is_future_event(sync.deliveries) is
  'Whether the local time of an event is further ahead of our clock than any zone can be: then it puts nothing in order.';

create function sync.judge_event(
  event sync.deliveries, state sync.source_states, booking public.bookings, stated public.booking_status
) returns text
language plpgsql
set search_path = ''
as $$
begin
  return case
    when booking.id is null then 'stub_created'
    when sync.is_future_event(event) then 'conflict'
    when event.event_timestamp collate "C" < state.last_event_timestamp then 'stale'
    when event.event_timestamp = state.last_event_timestamp
      and sync.headout_rank(event.event_type) < sync.headout_rank(state.last_event_status) then 'stale'
    when booking.status = 'REJECTED' and stated <> 'REJECTED' then 'conflict'
    when sync.is_departure(booking.status, stated) and not booking.is_stub and not sync.is_released(booking.id, now())
      and sync.remaining_cancel_budget(booking.organization_id, 'headout') < 1 then 'held'
    else 'applied' end;
end;
$$;

comment on function sync.judge_event(sync.deliveries, sync.source_states, public.bookings, public.booking_status) is
  'What an event is to its booking: stub_created (unknown until now), applied, stale, conflict (a final status, or a time that cannot be; a read decides) or held.';

create function sync.create_stub(event sync.deliveries, organization_id uuid, stated public.booking_status) returns bigint
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  stub public.bookings := jsonb_populate_record(null::public.bookings,
    sync.status_patch(null, stated, now(), event.event_type = 'COMPLETED'));
  stub_id bigint;
begin
  insert into public.bookings (organization_id, source, external_id, status, source_status,
    status_changed_at, confirmed_at, completed_at, cancelled_at, rejected_at, is_stub)
  values (create_stub.organization_id, 'headout', event.external_id, stated, event.event_type, now(),
    stub.confirmed_at, stub.completed_at, stub.cancelled_at, stub.rejected_at, true)
  returning id into stub_id;
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, verdict, changes)
  values (create_stub.organization_id, stub_id, 'webhook', event.id, 'stub_created',
    jsonb_build_object('bookings.status', jsonb_build_array(null, stated),
      'bookings.source_status', jsonb_build_array(null, event.event_type)));
  return stub_id;
end;
$$;

comment on function sync.create_stub(sync.deliveries, uuid, public.booking_status) is
  'Stores a booking that is known only from an event; the first read makes it whole.';

create function sync.apply_status(event sync.deliveries, booking public.bookings, stated public.booking_status) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  changed constant public.bookings := jsonb_populate_record(booking,
    jsonb_build_object('source_status', event.event_type)
      || sync.status_patch(booking.status, stated, now(), event.event_type = 'COMPLETED'));
  statement sync.planned_snapshot;
begin
  update public.bookings b set status = changed.status, source_status = changed.source_status,
    status_changed_at = changed.status_changed_at, confirmed_at = changed.confirmed_at,
    completed_at = changed.completed_at, cancelled_at = changed.cancelled_at,
    rejected_at = changed.rejected_at, updated_at = now()
  where b.id = booking.id and booking is distinct from changed;
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, verdict, changes)
  select booking.organization_id, booking.id, 'webhook', event.id, 'applied',
    coalesce(jsonb_object_agg('bookings.' || f.key, f.value), '{}')
  from jsonb_each(sync.changed_fields(to_jsonb(booking), to_jsonb(changed))) f;

  statement.booking_id := booking.id;
  statement.verdict := 'apply';
  statement.fetched_at := now();
  statement.snapshot := jsonb_build_object('booking', jsonb_build_object('status', stated));
  perform sync.end_holds(booking.organization_id, array[statement]);
end;
$$;

comment on function sync.apply_status(sync.deliveries, public.bookings, public.booking_status) is
  'Gives a booking the status of an event, with its history, and ends the holds that this overtakes.';

-- Dated at arrival, so that a page read earlier cannot undo it. The next read is compared with the rows,
-- not with a hash. What the brake holds has been stated all the same: an earlier event is older than it.
create function sync.note_event(event sync.deliveries, outcome text, organization_id uuid) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  update sync.source_states s set
    last_event_timestamp = event.event_timestamp,
    last_event_status = event.event_type,
    last_event_at = now(),
    contradicted_at = null,
    content_hash = null,
    fetched_at = case when note_event.outcome in ('applied', 'stub_created') then greatest(now(), s.fetched_at)
      else s.fetched_at end,
    updated_at = now()
  where s.organization_id = note_event.organization_id and s.source = 'headout'
    and s.external_id = event.external_id;
end;
$$;

comment on function sync.note_event(sync.deliveries, text, uuid) is 'Makes an event the newest of its booking.';

create function sync.dispute_event(booking_id bigint) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  -- The read that decides may say what an earlier one said in vain.
  update sync.source_states s set last_event_at = null, contradicted_at = null, content_hash = null
  from public.bookings b
  where b.id = dispute_event.booking_id
    and s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id;
  -- Reads that were to bear an event out have nothing to bear out any more.
  update sync.disagreements g set ended_at = now(), outcome = 'overruled'
  where g.booking_id = dispute_event.booking_id and g.ended_at is null;
  if found then
    perform sync.note_unsettled(array[dispute_event.booking_id]);
    perform sync.schedule_confirms(array[dispute_event.booking_id], '{}');
  end if;
end;
$$;

comment on function sync.dispute_event(bigint) is
  'Two events of one second disagree: neither stands against a read, and the next one decides.';

create type sync.applied_event as (
  delivery_id uuid, outcome text, organization_id uuid, booking_id bigint, old_status text,
  new_status text, processed_at timestamptz, lease_token uuid
);

comment on type sync.applied_event is 'What applying a Headout event did (see apply_headout_event).';

create function sync.repeat_event(event sync.deliveries, first sync.deliveries, applied sync.applied_event)
returns sync.applied_event
language plpgsql
set search_path = ''
as $$
begin
  applied.delivery_id := sync.store_duplicate(event, first.id);
  applied.outcome := 'duplicate';
  applied.booking_id := (first.result ->> 'booking_id')::bigint;
  applied.old_status := first.result ->> 'old_status';
  applied.new_status := first.result ->> 'new_status';
  return applied;
end;
$$;

comment on function sync.repeat_event(sync.deliveries, sync.deliveries, sync.applied_event) is
  'Keeps an event that repeats an earlier one; the answer is that one''s.';

create function sync.apply_event(event sync.deliveries, connection sync.connections) returns sync.applied_event
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  stated constant public.booking_status := sync.headout_status(event.event_type);
  state sync.source_states;
  booking public.bookings;
  first sync.deliveries;
  applied sync.applied_event;
  refetch boolean;
begin
  applied.organization_id := connection.organization_id;
  applied.processed_at := now();
  perform sync.lock_states(connection.organization_id, 'headout', array[event.external_id], array[event.external_id]);
  select * into state from sync.source_states s
  where s.organization_id = connection.organization_id and s.source = 'headout' and s.external_id = event.external_id;

  -- The lock above makes this look safe against the same event at the same moment.
  select * into first from sync.deliveries d where d.dedupe_key = event.dedupe_key and d.status <> 'duplicate';
  if first.id is not null then
    return sync.repeat_event(event, first, applied);
  end if;

  select * into booking from public.bookings b
  where b.organization_id = connection.organization_id and b.source = 'headout' and b.external_id = event.external_id
  for update;
  applied.outcome := sync.judge_event(event, state, booking, stated);
  applied.booking_id := booking.id;
  applied.old_status := booking.status;
  applied.new_status := case when applied.outcome in ('stub_created', 'applied') then stated else booking.status end;
  -- An older event needs no second opinion, unless it is of the very same second or states another
  -- status: clocks repeat an hour each autumn.
  refetch := applied.outcome in ('stub_created', 'applied', 'conflict')
    or applied.outcome = 'stale'
      and (event.event_timestamp = state.last_event_timestamp or booking.status <> stated);

  if not refetch then
    event.status := applied.outcome;
    event.next_attempt_at := null;
    event.finished_at := now();
  end if;
  applied.delivery_id := sync.store_delivery(event);

  case applied.outcome
    when 'stub_created' then
      applied.booking_id := sync.create_stub(event, connection.organization_id, stated);
    when 'applied' then
      perform sync.apply_status(event, booking, stated);
    when 'held' then
      perform sync.hold_change(connection.organization_id, booking.id, stated::text,
        jsonb_build_object('external_id', event.external_id, 'event', event.body,
          'content_hash', event.dedupe_key, 'fetched_at', now()), event.id, null);
      perform from sync.review(array[booking.id]);
    when 'conflict' then
      insert into public.booking_history (organization_id, booking_id, actor, delivery_id, verdict)
      values (connection.organization_id, booking.id, 'webhook', event.id, 'conflict');
    else null;
  end case;
  if applied.outcome in ('applied', 'stub_created', 'conflict') then
    perform from public.project_bookings(array[applied.booking_id]);
  end if;
  if applied.outcome <> 'stale' and not sync.is_future_event(event) then
    perform sync.note_event(event, applied.outcome, connection.organization_id);
  end if;
  if event.event_timestamp = state.last_event_timestamp and event.event_type <> state.last_event_status then
    perform sync.dispute_event(applied.booking_id);
  end if;
  if refetch then
    applied.lease_token := (sync.enter_lane(event.id, connection, true)).lease_token;
  end if;
  update sync.deliveries d set result = to_jsonb(applied) - array['delivery_id', 'organization_id', 'lease_token']
  where d.id = event.id;
  return applied;
end;
$$;

comment on function sync.apply_event(sync.deliveries, sync.connections) is
  'Stores an event of Headout and applies it to its booking: the work of apply_headout_event.';

create function sync.receive_event(event sync.deliveries, organization_id uuid) returns sync.applied_event
language plpgsql
set search_path = ''
as $$
declare
  connection constant sync.connections := sync.resolve_connection(receive_event.organization_id, 'headout');
  applied sync.applied_event;
begin
  if sync.headout_status(event.event_type) is null then
    raise exception 'Cannot apply event: % is not a status of Headout', event.event_type using errcode = '22023';
  end if;
  if connection.id is null then
    applied.outcome := case when receive_event.organization_id is null then 'not_configured' else 'unknown_organization' end;
    return applied;
  end if;
  event.connection_id := connection.id;
  event.dedupe_key := concat_ws(':', 'headout', connection.id, event.external_id, event.event_type, event.event_timestamp);
  return sync.apply_event(event, connection);
end;
$$;

comment on function sync.receive_event(sync.deliveries, uuid) is
  'Finds the connection of an event of Headout and applies it; what makes it the same event twice is booking, status and timestamp.';

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
  select e.*
  from sync.receive_event(
    sync.new_delivery(null, 'headout-webhook', null, apply_headout_event.external_id,
      apply_headout_event.event_type, apply_headout_event.event_timestamp,
      apply_headout_event.headers, apply_headout_event.body),
    apply_headout_event.organization_id) e
$$;

comment on function public.apply_headout_event(text, text, text, uuid, jsonb, jsonb) is
  'Stores and applies one Headout status event. outcome: applied, duplicate, stale, held, conflict, stub_created, or not_configured / unknown_organization (nothing stored). A lease_token asks the caller to have the booking fetched now.';
