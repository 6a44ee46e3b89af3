-- The front door of the inbox. A delivery is stored before anything is acknowledged, a repeated event
-- is recognised, and the booking's lane is handed out if it is free.
-- Rules: stored before acknowledged · same event, one effect · a webhook during a sync causes a second pass.

create function sync.new_delivery(
  connection_id bigint,
  function text,
  dedupe_key text,
  external_id text,
  event_type text default null,
  event_timestamp text default null,
  headers jsonb default null,
  body jsonb default null,
  status text default 'pending',
  last_error jsonb default null
) returns sync.deliveries
language plpgsql
set search_path = ''
as $$
declare
  delivery sync.deliveries;
begin
  delivery.id := gen_random_uuid();
  delivery.connection_id := new_delivery.connection_id;
  delivery.function := new_delivery.function;
  delivery.dedupe_key := coalesce(new_delivery.dedupe_key, delivery.id::text);
  delivery.external_id := new_delivery.external_id;
  delivery.event_type := new_delivery.event_type;
  delivery.event_timestamp := new_delivery.event_timestamp;
  delivery.received_at := now();
  delivery.headers := coalesce(new_delivery.headers, '{}');
  delivery.body := new_delivery.body;
  delivery.status := new_delivery.status;
  delivery.last_error := new_delivery.last_error;
  delivery.next_attempt_at := now();
  delivery.attempts := 0;
  delivery.waits := 0;
  return delivery;
end;
$$;

comment on function sync.new_delivery(bigint, text, text, text, text, text, jsonb, jsonb, text, jsonb) is
  'A delivery that is not stored yet, due at once; without a dedupe key it is an event of its own.';

create function sync.store_delivery(delivery sync.deliveries) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  stored uuid;
begin
  insert into sync.deliveries select (delivery).*
  on conflict (dedupe_key) where status <> 'duplicate' do nothing
  returning id into stored;
  return stored;
end;
$$;

comment on function sync.store_delivery(sync.deliveries) is
  'Stores a delivery and returns its id; null if its dedupe key is taken.';

create function sync.store_duplicate(delivery sync.deliveries, original uuid) returns uuid
language plpgsql
set search_path = ''
as $$
begin
  delivery.status := 'duplicate';
  delivery.duplicate_of := original;
  delivery.next_attempt_at := null;
  delivery.finished_at := now();
  return sync.store_delivery(delivery);
end;
$$;

comment on function sync.store_duplicate(sync.deliveries, uuid) is 'Stores a delivery that repeats an earlier one.';

create function sync.delivery_now(delivery_id uuid) returns setof sync.deliveries
language sql volatile
set search_path = ''
as $$
  select * from sync.deliveries d where d.id = delivery_now.delivery_id
$$;

comment on function sync.delivery_now(uuid) is 'A delivery as it is at this moment of the statement (volatile: a fresh snapshot).';

create function sync.free_leases(delivery_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  update sync.deliveries d set status = 'pending', next_attempt_at = now(), leased_until = null,
    lease_token = null, last_error = jsonb_build_object('code', 'lease_expired',
      'message', 'The worker stopped without an answer.', 'at', now())
  where d.id = any (delivery_ids);
end;
$$;

comment on function sync.free_leases(uuid[]) is 'Puts deliveries whose worker has died back into the queue, due at once.';

create type sync.lane_entry as (lease_token uuid, reason text, next_attempt_at timestamptz);

comment on type sync.lane_entry is 'How a delivery entered its lane: leased, or waiting for a reason (paused, busy, burst).';

create function sync.enter_lane(delivery_id uuid, connection sync.connections, claim boolean) returns sync.lane_entry
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  entry sync.lane_entry;
  new_seq bigint;
  lane_external_id text;
begin
  select d.external_id into lane_external_id from sync.deliveries d where d.id = enter_lane.delivery_id;
  select r.requested_seq into new_seq
  from sync.request_reads(array[row(connection.organization_id, connection.source, lane_external_id)::sync.lane]) r;

  -- A lease that is locked belongs to a late worker who is finishing it right now, and who may be
  -- waiting for the lock that we hold.
  perform sync.free_leases(array(
    select e.id from sync.deliveries e
    where e.connection_id = connection.id and e.external_id = lane_external_id
      and e.status = 'processing' and e.leased_until < now()
    for no key update skip locked));

  entry.reason := case
    when connection.paused_at is not null or not connection.enabled then 'paused'
    when exists (select from sync.deliveries d
                 where d.connection_id = connection.id and d.external_id = lane_external_id
                   and d.status = 'processing') then 'busy'
    when not enter_lane.claim then 'burst' end;
  if entry.reason is null then
    entry.lease_token := gen_random_uuid();
    update sync.deliveries d set seq = new_seq, status = 'processing', attempts = d.attempts + 1,
      claimed_at = now(), claimed_seq = new_seq, leased_until = now() + interval '60 seconds',
      lease_token = entry.lease_token, next_attempt_at = null
    where d.id = enter_lane.delivery_id;
  else
    entry.next_attempt_at := now();
    update sync.deliveries d set seq = new_seq, next_attempt_at = now()
    where d.id = enter_lane.delivery_id;
  end if;
  perform sync.note_delivery(connection.id);
  return entry;
end;
$$;

comment on function sync.enter_lane(uuid, sync.connections, boolean) is
  'Numbers a delivery within its booking and leases it for 60 s if nobody works on that booking; else reason is paused, busy or burst (the caller has its hands full) and it is due at once.';

-- To within ten seconds, so it need not wait for a lock on the connection: its holder may wait for us.
create function sync.note_delivery(connection_id bigint) returns void
language plpgsql
set search_path = ''
as $$
begin
  update sync.connections c set last_delivery_at = now()
  where c.id in (
    select k.id from sync.connections k
    where k.id = note_delivery.connection_id
      and (k.last_delivery_at is null or k.last_delivery_at < now() - interval '10 seconds')
    for no key update skip locked
  );
end;
$$;

comment on function sync.note_delivery(bigint) is 'Notes on a connection that a delivery has arrived, to within ten seconds.';

-- A read that no valid delivery asked for is a delivery itself, so that it has a lane, attempts and an end.
create function sync.request_refetch(
  cause uuid, connection sync.connections, external_id text, event_type text default 'refetch'
) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  delivery sync.deliveries := sync.new_delivery(connection.id, 'import-bookings', 'refetch:' || cause,
    request_refetch.external_id, request_refetch.event_type);
begin
  select r.requested_seq into delivery.seq from sync.request_reads(array[
    row(connection.organization_id, connection.source, request_refetch.external_id)::sync.lane]) r;
  return sync.store_delivery(delivery);
end;
$$;

comment on function sync.request_refetch(uuid, sync.connections, text, text) is
  'Queues a read of one booking on behalf of a delivery that could not be used as it was.';

create type sync.received_delivery as (
  delivery_id uuid, outcome text, organization_id uuid, lease_token uuid, reason text,
  next_attempt_at timestamptz, duplicate_of uuid
);

comment on type sync.received_delivery is 'What became of a delivery that was handed to the inbox (see receive_delivery).';

create function sync.receive(
  delivery sync.deliveries, organization_id uuid, source public.booking_source, claim boolean
) returns sync.received_delivery
language plpgsql
set search_path = ''
as $$
declare
  connection constant sync.connections := sync.resolve_connection(receive.organization_id, receive.source);
  refused constant boolean := delivery.status = 'invalid' or connection.id is null;
  received sync.received_delivery;
  entry sync.lane_entry;
begin
  if delivery.status not in ('pending', 'invalid') then
    raise exception 'Cannot receive delivery: status is %', delivery.status using errcode = '22023';
  end if;
  if connection.id is null and receive.source = 'headout' and receive.organization_id is null then
    received.outcome := 'not_configured';
    return received;
  end if;

  delivery.connection_id := connection.id;
  received.organization_id := connection.organization_id;
  if refused then
    received.outcome := case when connection.id is null then 'unknown_organization' else 'invalid' end;
    received.delivery_id := sync.store_refused(delivery);
    -- Headout never repeats what was answered 4xx: if the body names a booking, we ask about it ourselves.
    if received.outcome = 'invalid' and delivery.external_id is not null and receive.source = 'headout' then
      perform sync.request_refetch(received.delivery_id, connection, delivery.external_id);
    end if;
    return received;
  end if;

  received.delivery_id := sync.store_delivery(delivery);
  if received.delivery_id is null then
    select d.id into received.duplicate_of from sync.deliveries d
    where d.dedupe_key = delivery.dedupe_key and d.status <> 'duplicate';
    received.delivery_id := sync.store_duplicate(delivery, received.duplicate_of);
    received.outcome := 'duplicate';
    return received;
  end if;
  entry := sync.enter_lane(received.delivery_id, connection, receive.claim);
  received.lease_token := entry.lease_token;
  received.reason := entry.reason;
  received.next_attempt_at := entry.next_attempt_at;
  received.outcome := case when entry.lease_token is null then 'deferred' else 'claimed' end;
  return received;
end;
$$;

comment on function sync.receive(sync.deliveries, uuid, public.booking_source, boolean) is
  'Stores one delivery and enters it into its lane: the work of receive_delivery.';

-- Under a key of its own: the sender's corrected repetition is an event that has not been accepted.
create function sync.store_refused(delivery sync.deliveries) returns uuid
language plpgsql
set search_path = ''
as $$
begin
  delivery.dedupe_key := delivery.id::text;
  delivery.status := 'invalid';
  delivery.next_attempt_at := null;
  delivery.finished_at := now();
  if delivery.connection_id is null then
    delivery.last_error := coalesce(delivery.last_error, jsonb_build_object('code', 'unknown_organization',
      'message', 'The body names no organization that exists.'));
  end if;
  return sync.store_delivery(delivery);
end;
$$;

comment on function sync.store_refused(sync.deliveries) is
  'Keeps a delivery that cannot be processed: its body is wrong, or its organization unknown.';

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
  from sync.receive(
    sync.new_delivery(null, receive_delivery.function, receive_delivery.dedupe_key, receive_delivery.external_id,
      receive_delivery.event_type, receive_delivery.event_timestamp, receive_delivery.headers,
      receive_delivery.body, receive_delivery.status, receive_delivery.last_error),
    receive_delivery.organization_id, receive_delivery.source, receive_delivery.claim) r
  left join lateral sync.delivery_now(coalesce(r.duplicate_of, r.delivery_id)) d on true
$$;

comment on function public.receive_delivery(text, public.booking_source, uuid, text, text, text, jsonb, jsonb, text, text, jsonb, boolean) is
  'Stores one delivery. outcome: claimed (leased for 60 s, process it now), deferred (stored, reason paused, busy, or burst if claim is false), duplicate (status and result are the first one''s), invalid, unknown_organization, not_configured (Headout, no organization to be told; nothing stored).';
