-- Purpose: what an operator does by hand: replay, release or dismiss, pause and resume.

create function public.replay_deliveries(
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
      select d.connection_id, d.function, 'replay:' || gen_random_uuid(), d.id, d.event_type,
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

comment on function public.replay_deliveries(uuid[], uuid, public.booking_source, text, text, timestamptz, timestamptz, boolean) is
  'Has kept deliveries processed again, by id, by booking, by status and time window. Counts only, unless count_only is false. Deliveries that name no booking cannot be replayed and are counted apart.';

create function public.release_held_changes(
  held_change_ids bigint[],
  by text,
  dismiss boolean default false
) returns table (held_change_id bigint, booking_id bigint, outcome text)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  if coalesce(release_held_changes.by, '') = '' then
    raise exception 'Cannot release held changes: by must say who decides' using errcode = '22023';
  end if;

  return query
  with decided as (
    update sync.held_changes h set
      released_at = case when not release_held_changes.dismiss then now() end,
      dismissed_at = case when release_held_changes.dismiss then now() end,
      by = release_held_changes.by
    where h.id = any (release_held_changes.held_change_ids)
      and h.released_at is null and h.dismissed_at is null
    returning h.id, h.organization_id, h.booking_id, h.snapshot
  ), noted as (
    insert into public.booking_history (organization_id, booking_id, actor, actor_id, verdict)
    select d.organization_id, d.booking_id, 'operator', release_held_changes.by,
      case when release_held_changes.dismiss then 'dismissed' else 'released' end
    from decided d
  ), bookings as (
    select d.*, b.source, b.external_id, c.id as connection_id
    from decided d
    join public.bookings b on b.id = d.booking_id
    join sync.connections c on c.organization_id = b.organization_id and c.source = b.source
  ), states as (
    -- Released: what is true now is read afresh and passes the brake. Dismissed: the same statement
    -- is known from now on and is not held again; another one is.
    insert into sync.source_states as s (organization_id, source, external_id, requested_seq)
    select b.organization_id, b.source, b.external_id, 1 from bookings b
    order by b.external_id
    on conflict on constraint source_states_pkey do update set
      requested_seq = s.requested_seq + case when release_held_changes.dismiss then 0 else 1 end,
      content_hash = case when release_held_changes.dismiss
        then (select k.snapshot ->> 'content_hash' from bookings k where k.external_id = s.external_id and k.source = s.source and k.organization_id = s.organization_id)
        end,
      updated_at = now()
    returning s.organization_id, s.source, s.external_id, s.requested_seq
  ), queued as (
    insert into sync.deliveries (connection_id, function, dedupe_key, event_type, external_id, seq, next_attempt_at)
    select b.connection_id, 'import-bookings', 'release:' || b.id, 'release', b.external_id, s.requested_seq, now()
    from bookings b
    join states s on s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
    where not release_held_changes.dismiss
    on conflict (dedupe_key) where status <> 'duplicate' do nothing
  )
  select d.id, d.booking_id, case when release_held_changes.dismiss then 'dismissed' else 'released' end
  from decided d;
end;
$$;

comment on function public.release_held_changes(bigint[], text, boolean) is
  'Lets held changes pass: each booking is read afresh and what is then true is applied, past the brake. With dismiss the held statement is dropped instead.';

create function public.pause_connection(organization_id uuid, source public.booking_source, reason text)
returns void
language sql
set search_path = ''
as $$
  update sync.connections c set paused_at = coalesce(c.paused_at, now()), pause_reason = $3, updated_at = now()
  where c.organization_id = $1 and c.source = $2
$$;

comment on function public.pause_connection(uuid, public.booking_source, text) is
  'Stops claiming for a connection; deliveries go on being kept, no attempt is used up (invariant 14).';

create function public.resume_connection(organization_id uuid, source public.booking_source)
returns void
language sql
set search_path = ''
as $$
  update sync.connections c set paused_at = null, pause_reason = null, updated_at = now()
  where c.organization_id = $1 and c.source = $2
$$;

comment on function public.resume_connection(uuid, public.booking_source) is 'Lets a paused connection work again.';

revoke all on function
  public.replay_deliveries(uuid[], uuid, public.booking_source, text, text, timestamptz, timestamptz, boolean),
  public.release_held_changes(bigint[], text, boolean),
  public.pause_connection(uuid, public.booking_source, text),
  public.resume_connection(uuid, public.booking_source)
  from public, anon, authenticated;
grant execute on function
  public.replay_deliveries(uuid[], uuid, public.booking_source, text, text, timestamptz, timestamptz, boolean),
  public.release_held_changes(bigint[], text, boolean),
  public.pause_connection(uuid, public.booking_source, text),
  public.resume_connection(uuid, public.booking_source)
  to service_role;
