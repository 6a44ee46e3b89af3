create function sync.delivery_now(delivery_id uuid) returns setof sync.deliveries
language sql volatile
set search_path = ''
as $$
  select * from sync.deliveries d where d.id = delivery_now.delivery_id
$$;

comment on function sync.delivery_now(uuid) is 'A delivery as it is at this moment of the statement (volatile: a fresh snapshot).';

-- Puts a stored delivery into its booking's lane: claims it if the lane is free, else says why not.
create function sync.enter_lane(
  delivery_id uuid, connection sync.connections, claim boolean,
  out lease_token uuid, out reason text, out next_attempt_at timestamptz
)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  new_seq bigint;
  lane_external_id text;
begin
  select d.external_id into lane_external_id from sync.deliveries d where d.id = enter_lane.delivery_id;

  -- Also the lock that puts the requests of one booking in order.
  insert into sync.source_states as s (organization_id, source, external_id, requested_seq)
  values (enter_lane.connection.organization_id, enter_lane.connection.source, lane_external_id, 1)
  on conflict (organization_id, source, external_id)
  do update set requested_seq = s.requested_seq + 1, updated_at = now()
  returning s.requested_seq into new_seq;

  -- A dead worker's lease ends here as well as in claim_deliveries. One that is locked belongs to a
  -- late worker who is finishing it right now, and who may be waiting for the lock that we hold.
  update sync.deliveries d set status = 'pending', next_attempt_at = now(), leased_until = null, lease_token = null
  where d.id in (
    select e.id from sync.deliveries e
    where e.connection_id = enter_lane.connection.id and e.external_id = lane_external_id
      and e.status = 'processing' and e.leased_until < now()
    for no key update skip locked
  );

  if enter_lane.connection.paused_at is not null or not enter_lane.connection.enabled then
    enter_lane.reason := 'paused';
  elsif exists (select from sync.deliveries d
                where d.connection_id = enter_lane.connection.id and d.external_id = lane_external_id
                  and d.status = 'processing') then
    enter_lane.reason := 'busy';
  elsif not enter_lane.claim then
    enter_lane.reason := 'burst';
  end if;

  if enter_lane.reason is null then
    enter_lane.lease_token := gen_random_uuid();
    update sync.deliveries d set seq = new_seq, status = 'processing', attempts = d.attempts + 1,
      claimed_at = now(), claimed_seq = new_seq, leased_until = now() + interval '60 seconds',
      lease_token = enter_lane.lease_token, next_attempt_at = null
    where d.id = enter_lane.delivery_id;
  else
    enter_lane.next_attempt_at := now();
    update sync.deliveries d set seq = new_seq, next_attempt_at = now()
    where d.id = enter_lane.delivery_id;
  end if;

  -- To within some seconds, so it need not wait for whoever has the connection: they may wait for us.
  update sync.connections c set last_delivery_at = now()
  where c.id in (
    select k.id from sync.connections k
    where k.id = enter_lane.connection.id
      and (k.last_delivery_at is null or k.last_delivery_at < now() - interval '10 seconds')
    for no key update skip locked
  );
end;
$$;

comment on function sync.enter_lane(uuid, sync.connections, boolean) is
  'Numbers a delivery within its booking and leases it for 60 s if nobody works on that booking; else reason is paused, busy or burst (the caller has its hands full) and it is due at once.';

create function sync.receive(
  p_function text, p_organization_id uuid, p_source public.booking_source, p_external_id text,
  p_event_type text, p_event_timestamp text, p_headers jsonb, p_body jsonb, p_dedupe_key text,
  p_status text, p_last_error jsonb, p_claim boolean,
  out delivery_id uuid, out outcome text, out organization_id uuid, out lease_token uuid,
  out reason text, out next_attempt_at timestamptz, out duplicate_of uuid
)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  connection sync.connections := sync.resolve_connection(p_organization_id, p_source);
  valid constant boolean := p_status = 'pending' and connection.id is not null;
begin
  if p_status not in ('pending', 'invalid') then
    raise exception 'Cannot receive delivery: status is %', p_status using errcode = '22023';
  end if;
  if connection.id is null and p_source = 'headout' and p_organization_id is null then
    receive.outcome := 'not_configured';
    return;
  end if;

  receive.delivery_id := gen_random_uuid();
  receive.organization_id := connection.organization_id;
  insert into sync.deliveries (id, connection_id, function, dedupe_key, event_type, external_id,
    event_timestamp, headers, body, status, next_attempt_at, last_error, finished_at)
  values (receive.delivery_id, connection.id, p_function,
    case when valid then coalesce(p_dedupe_key, receive.delivery_id::text) else receive.delivery_id::text end,
    p_event_type, p_external_id,
    p_event_timestamp, coalesce(p_headers, '{}'), p_body,
    case when valid then 'pending' else 'invalid' end, case when valid then now() end,
    coalesce(p_last_error, case when connection.id is null then
      '{"code": "unknown_organization", "message": "The body names no organization that exists."}'::jsonb end),
    case when valid then null else now() end)
  on conflict (dedupe_key) where status <> 'duplicate' do nothing
  returning id into receive.delivery_id;

  if receive.delivery_id is null then
    select d.id into receive.duplicate_of from sync.deliveries d
    where d.dedupe_key = p_dedupe_key and d.status <> 'duplicate';
    insert into sync.deliveries (connection_id, function, dedupe_key, duplicate_of, event_type,
      external_id, event_timestamp, headers, body, status, finished_at)
    values (connection.id, p_function, p_dedupe_key, receive.duplicate_of, p_event_type,
      p_external_id, p_event_timestamp, coalesce(p_headers, '{}'), p_body, 'duplicate', now())
    returning id into receive.delivery_id;
    receive.outcome := 'duplicate';
  elsif connection.id is null then
    receive.outcome := 'unknown_organization';
  elsif p_status = 'invalid' then
    receive.outcome := 'invalid';
    -- Headout never repeats a 4xx: if the body names a booking, we ask about it ourselves.
    if p_external_id is not null and p_source = 'headout' then
      perform sync.request_refetch(receive.delivery_id, connection, p_external_id);
    end if;
  else
    select l.lease_token, l.reason, l.next_attempt_at
    into receive.lease_token, receive.reason, receive.next_attempt_at
    from sync.enter_lane(receive.delivery_id, connection, p_claim) l;
    receive.outcome := case when receive.lease_token is null then 'deferred' else 'claimed' end;
  end if;
end;
$$;

comment on function sync.receive(text, uuid, public.booking_source, text, text, text, jsonb, jsonb, text, text, jsonb, boolean) is
  'The work of receive_delivery.';

-- A read that nobody sent a valid delivery for, as a delivery of its own, so that it has a lane,
-- attempts and an end like any other.
create function sync.request_refetch(
  cause uuid, connection sync.connections, external_id text, event_type text default 'refetch'
) returns uuid
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  refetch_id uuid;
  next_seq bigint;
begin
  insert into sync.source_states as s (organization_id, source, external_id, requested_seq)
  values (connection.organization_id, connection.source, request_refetch.external_id, 1)
  on conflict on constraint source_states_pkey
  do update set requested_seq = s.requested_seq + 1, updated_at = now()
  returning s.requested_seq into next_seq;
  insert into sync.deliveries (connection_id, function, dedupe_key, event_type, external_id, seq, next_attempt_at)
  values (connection.id, 'import-bookings', 'refetch:' || cause, request_refetch.event_type, request_refetch.external_id, next_seq, now())
  on conflict (dedupe_key) where status <> 'duplicate' do nothing
  returning id into refetch_id;
  return refetch_id;
end;
$$;

comment on function sync.request_refetch(uuid, sync.connections, text, text) is
  'Queues a read of one booking on behalf of a delivery that could not be used as it was.';

create function public.receive_delivery(
  function text,
  source public.booking_source,
  organization_id uuid default null,
  external_id text default null,
  event_type text default null,
  event_timestamp text default null,
  headers jsonb default '{}',
  body jsonb default null,
  dedupe_key text default null,
  status text default 'pending',
  last_error jsonb default null,
  claim boolean default true
) returns table (
  delivery_id uuid, outcome text, organization_id uuid, lease_token uuid, reason text,
  next_attempt_at timestamptz, duplicate_of uuid, status text, result jsonb, last_error jsonb
)
language sql
set search_path = ''
as $$
  select r.delivery_id, r.outcome, r.organization_id, r.lease_token, r.reason, r.next_attempt_at,
    r.duplicate_of, d.status, d.result, d.last_error
  from sync.receive($1, $3, $2, $4, $5, $6, $7, $8, $9, $10, $11, $12) r
  left join lateral sync.delivery_now(coalesce(r.duplicate_of, r.delivery_id)) d on true
$$;

comment on function public.receive_delivery(text, public.booking_source, uuid, text, text, text, jsonb, jsonb, text, text, jsonb, boolean) is
  'Stores one delivery. outcome: claimed (leased for 60 s, process it now), deferred (stored, reason paused, busy, or burst if claim is false), duplicate (status and result are the first one''s), invalid, unknown_organization, not_configured (Headout, no organization to be told; nothing stored).';
