-- Purpose: how a delivery ends, in one place for apply_snapshots, finish_delivery and the drain.
-- A worker proves its lease; one that lost it can finish nothing (invariant 11).

-- Waits 10 s, 30 s, 2 min, 10 min, 30 min, 2 h, 6 h, 12 h after the n-th attempt, give or take a fifth;
-- null when the attempts are used up.
create function sync.retry_delay(attempts integer) returns interval
language sql volatile
set search_path = ''
as $$
  select (array['10 seconds', '30 seconds', '2 minutes', '10 minutes', '30 minutes', '2 hours',
    '6 hours', '12 hours']::interval[])[attempts] * (0.8 + 0.4 * random())
$$;

comment on function sync.retry_delay(integer) is 'How long to wait after the n-th failed attempt; null: no further attempt.';

create function sync.hold_lease(delivery_id uuid, lease_token uuid) returns sync.deliveries
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  held sync.deliveries;
begin
  -- By hand, a delivery that nobody works on: whoever claims it has its booking first.
  if hold_lease.lease_token is null then
    perform from sync.deliveries d
    join sync.connections c on c.id = d.connection_id
    join sync.source_states s on s.organization_id = c.organization_id and s.source = c.source and s.external_id = d.external_id
    where d.id = hold_lease.delivery_id
    for update of s;
  end if;
  select d.* into held from sync.deliveries d
  where d.id = hold_lease.delivery_id
    and case when hold_lease.lease_token is null
      then d.status = 'pending' or d.status = 'processing' and d.leased_until < now()
      -- Over is over, also if nobody has taken over yet: whoever does must not wait for us.
      else d.status = 'processing' and d.lease_token = hold_lease.lease_token and d.leased_until > now() end
  for no key update;
  return held;
end;
$$;

comment on function sync.hold_lease(uuid, uuid) is
  'The delivery, locked, if the caller may finish it; else a row of nulls.';

create function sync.settle_delivery(
  delivery sync.deliveries, status text, result jsonb, last_error jsonb
) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  covered constant bigint := coalesce(delivery.claimed_seq, delivery.seq);
begin
  -- A read that began after the claim speaks for every request made until then (invariant 5).
  update sync.deliveries d set
    -- An event that was applied is no stale one, though the read after it was.
    status = case when settle_delivery.status = 'stale' and d.result ->> 'outcome' in ('applied', 'stub_created', 'conflict')
      then 'succeeded' else settle_delivery.status end,
    -- An event's first answer stays what a duplicate is answered with; the re-fetch goes beside it.
    result = case when d.result is null then
        settle_delivery.result || case when d.id = delivery.id then '{}'::jsonb
          else jsonb_build_object('coalesced_into', delivery.id) end
      else d.result || jsonb_build_object('refetch', settle_delivery.result) end,
    last_error = coalesce(settle_delivery.last_error, case when d.id = delivery.id then null else d.last_error end),
    next_attempt_at = null, leased_until = null, lease_token = null, finished_at = now()
  where d.id = delivery.id
    or d.connection_id = delivery.connection_id and d.external_id = delivery.external_id
      and d.status = 'pending' and d.seq <= covered;

  update sync.source_states s set processed_seq = covered, updated_at = now()
  where s.organization_id = (select c.organization_id from sync.connections c where c.id = delivery.connection_id)
    and s.source = (select c.source from sync.connections c where c.id = delivery.connection_id)
    and s.external_id = delivery.external_id and s.processed_seq < covered;
end;
$$;

comment on function sync.settle_delivery(sync.deliveries, text, jsonb, jsonb) is
  'Ends a delivery, and with it the pending ones of its booking that its read has covered.';

-- Two complete lists in a row and a read of the booking alone have not found it: believed, and marked.
-- Nothing else of it changes.
create function sync.mark_missing(delivery sync.deliveries) returns void
language plpgsql
set search_path = ''
as $$
declare
  connection sync.connections;
begin
  select * into connection from sync.connections c where c.id = delivery.connection_id;
  -- Still believed to be gone, and nothing has been heard of it since the read was handed out.
  update sync.source_states s set content_hash = null, updated_at = now()
  where s.organization_id = connection.organization_id and s.source = connection.source
    and s.external_id = delivery.external_id and s.missing_sightings >= 2
    and coalesce(s.fetched_at <= coalesce(delivery.claimed_at, delivery.received_at), true);
  if not found then
    return;
  end if;
  with marked as (
    update public.bookings b set source_missing_since = now(), updated_at = now()
    where b.organization_id = connection.organization_id and b.source = connection.source
      and b.external_id = delivery.external_id and b.source_missing_since is null
    returning b.id, b.organization_id
  )
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, verdict, changes)
  select m.organization_id, m.id, 'import', delivery.id, 'marked_missing',
    jsonb_build_object('bookings.source_missing_since', jsonb_build_array(null, now()))
  from marked m;
end;
$$;

comment on function sync.mark_missing(sync.deliveries) is 'Marks a booking missing after a reconcile run and a single read agree that it is gone.';

create function sync.finish(
  p_delivery_id uuid, p_lease_token uuid, p_status text, p_last_error jsonb, p_result jsonb,
  p_retry_after_ms bigint
) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  delivery sync.deliveries;
  paused boolean;
  delay interval;
  -- A day is the most that a source may ask for.
  asked_ms constant bigint := case when p_retry_after_ms > 0 then least(p_retry_after_ms, 86400000) end;
  was_asked boolean;
  tries integer;
  error constant jsonb := p_last_error || jsonb_build_object('at', now());
begin
  if p_status not in ('succeeded', 'pending', 'dead', 'stale', 'held') then
    raise exception 'Cannot finish delivery: status is %', p_status using errcode = '22023';
  end if;
  delivery := sync.hold_lease(p_delivery_id, p_lease_token);
  if delivery.id is null then
    return false;
  end if;
  if p_status <> 'pending' then
    -- Whoever asked, and for whatever: the answer is also that to the question whether it is gone.
    if p_result ->> 'outcome' = 'not_found' and exists (
      select from sync.deliveries d
      where d.connection_id = delivery.connection_id and d.external_id = delivery.external_id
        and d.event_type = 'missing' and d.status in ('pending', 'processing')
        and d.seq <= coalesce(delivery.claimed_seq, delivery.seq)) then
      perform sync.mark_missing(delivery);
    end if;
    perform sync.settle_delivery(delivery, p_status, coalesce(p_result, '{}'), error);
    return true;
  end if;

  select c.paused_at is not null or not c.enabled into paused
  from sync.connections c where c.id = delivery.connection_id;
  -- The source's own Retry-After wins. That it asked is no failure of this delivery: for a day it
  -- costs none of its attempts, however often it asks.
  was_asked := p_last_error is not null and asked_ms is not null
    and delivery.status = 'processing' and delivery.received_at > now() - interval '1 day';
  tries := delivery.attempts - delivery.waits - was_asked::integer;
  delay := asked_ms * interval '1 millisecond';
  if not was_asked then -- and never sooner, if it counts
    delay := greatest(delay, sync.retry_delay(greatest(tries, 1)));
  end if;
  if paused or p_last_error is null then
    -- Pausing costs no attempt (invariant 14), and neither does a lease that was never used.
    update sync.deliveries d set status = 'pending', attempts = greatest(d.attempts - 1, 0),
      next_attempt_at = now() + case when paused or asked_ms is null then interval '0' else delay end,
      leased_until = null, lease_token = null, last_error = coalesce(error, d.last_error)
    where d.id = delivery.id;
  elsif not was_asked and tries > 8 then
    perform sync.settle_delivery(delivery, 'dead', coalesce(p_result, '{}'), error);
    return true;
  else
    update sync.deliveries d set status = 'pending', waits = d.waits + was_asked::integer,
      next_attempt_at = now() + delay, leased_until = null, lease_token = null, last_error = error
    where d.id = delivery.id;
  end if;
  -- The older ones of its booking wait with it, since the next read is theirs too; and all of them if
  -- the source asked for it. None is tried earlier than it was to be.
  if not paused and (p_last_error is not null or asked_ms is not null) then
    update sync.deliveries d set next_attempt_at = greatest(d.next_attempt_at, now() + delay)
    where d.connection_id = delivery.connection_id and d.external_id = delivery.external_id
      and d.status = 'pending' and d.id <> delivery.id
      and (d.seq < delivery.seq or asked_ms is not null);
  end if;
  return true;
end;
$$;

comment on function sync.finish(uuid, uuid, text, jsonb, jsonb, bigint) is 'The work of finish_delivery; false if the lease was lost.';

create function public.finish_delivery(
  delivery_id uuid,
  status text,
  lease_token uuid default null,
  last_error jsonb default null,
  result jsonb default null,
  retry_after_ms bigint default null
) returns table (
  delivery_id uuid, finished boolean, status text, attempts integer, next_attempt_at timestamptz,
  result jsonb, last_error jsonb
)
language sql
set search_path = ''
as $$
  with done as materialized (select sync.finish($1, $3, $2, $4, $5, $6) as finished)
  select d.id, done.finished, d.status, d.attempts, d.next_attempt_at, d.result, d.last_error
  from done cross join lateral sync.delivery_now($1) d
$$;

comment on function public.finish_delivery(uuid, text, uuid, jsonb, jsonb, bigint) is
  'Ends a leased delivery (succeeded, stale, held, dead) or gives it back (pending) to be tried again after a backoff, retry_after_ms if given; dead once the attempts are used up. Given back without a last_error it was not tried: it is due at once or after retry_after_ms, and no attempt is counted. finished is false if the lease was lost; the row shows the present state either way.';

create function sync.is_given_up(delivery_id uuid) returns boolean
language sql stable
set search_path = ''
as $$
  select not exists (select from sync.deliveries r
    where r.replay_of = is_given_up.delivery_id and r.status not in ('dead', 'invalid', 'duplicate'))
$$;

comment on function sync.is_given_up(uuid) is 'Whether no replay of a dead delivery is under way or has brought it to an end.';
