-- Purpose: four ways in which a delivery could end wrongly.
-- A Headout event that was applied was called stale when the read that checked it was.
-- A source that asks to wait (Retry-After) costs no attempt for a day: with a short one all nine were
-- used up in seconds and the delivery was dead. What it asks for holds for all of the booking, and no
-- failure brings forward what was put off.
-- A booking is marked missing only if it has not been heard of since it was asked for, also if another
-- delivery of it brought the answer; and its hash goes, so that the next answer that has it says so.
-- Compatible: one column with a default; same arguments and results.

alter table sync.deliveries add column waits integer not null default 0;

comment on column sync.deliveries.waits is 'Attempts that ended with the source asking to wait; not counted among those after which it is given up.';

create or replace function sync.mark_missing(delivery sync.deliveries) returns void
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

create or replace function sync.settle_delivery(
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

create or replace function sync.finish(
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

create or replace function sync.record_absences(run sync.runs) returns void
language plpgsql
set search_path = ''
as $$
declare
  connection sync.connections;
begin
  select * into connection from sync.connections c
  where c.organization_id = run.organization_id and c.source = run.source;

  -- In one order, as whoever applies a page does.
  perform from sync.source_states s
  where s.organization_id = run.organization_id and s.source = run.source
    and (s.missing_sightings > 0
      or not exists (select from sync.sightings g where g.run_id = run.id and g.external_id = s.external_id))
  order by s.external_id
  for update;

  -- In a row: whoever was seen now begins anew.
  update sync.source_states s set missing_sightings = 0, missing_first_seen_at = null, updated_at = now()
  where s.organization_id = run.organization_id and s.source = run.source and s.missing_sightings > 0
    and exists (select from sync.sightings g where g.run_id = run.id and g.external_id = s.external_id);

  insert into sync.drift (run_id, external_id, field, booking_id, theirs, ours, first_seen_at, cause)
  select run.id, b.external_id, 'bookings.*', b.id, null, to_jsonb(b.status), coalesce(s.missing_first_seen_at, now()), 'missing_at_source'
  from public.bookings b
  left join sync.source_states s on s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
  where b.organization_id = run.organization_id and b.source = run.source
    and b.source_missing_since is null and b.created_at < run.started_at
    and not exists (select from sync.sightings g where g.run_id = run.id and g.external_id = b.external_id)
  on conflict (run_id, external_id, field) do nothing;

  insert into sync.source_states (organization_id, source, external_id)
  select run.organization_id, run.source, d.external_id from sync.drift d
  where d.run_id = run.id and d.cause = 'missing_at_source'
  on conflict do nothing;
  update sync.source_states s set missing_sightings = s.missing_sightings + 1,
    missing_first_seen_at = coalesce(s.missing_first_seen_at, now()), updated_at = now()
  from sync.drift d
  where d.run_id = run.id and d.cause = 'missing_at_source'
    and s.organization_id = run.organization_id and s.source = run.source and s.external_id = d.external_id;

  perform sync.request_refetch(gen_random_uuid(), connection, d.external_id, 'missing')
  from sync.drift d
  join sync.source_states s on s.organization_id = run.organization_id and s.source = run.source
    and s.external_id = d.external_id and s.missing_sightings = 2
  where d.run_id = run.id and d.cause = 'missing_at_source';
end;
$$;
