-- Purpose: hand out due work. One lane per booking (never two workers on one), fair between
-- connections, nothing from a paused one, and a dead worker's lease ends here (invariants 5, 11, 14).

create type sync.stored_lane as (
  connection_id bigint, organization_id uuid, source public.booking_source, external_id text
);

comment on type sync.stored_lane is 'A booking as the inbox sees it: its deliveries are worked on one at a time.';

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
  lanes sync.stored_lane[];
  claimed integer;
  -- Whoever asks for one source leaves the leases of the other to those who can claim them then.
  connections constant bigint[] := array(select c.id from sync.connections c
    where claim_deliveries.only_source is null or c.source = claim_deliveries.only_source);
begin
  -- A worker that died at its last attempt must not keep the booking's lane for ever (incident 22).
  perform sync.settle_delivery(d, 'dead', '{}', jsonb_build_object('code', 'lease_expired',
    'message', 'The worker stopped without an answer at the last attempt.', 'at', now()))
  from (
    select e.* from sync.deliveries e
    join sync.connections c on c.id = e.connection_id
    join sync.source_states s on s.organization_id = c.organization_id and s.source = c.source and s.external_id = e.external_id
    where e.status = 'processing' and e.leased_until < now() and e.attempts - e.waits > 8
      and e.connection_id = any (connections)
      and c.enabled and c.paused_at is null -- a pause ends nothing (invariant 14)
    -- In one order, and the booking with it: ending it writes both.
    order by s.organization_id, s.source, s.external_id
    for no key update of s, e skip locked
  ) d;
  update sync.deliveries d set status = 'pending', next_attempt_at = now(), leased_until = null,
    lease_token = null, last_error = jsonb_build_object('code', 'lease_expired',
      'message', 'The worker stopped without an answer.', 'at', now())
  where d.id in (
    select e.id from sync.deliveries e
    join sync.connections c on c.id = e.connection_id
    where e.status = 'processing' and e.leased_until < now()
      and e.connection_id = any (connections)
      and (e.attempts - e.waits <= 8 or not c.enabled or c.paused_at is not null)
    for no key update of e skip locked
  );

  -- Of workers that begin at the same moment all choose the same lanes, and what the first has
  -- committed by the time the last gets its locks is no longer free: then it chooses again.
  for round in 1..5 loop
    -- The longest due lanes of each connection, taken in turns; lanes that somebody works on are
    -- skipped, and there must be enough to choose from for several workers at the same moment.
    select array_agg(row(l.connection_id, l.organization_id, l.source, l.external_id)::sync.stored_lane)
    into lanes
    from (
      select q.*
      from (
        -- Cut before it is joined: thousands of connections have more lanes than anybody can take.
        select t.* from (
        select c.id as connection_id, c.organization_id, c.source, d.external_id,
          row_number() over (partition by c.id order by d.due_at) as turn, d.due_at
        from sync.connections c
        cross join lateral (
          select n.external_id, min(n.next_attempt_at) as due_at
          from (
            select e.external_id, e.next_attempt_at from sync.deliveries e
            where e.connection_id = c.id and e.status = 'pending' and e.next_attempt_at <= now()
              -- What waits behind a lane at work is due as well, and would crowd out free lanes.
              and not exists (select from sync.deliveries b where b.connection_id = e.connection_id
                and b.external_id = e.external_id and b.status = 'processing')
            order by e.next_attempt_at
            limit 20 * claim_deliveries.max_deliveries
          ) n
          group by n.external_id
          order by due_at
          limit 10 * claim_deliveries.max_deliveries
        ) d
        where c.id = any (connections) and c.enabled and c.paused_at is null
        ) t
        order by t.turn, t.due_at
        limit 10 * claim_deliveries.max_deliveries
      ) q
      join sync.source_states s on s.organization_id = q.organization_id and s.source = q.source
        and s.external_id = q.external_id
      -- Workers that keep in step would choose the same lanes in every round.
      order by case when round > 1 then random() end, q.turn, q.due_at
      limit claim_deliveries.max_deliveries
      for update of s skip locked
    ) l;

    -- A new statement: with the lane locked, what it sees of the lane is final. The newest delivery
    -- stands for the older ones, which its read will cover.
    return query
    update sync.deliveries d set status = 'processing', attempts = d.attempts + 1, claimed_at = now(),
      claimed_seq = p.requested_seq, leased_until = now() + interval '60 seconds',
      lease_token = gen_random_uuid(), next_attempt_at = null
    from (
      select distinct on (l.connection_id, l.external_id) e.id, l.organization_id, l.source, s.requested_seq
      from unnest(lanes) l
      join sync.deliveries e on e.connection_id = l.connection_id and e.external_id = l.external_id
        and e.status = 'pending' and e.next_attempt_at <= now()
      join sync.source_states s on s.organization_id = l.organization_id and s.source = l.source
        and s.external_id = l.external_id
      where not exists (select from sync.deliveries b where b.connection_id = l.connection_id
        and b.external_id = l.external_id and b.status = 'processing')
      order by l.connection_id, l.external_id, e.seq desc
    ) p
    where d.id = p.id
    returning d.id, p.organization_id, p.source, d.external_id, d.lease_token, d.attempts, d.function, d.event_type;

    get diagnostics claimed = row_count;
    exit when claimed > 0 or lanes is null;
  end loop;
end;
$$;

comment on function public.claim_deliveries(integer, public.booking_source) is
  'Leases up to max_deliveries due deliveries of any source, or of one, for 60 s, one per booking: the newest, which stands for the older ones. Ends the leases of dead workers first.';
