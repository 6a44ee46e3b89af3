-- How a delivery ends, for apply_snapshots, finish_delivery and the drain. A worker proves its lease; one
-- that lost it can finish nothing. A failed attempt is repeated after a backoff; after the ninth the
-- delivery is dead: kept, visible, replayable. A source that asks to wait (Retry-After) costs no attempt
-- for a day.
-- Rules: work is bounded and resumes · pausing costs nothing.

create function sync.retry_delay(attempts integer) returns interval
language sql volatile
set search_path = ''
as $$
  select (array['10 seconds', '30 seconds', '2 minutes', '10 minutes', '30 minutes', '2 hours',
    '6 hours', '12 hours']::interval[])[attempts] * (0.8 + 0.4 * random())
$$;

comment on function sync.retry_delay(integer) is
  'How long to wait after the n-th failed attempt, give or take a fifth; null after the last (see sync.was_last_attempt).';

create function sync.was_last_attempt(function text, attempts integer, waits integer) returns boolean
language sql immutable parallel safe
set search_path = ''
as $$
  select function <> 'confirm' and attempts - waits > 8
$$;

comment on function sync.was_last_attempt(text, integer, integer) is
  'Whether a delivery is dead if this attempt fails: the ninth that the source has not asked to wait for. A confirming read never is: what it asks stays undecided.';

create function sync.hold_lease(delivery_id uuid, lease_token uuid) returns sync.deliveries
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  held sync.deliveries;
begin
  -- Without a token: a delivery that nobody works on, called by hand. A claim locks the booking first.
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
      -- An expired lease is lost even if nobody has taken over yet: the next claim must not wait for us.
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
  -- A read that began after the claim answers every request made until then.
  update sync.deliveries d set
    -- An event that was applied stays so, though the read after it was stale.
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
      and d.status = 'pending' and d.seq <= covered and d.function <> 'confirm';

  update sync.source_states s set processed_seq = covered, updated_at = now()
  from sync.connections c
  where c.id = delivery.connection_id and s.organization_id = c.organization_id and s.source = c.source
    and s.external_id = delivery.external_id and s.processed_seq < covered;
end;
$$;

comment on function sync.settle_delivery(sync.deliveries, text, jsonb, jsonb) is
  'Ends a delivery, and with it the pending ones of its booking that its read has covered.';

create function sync.mark_missing(delivery sync.deliveries) returns void
language plpgsql
set search_path = ''
as $$
declare
  connection sync.connections;
begin
  select * into connection from sync.connections c where c.id = delivery.connection_id;
  -- Unless the booking has been heard of since the read was handed out.
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

comment on function sync.mark_missing(sync.deliveries) is
  'Marks a booking missing once two complete lists in a row and a read of it alone agree that it is gone; changes nothing else (rule: absence is not a statement).';

create function sync.end_delivery(delivery sync.deliveries, status text, result jsonb, last_error jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Whatever this read was asked for, "not found" also answers a pending question whether the booking is gone.
  if end_delivery.result ->> 'outcome' = 'not_found' and exists (
    select from sync.deliveries d
    where d.connection_id = delivery.connection_id and d.external_id = delivery.external_id
      and d.event_type = 'missing' and d.status in ('pending', 'processing')
      and d.seq <= coalesce(delivery.claimed_seq, delivery.seq)) then
    perform sync.mark_missing(delivery);
  end if;
  if end_delivery.result ->> 'outcome' = 'not_found' then
    perform sync.hear_not_found(delivery);
  end if;
  perform sync.settle_delivery(delivery, end_delivery.status, end_delivery.result, end_delivery.last_error);
end;
$$;

comment on function sync.end_delivery(sync.deliveries, text, jsonb, jsonb) is 'Ends a delivery with what its read came to.';

create function sync.give_back(delivery sync.deliveries, result jsonb, last_error jsonb, asked interval) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  paused constant boolean := (select c.paused_at is not null or not c.enabled
    from sync.connections c where c.id = delivery.connection_id);
  untried constant boolean := give_back.last_error is null;
  -- That the source asked is no failure of this delivery; it has a day for it.
  was_asked constant boolean := not untried and give_back.asked is not null
    and delivery.status = 'processing' and delivery.received_at > now() - interval '1 day';
  new_waits constant integer := delivery.waits + was_asked::integer;
  -- What the source asks for wins; but a failure that counts is not tried again any sooner for it.
  delay constant interval := case when was_asked then give_back.asked
    else greatest(give_back.asked, sync.retry_delay(least(greatest(delivery.attempts - new_waits, 1), 8))) end;
begin
  if paused or untried then
    update sync.deliveries d set status = 'pending', attempts = greatest(d.attempts - 1, 0),
      next_attempt_at = now() + case when paused or give_back.asked is null then interval '0' else delay end,
      leased_until = null, lease_token = null, last_error = coalesce(give_back.last_error, d.last_error)
    where d.id = delivery.id;
  elsif not was_asked and sync.was_last_attempt(delivery.function, delivery.attempts, new_waits) then
    perform sync.settle_delivery(delivery, 'dead', give_back.result, give_back.last_error);
    return;
  else
    update sync.deliveries d set status = 'pending', waits = new_waits,
      next_attempt_at = now() + delay, leased_until = null, lease_token = null, last_error = give_back.last_error
    where d.id = delivery.id;
  end if;
  -- The older ones of its booking wait with it, since the next read is theirs too; and all of them if
  -- the source asked. None is tried earlier than it was due.
  if not paused and not (untried and give_back.asked is null) then
    update sync.deliveries d set next_attempt_at = greatest(d.next_attempt_at, now() + delay)
    where d.connection_id = delivery.connection_id and d.external_id = delivery.external_id
      and d.status = 'pending' and d.id <> delivery.id
      and (d.seq < delivery.seq or give_back.asked is not null);
  end if;
end;
$$;

comment on function sync.give_back(sync.deliveries, jsonb, jsonb, interval) is
  'Puts a leased delivery back into the queue: after a failure with a backoff, or dead after the last attempt; untried (no last_error) or paused without counting the attempt. asked: how long the source asked to wait.';

create function sync.finish(
  delivery_id uuid, lease_token uuid, status text, last_error jsonb, result jsonb, retry_after_ms bigint
) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  delivery sync.deliveries;
  error constant jsonb := finish.last_error || jsonb_build_object('at', now());
begin
  if finish.status not in ('succeeded', 'pending', 'dead', 'stale', 'held') then
    raise exception 'Cannot finish delivery: status is %', finish.status using errcode = '22023';
  end if;
  delivery := sync.hold_lease(finish.delivery_id, finish.lease_token);
  if delivery.id is null then
    return false;
  end if;
  -- A confirming read that showed nothing has decided nothing: it is asked again.
  if finish.status = 'pending' or delivery.function = 'confirm' then
    perform sync.give_back(delivery, coalesce(finish.result, '{}'), error,
      -- A day is the most that a source may ask for.
      case when finish.retry_after_ms > 0 then least(finish.retry_after_ms, 86400000) * interval '1 millisecond' end);
  else
    perform sync.end_delivery(delivery, finish.status, coalesce(finish.result, '{}'), error);
  end if;
  return true;
end;
$$;

comment on function sync.finish(uuid, uuid, text, jsonb, jsonb, bigint) is
  'Ends a leased delivery or gives it back; false if the lease was lost.';

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
  with done as materialized (
    select sync.finish(finish_delivery.delivery_id, finish_delivery.lease_token, finish_delivery.status,
      finish_delivery.last_error, finish_delivery.result, finish_delivery.retry_after_ms) as finished
  )
  select d.id, done.finished, d.status, d.attempts, d.next_attempt_at, d.result, d.last_error
  from done cross join lateral sync.delivery_now(finish_delivery.delivery_id) d
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
