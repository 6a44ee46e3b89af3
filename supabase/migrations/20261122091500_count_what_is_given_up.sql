-- Purpose: a delivery that was given up, replayed and processed then is not dead any more for whoever
-- looks or replays. It stayed in sync_status for ever, each replay by status replayed it again, and a
-- replay over a time window took the replays in it for deliveries, twice as many each time. And what
-- was received is what was sent to us: sync_status counted our own replays and reads among it, so that
-- silence did not show. A status that there is not is refused, instead of matching nothing.
-- Compatible: same arguments and results.

-- A replay of a replay is one of the delivery itself.
update sync.deliveries r set replay_of = p.replay_of
from sync.deliveries p where p.id = r.replay_of and p.replay_of is not null;

create function sync.is_given_up(delivery_id uuid) returns boolean
language sql stable
set search_path = ''
as $$
  select not exists (select from sync.deliveries r
    where r.replay_of = is_given_up.delivery_id and r.status not in ('dead', 'invalid', 'duplicate'))
$$;

comment on function sync.is_given_up(uuid) is 'Whether no replay of a dead delivery is under way or has brought it to an end.';

create or replace function public.replay_deliveries(
  delivery_ids uuid[] default null,
  organization_id uuid default null,
  source public.booking_source default null,
  external_id text default null,
  status text default null,
  received_from timestamptz default null,
  received_to timestamptz default null,
  count_only boolean default true
) returns table (matched bigint, replayed bigint, without_booking bigint)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  chosen uuid[];
  nameless bigint;
  written bigint := 0;
begin
  if num_nonnulls(replay_deliveries.delivery_ids, replay_deliveries.external_id,
      replay_deliveries.status, replay_deliveries.received_from, replay_deliveries.received_to) = 0 then
    raise exception 'Cannot replay: name deliveries, a booking, a status or a time window'
      using errcode = '22023';
  end if;

  if replay_deliveries.status not in ('pending', 'processing', 'succeeded', 'duplicate', 'stale', 'held', 'invalid', 'dead') then
    raise exception 'Cannot replay: % is not a status of deliveries', replay_deliveries.status using errcode = '22023';
  end if;

  select array_agg(d.id) filter (where d.connection_id is not null and d.external_id is not null),
    count(*) filter (where d.connection_id is null or d.external_id is null)
  into chosen, nameless
  from sync.deliveries d
  left join sync.connections c on c.id = d.connection_id
  where (replay_deliveries.delivery_ids is null or d.id = any (replay_deliveries.delivery_ids))
    and (replay_deliveries.organization_id is null or c.organization_id = replay_deliveries.organization_id)
    and (replay_deliveries.source is null or c.source = replay_deliveries.source)
    and (replay_deliveries.external_id is null or d.external_id = replay_deliveries.external_id)
    and (replay_deliveries.status is null or d.status = replay_deliveries.status)
    -- A window or a status means what was sent to us, once, and of what was given up only what no
    -- replay has brought to an end; a replay itself is named by its id.
    and (replay_deliveries.delivery_ids is not null or d.replay_of is null
      and (d.status <> 'dead' or sync.is_given_up(d.id)))
    and (replay_deliveries.received_from is null or d.received_at >= replay_deliveries.received_from)
    and (replay_deliveries.received_to is null or d.received_at < replay_deliveries.received_to);

  if not replay_deliveries.count_only and chosen is not null then
    with lanes as (
      select distinct c.organization_id, c.source, d.external_id
      from sync.deliveries d join sync.connections c on c.id = d.connection_id
      where d.id = any (chosen)
      order by 1, 2, 3
    ), requested as (
      insert into sync.source_states as s (organization_id, source, external_id, requested_seq)
      select l.organization_id, l.source, l.external_id, 1 from lanes l
      on conflict on constraint source_states_pkey
      do update set requested_seq = s.requested_seq + 1, updated_at = now()
      returning s.organization_id, s.source, s.external_id, s.requested_seq
    ), replays as (
      -- A nonce of its own, so that dedupe never swallows it (invariant 2).
      insert into sync.deliveries (connection_id, function, dedupe_key, replay_of, event_type,
        external_id, event_timestamp, headers, body, seq, next_attempt_at)
      select d.connection_id, d.function, 'replay:' || gen_random_uuid(), coalesce(d.replay_of, d.id), d.event_type,
        d.external_id, d.event_timestamp, d.headers, d.body, r.requested_seq, now()
      from sync.deliveries d
      join sync.connections c on c.id = d.connection_id
      join requested r on r.organization_id = c.organization_id and r.source = c.source and r.external_id = d.external_id
      where d.id = any (chosen)
      returning 1
    )
    select count(*) into written from replays;
  end if;

  return query select coalesce(cardinality(chosen), 0) + nameless, written, nameless;
end;
$$;

create or replace function public.sync_status()
returns table (
  organization_id uuid, organization_name text, source public.booking_source, enabled boolean,
  paused_at timestamptz, pause_reason text, cursor timestamptz, cursor_lag interval,
  oldest_undone_at timestamptz, due bigint, processing bigint, dead bigint, held bigint,
  last_delivery_at timestamptz, last_success_at timestamptz, deliveries_last_hour bigint,
  usual_deliveries_in_this_hour numeric, runs jsonb
)
language sql stable
set search_path = ''
as $$
  select c.organization_id, o.name, c.source, c.enabled, c.paused_at, c.pause_reason, c.cursor,
    now() - c.cursor, q.oldest, q.due, q.processing, q.dead,
    (select count(*) from sync.held_changes h join public.bookings b on b.id = h.booking_id
     where h.organization_id = c.organization_id and b.source = c.source
       and h.released_at is null and h.dismissed_at is null),
    -- The column is to within seconds, and events that change nothing do not touch it.
    greatest(c.last_delivery_at, (select d.received_at from sync.deliveries d
       where d.connection_id = c.id and d.replay_of is null and d.function <> 'import-bookings'
       order by d.received_at desc limit 1)),
    -- What changed nothing is a success too.
    greatest(c.last_success_at,
      (select d.finished_at from sync.deliveries d where d.connection_id = c.id and d.status = 'succeeded'
       order by d.received_at desc limit 1),
      (select max(r.finished_at) from sync.runs r
       where r.organization_id = c.organization_id and r.source = c.source and r.status = 'completed')),
    (select count(*) from sync.deliveries d
     where d.connection_id = c.id and d.received_at > now() - interval '1 hour'
       and d.replay_of is null and d.function <> 'import-bookings'),
    -- The same hour of the last four weeks: silence shows.
    (select round(count(*) / 4.0, 1) from generate_series(1, 4) w (weeks_ago)
     join sync.deliveries d on d.connection_id = c.id
       and d.received_at > now() - interval '1 hour' - w.weeks_ago * interval '7 days'
       and d.received_at <= now() - w.weeks_ago * interval '7 days'
       and d.replay_of is null and d.function <> 'import-bookings'),
    (select jsonb_agg(jsonb_build_object('run_id', r.id, 'mode', r.mode, 'status', r.status,
        'started_at', r.started_at, 'heartbeat_at', r.heartbeat_at, 'counters', r.counters) order by r.started_at)
     from sync.runs r
     where r.organization_id = c.organization_id and r.source = c.source and r.status in ('running', 'stopped'))
  from sync.connections c
  join public.organizations o on o.id = c.organization_id
  cross join lateral (
    select min(d.received_at) filter (where d.status in ('pending', 'processing')) as oldest,
      count(*) filter (where d.status = 'pending' and d.next_attempt_at <= now()) as due,
      count(*) filter (where d.status = 'processing') as processing,
      count(*) filter (where d.status = 'dead' and d.replay_of is null and sync.is_given_up(d.id)) as dead
    from sync.deliveries d
    where d.connection_id = c.id and d.status in ('pending', 'processing', 'dead')
  ) q
  order by o.name, c.source
$$;

comment on function public.replay_deliveries(uuid[], uuid, public.booking_source, text, text, timestamptz, timestamptz, boolean) is
  'Has kept deliveries processed again, by id, by booking, by status and time window; replays themselves by id only, dead ones until a replay has ended well. Counts only, unless count_only is false. Deliveries that name no booking cannot be replayed and are counted apart.';

revoke all on function sync.is_given_up(uuid) from public, anon, authenticated;
grant execute on function sync.is_given_up(uuid) to service_role;
