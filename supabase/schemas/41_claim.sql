-- Handing out due work. One lane per booking, never two workers on one; connections take turns; nothing
-- of a paused one; confirming reads only when no webhook is due; a dead worker's lease ends here.
-- Rules: a webhook during a sync causes a second pass · work is bounded and resumes · pausing costs nothing.

create function sync.end_expired_leases(connection_ids bigint[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- A worker that died at the last attempt must not keep the booking's lane for ever. The booking is
  -- locked with it, in one order: ending a delivery writes both.
  perform sync.settle_delivery(d, 'dead', '{}', jsonb_build_object('code', 'lease_expired',
    'message', 'The worker stopped without an answer at the last attempt.', 'at', now()))
  from (
    select e.* from sync.deliveries e
    join sync.connections c on c.id = e.connection_id
    join sync.source_states s on s.organization_id = c.organization_id and s.source = c.source and s.external_id = e.external_id
    where e.status = 'processing' and e.leased_until < now() and e.connection_id = any (connection_ids)
      and sync.was_last_attempt(e.function, e.attempts, e.waits) and c.enabled and c.paused_at is null
    order by s.organization_id, s.source, s.external_id
    for no key update of s, e skip locked
  ) d;

  perform sync.free_leases(array(
    select e.id from sync.deliveries e
    join sync.connections c on c.id = e.connection_id
    where e.status = 'processing' and e.leased_until < now() and e.connection_id = any (connection_ids)
      and (not sync.was_last_attempt(e.function, e.attempts, e.waits) or not c.enabled or c.paused_at is not null)
    for no key update of e skip locked));
end;
$$;

comment on function sync.end_expired_leases(bigint[]) is
  'Ends the leases of dead workers: back into the queue, or dead after the last attempt. A pause ends nothing.';

create function sync.due_lanes(connection_ids bigint[], max_lanes integer, shuffled boolean) returns sync.lane[]
language plpgsql
set search_path = ''
as $$
begin
  return array(
    select row(t.organization_id, t.source, t.external_id)::sync.lane
    from (
      -- Cut before it is joined: thousands of connections have more lanes than anybody can take, but
      -- there must be enough to choose from for several workers at the same moment.
      select c.organization_id, c.source, d.external_id, d.due_at,
        row_number() over (partition by c.id order by d.due_at) as turn
      from sync.connections c
      cross join lateral (
        select exists (select from sync.deliveries w where w.connection_id = c.id and w.status = 'pending'
          and w.next_attempt_at <= now() and w.function <> 'confirm') as webhooks
      ) due
      cross join lateral (
        select n.external_id, min(n.next_attempt_at) as due_at
        from (
          select e.external_id, e.next_attempt_at from sync.deliveries e
          where e.connection_id = c.id and e.status = 'pending' and e.next_attempt_at <= now()
            -- A confirming read waits until no webhook is due.
            and (not due.webhooks or e.function <> 'confirm')
            -- What waits behind a lane at work is due as well, and would crowd out free lanes.
            and not exists (select from sync.deliveries b where b.connection_id = e.connection_id
              and b.external_id = e.external_id and b.status = 'processing')
          order by e.next_attempt_at
          limit 20 * max_lanes
        ) n
        group by n.external_id
        order by due_at
        limit 10 * max_lanes
      ) d
      where c.id = any (connection_ids) and c.enabled and c.paused_at is null
      order by turn, d.due_at
      limit 10 * max_lanes
    ) t
    join sync.source_states s on s.organization_id = t.organization_id and s.source = t.source
      and s.external_id = t.external_id
    order by case when shuffled then random() end, t.turn, t.due_at
    limit max_lanes
    for update of s skip locked
  );
end;
$$;

comment on function sync.due_lanes(bigint[], integer, boolean) is
  'Locks the free lanes that have been due longest, connections in turns; lanes that somebody has locked are skipped.';

create type sync.claimed_delivery as (
  delivery_id uuid, organization_id uuid, source public.booking_source, external_id text,
  lease_token uuid, attempts integer, function text, event_type text
);

comment on type sync.claimed_delivery is 'A delivery with its lease.';

create function sync.lease_lanes(lanes sync.lane[]) returns setof sync.claimed_delivery
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
  update sync.deliveries d set status = 'processing', attempts = d.attempts + 1, claimed_at = now(),
    claimed_seq = p.requested_seq, leased_until = now() + interval '60 seconds',
    lease_token = gen_random_uuid(), next_attempt_at = null
  from (
    select distinct on (c.id, l.external_id) e.id, l.organization_id, l.source, s.requested_seq
    from unnest(lanes) l
    join sync.connections c on c.organization_id = l.organization_id and c.source = l.source
    join sync.deliveries e on e.connection_id = c.id and e.external_id = l.external_id
      and e.status = 'pending' and e.next_attempt_at <= now()
    join sync.source_states s on s.organization_id = l.organization_id and s.source = l.source
      and s.external_id = l.external_id
    where not exists (select from sync.deliveries b where b.connection_id = c.id
      and b.external_id = l.external_id and b.status = 'processing')
    order by c.id, l.external_id, e.function = 'confirm', e.seq desc
  ) p
  where d.id = p.id
  returning d.id, p.organization_id, p.source, d.external_id, d.lease_token, d.attempts, d.function, d.event_type;
end;
$$;

comment on function sync.lease_lanes(sync.lane[]) is
  'Leases the newest due delivery of each locked lane for 60 s; it stands for the older ones, which its read will cover.';

create function public.claim_deliveries(
  max_deliveries integer default 20,
  only_source public.booking_source default null
) returns table (
  delivery_id uuid, organization_id uuid, source public.booking_source, external_id text,
  lease_token uuid, attempts integer, function text, event_type text
)
language plpgsql
set search_path = ''
-- Compiling its plan takes longer than running it.
set jit = off
as $$
#variable_conflict use_column
declare
  lanes sync.lane[];
  -- A caller that asks for one source leaves the other's leases to callers that can process them.
  connection_ids constant bigint[] := array(select c.id from sync.connections c
    where claim_deliveries.only_source is null or c.source = claim_deliveries.only_source);
begin
  perform sync.end_expired_leases(connection_ids);

  -- Workers that begin at the same moment choose the same lanes, and what the first has committed by
  -- the time the last gets its locks is no longer free: then the last chooses again, in another order.
  for round in 1..5 loop
    lanes := sync.due_lanes(connection_ids, claim_deliveries.max_deliveries, shuffled => round > 1);
    exit when lanes = '{}';
    -- A new statement: with the lanes locked, what it sees of them is final.
    return query select l.* from sync.lease_lanes(lanes) l;
    exit when found;
  end loop;
end;
$$;

comment on function public.claim_deliveries(integer, public.booking_source) is
  'Leases up to max_deliveries due deliveries of any source, or of one, for 60 s, one per booking: the newest, which stands for the older ones. Ends the leases of dead workers first.';
