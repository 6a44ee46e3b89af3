-- Purpose: have our own functions lock in one order. Two of them could wait for each other: a webhook
-- and a batch of the drain, the start of a run and its page, a release and the page of its booking, a
-- repeated event or a replay and the end of the first, a repair or a page with a bad snapshot and
-- another page, a call by hand and a claim. One was then broken off with 40P01, answered 503 and left
-- to be tried again. The order is: delivery or run, source states by external id, held changes,
-- bookings, connection; what would have to wait against it is skipped, since it only notes a time.
-- Compatible: same arguments and results.

create or replace function sync.hold_lease(delivery_id uuid, lease_token uuid) returns sync.deliveries
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

create or replace function sync.enter_lane(
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

create function sync.lock_page(organization_id uuid, source public.booking_source, snapshots jsonb) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  ids constant text[] := array(
    select distinct e.snapshot ->> 'external_id' from jsonb_array_elements(lock_page.snapshots) e (snapshot)
    where sync.snapshot_error(e.snapshot) is null order by 1);
begin
  -- As plan_snapshots does it: first all that are new, then all.
  insert into sync.source_states (organization_id, source, external_id)
  select lock_page.organization_id, lock_page.source, i.id from unnest(ids) with ordinality i (id, place)
  order by i.place
  on conflict do nothing;
  perform from unnest(ids) with ordinality i (id, place)
  cross join lateral (
    select from sync.source_states s
    where s.organization_id = lock_page.organization_id and s.source = lock_page.source and s.external_id = i.id
    for update
  ) locked
  order by i.place;
  perform from sync.connections c
  where c.organization_id = lock_page.organization_id and c.source = lock_page.source
  for no key update;
end;
$$;

comment on function sync.lock_page(uuid, public.booking_source, jsonb) is
  'Locks the bookings of a page in one order, and then their connection, for whoever does more than one thing with it; a booking that is new gets its empty state.';

create or replace function sync.plan_snapshots(
  organization_id uuid,
  source public.booking_source,
  snapshots jsonb,
  deliveries sync.deliveries[],
  force boolean
) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  heads sync.planned_snapshot[];
  planned sync.planned_snapshot[];
  first_day date;
begin
  -- One pass over the page. Most of a re-import ends here: the same content and no newer revision,
  -- so there is nothing to lock and nothing to write.
  select array_agg(row(
      h.ord, h.external_id, h.verdict, null,
      case when h.verdict is null then h.snapshot end,
      h.content_hash, h.fetched_at, h.source_updated_at, h.source_version,
      h.booking_id, null, null, null)::sync.planned_snapshot order by h.ord)
  into heads
  from (
    select r.ord, r.external_id, r.snapshot, r.content_hash, r.fetched_at, r.source_updated_at, r.source_version,
      b.id as booking_id,
      case
        when s.content_hash = r.content_hash and not plan_snapshots.force
          and coalesce(r.source_version, -1) <= coalesce(s.source_version, -1)
          and coalesce(r.source_updated_at, '-infinity') <= coalesce(s.source_updated_at, '-infinity')
          then 'unchanged'
        -- Of two snapshots of one booking the newer wins.
        when r.external_id is not null and row_number() over (partition by r.external_id order by r.source_version desc nulls last,
          r.source_updated_at desc nulls last, r.fetched_at desc, r.ord desc) > 1 then 'stale'
      end as verdict
    from (
      select
        e.ord::integer as ord,
        e.snapshot,
        e.snapshot ->> 'external_id' as external_id,
        e.snapshot ->> 'content_hash' as content_hash,
        -- Clamped to our clock and to the claim: an isolate's clock may be wrong, and a read can
        -- have begun neither in the future nor before the work was handed out.
        least(now(), greatest((e.snapshot ->> 'fetched_at')::timestamptz, d.claimed_at)) as fetched_at,
        (e.snapshot ->> 'source_updated_at')::timestamptz as source_updated_at,
        (e.snapshot ->> 'source_version')::bigint as source_version
      from jsonb_array_elements(plan_snapshots.snapshots) with ordinality as e (snapshot, ord)
      left join unnest(plan_snapshots.deliveries) d on d.external_id = e.snapshot ->> 'external_id'
    ) r
    left join lateral (
      select t.content_hash, t.source_version, t.source_updated_at
      from sync.source_states t
      where t.organization_id = plan_snapshots.organization_id and t.source = plan_snapshots.source
        and t.external_id = r.external_id
      offset 0
    ) s on true
    left join lateral (
      select k.id from public.bookings k
      where k.organization_id = plan_snapshots.organization_id and k.source = plan_snapshots.source
        and k.external_id = r.external_id
      offset 0
    ) b on true
  ) h;

  if not exists (select from unnest(heads) h where h.verdict is null) and plan_snapshots.deliveries is null then
    return heads;
  end if;

  select array_agg(row(h.ord, h.external_id, case when x.error is not null then 'invalid' else h.verdict end,
      x.error, h.snapshot, h.content_hash, h.fetched_at, h.source_updated_at, h.source_version,
      null, null, null, null)::sync.planned_snapshot order by h.ord)
  into heads
  from unnest(heads) h
  cross join lateral (
    select case when h.verdict is null then sync.snapshot_error(h.snapshot) end offset 0
  ) x (error);

  -- Locked in one order, so that two pages with the same bookings wait and do not deadlock; with
  -- them those whose delivery will be settled, also if nothing of them is to be written.
  insert into sync.source_states (organization_id, source, external_id)
  select plan_snapshots.organization_id, plan_snapshots.source, h.external_id
  from unnest(heads) h where h.verdict is null
  order by h.external_id
  on conflict do nothing;

  perform from (
    select h.external_id from unnest(heads) h
    where h.verdict is null
      or h.external_id in (select d.external_id from unnest(plan_snapshots.deliveries) d)
    order by h.external_id
  ) h
  cross join lateral (
    select from sync.source_states s
    where s.organization_id = plan_snapshots.organization_id and s.source = plan_snapshots.source
      and s.external_id = h.external_id
    for update
  ) locked;

  select c.not_before into first_day from sync.connections c
  where c.organization_id = plan_snapshots.organization_id and c.source = plan_snapshots.source;

  -- A new statement, so it sees what was committed while we waited for the locks.
  select array_agg(row(
      h.ord, h.external_id,
      coalesce(h.verdict, case
        when o.older and not plan_snapshots.force then 'stale'
        when (plan_snapshots.force or not o.newer) and h.fetched_at < s.fetched_at then 'stale'
        when not plan_snapshots.force and s.content_hash = h.content_hash
          then case when o.newer then 'revision' else 'unchanged' end
        -- A tombstone of a booking that we never had makes no row, but what was said before it is
        -- older from now on. A booking of which only another status is known is one.
        when b.id is null and (h.snapshot ? 'deleted'
          or h.snapshot #>> '{booking,status}' = 'CANCELLED'
            and not h.snapshot ?| array['dates', 'products', 'attachments']
            and (h.snapshot -> 'booking') - array['status', 'source_status'] = '{}') then 'revision'
        -- Over before the connection's first day, and never stored: left to history.
        when b.id is null and first_day is not null and first_day > (
          select max((i.item ->> 'day')::date)
          from jsonb_array_elements(h.snapshot #> '{dates,items}') i (item)) then 'skipped'
        else 'apply' end),
      h.error, h.snapshot, h.content_hash, h.fetched_at, h.source_updated_at, h.source_version,
      b.id, b.id is null, b.status,
      coalesce((h.snapshot #>> '{booking,status}')::public.booking_status, b.status, 'PENDING')
    )::sync.planned_snapshot order by h.ord)
  into planned
  from unnest(heads) h
  left join lateral (
    select t.* from sync.source_states t
    where t.organization_id = plan_snapshots.organization_id and t.source = plan_snapshots.source
      and t.external_id = h.external_id
    offset 0
  ) s on true
  left join lateral (
    select k.id, k.status from public.bookings k
    where k.organization_id = plan_snapshots.organization_id and k.source = plan_snapshots.source
      and k.external_id = h.external_id
    offset 0
  ) b on true
  cross join lateral (
    select
      coalesce(case when h.source_version <> s.source_version then h.source_version < s.source_version
        else h.source_updated_at < s.source_updated_at end, false),
      coalesce(case when h.source_version <> s.source_version then h.source_version > s.source_version
        else h.source_updated_at > s.source_updated_at end, false)
        -- A first revision is news, if it was not read before what is known.
        or (s.source_version is null and h.source_version is not null
          or s.source_updated_at is null and h.source_updated_at is not null)
          and h.fetched_at >= coalesce(s.fetched_at, '-infinity')
  ) as o (older, newer);

  return planned;
end;
$$;

create or replace function sync.apply_page_or_halves(
  organization_id uuid, source public.booking_source, snapshots jsonb,
  deliveries sync.deliveries[], run_id uuid, force boolean, detailed boolean
) returns sync.snapshot_verdict[]
language plpgsql
set search_path = ''
as $$
#variable_conflict use_variable
declare
  size constant integer := jsonb_array_length(snapshots);
  half constant integer := size / 2;
  message text;
  field text;
  state text;
begin
  return sync.apply_page(organization_id, source, snapshots, deliveries, run_id, force, detailed);
exception when data_exception or integrity_constraint_violation or program_limit_exceeded then
  get stacked diagnostics message = message_text, field = constraint_name, state = returned_sqlstate;
  if size = 1 then
    field := coalesce(sync.find_bad_field(snapshots -> 0), nullif(field, ''));
    return array[row(1, left(snapshots #>> '{0,external_id}', 200), 'invalid', null, '{}',
      jsonb_build_object('code', 'unstorable_snapshot', 'field', field, 'message', left(message, 500), 'sqlstate', state)
    )::sync.snapshot_verdict];
  end if;
  -- Together, before either half: halves of two pages are in no order.
  perform sync.lock_page(organization_id, source, snapshots);
  return array(
    select row(v.ord, v.external_id, v.verdict, v.booking_id, v.changes, v.error)::sync.snapshot_verdict
    from unnest(sync.apply_page_or_halves(organization_id, source,
      (select jsonb_agg(e.item order by e.place) from jsonb_array_elements(snapshots) with ordinality e (item, place) where e.place <= half),
      deliveries, run_id, force, detailed)) v
  ) || array(
    select row(v.ord + half, v.external_id, v.verdict, v.booking_id, v.changes, v.error)::sync.snapshot_verdict
    from unnest(sync.apply_page_or_halves(organization_id, source,
      (select jsonb_agg(e.item order by e.place) from jsonb_array_elements(snapshots) with ordinality e (item, place) where e.place > half),
      deliveries, run_id, force, detailed)) v
  );
end;
$$;

create or replace function public.apply_snapshots(
  organization_id uuid,
  source public.booking_source,
  snapshots jsonb,
  delivery_id uuid default null,
  lease_token uuid default null,
  run_id uuid default null,
  force boolean default false,
  dry_run boolean default false,
  deliveries jsonb default '[]'
) returns table (external_id text, verdict text, booking_id bigint, changes jsonb, error jsonb)
language plpgsql
set search_path = ''
-- On a database without statistics (a first import) the planner expects one row everywhere and
-- would join pages by nested loops; and it would compile plans for longer than they run.
set enable_nestloop = off
set jit = off
as $$
#variable_conflict use_column
declare
  connection sync.connections;
  held sync.deliveries[];
  lost text[];
  refusal text;
  accepted jsonb := apply_snapshots.snapshots;
  verdicts sync.snapshot_verdict[];
begin
  if jsonb_typeof(apply_snapshots.snapshots) is distinct from 'array' then
    raise exception 'Cannot apply snapshots: snapshots is not a JSON array' using errcode = '22023';
  end if;

  select * into connection from sync.connections c
  where c.organization_id = apply_snapshots.organization_id and c.source = apply_snapshots.source;
  refusal := case
    when connection.id is null then 'unknown_organization'
    when not apply_snapshots.force and (connection.paused_at is not null or not connection.enabled) then 'paused'
  end;

  if refusal is null and (apply_snapshots.delivery_id is not null or apply_snapshots.deliveries <> '[]') then
    -- A worker that lost its lease can finish nothing, and apply nothing in its name.
    select array_agg(l.held) filter (where (l.held).id is not null),
      array_agg(coalesce((l.held).external_id, d.external_id)) filter (where (l.held).id is null)
    into held, lost
    from (
      select apply_snapshots.delivery_id as id, apply_snapshots.lease_token as token
      where apply_snapshots.delivery_id is not null
      union all
      select (e.item ->> 'delivery_id')::uuid, (e.item ->> 'lease_token')::uuid
      from jsonb_array_elements(apply_snapshots.deliveries) e (item)
      order by 1
    ) w
    cross join lateral (select sync.hold_lease(w.id, w.token) as held offset 0) l
    left join lateral sync.delivery_now(w.id) d on (l.held).id is null;
    if lost is not null then
      -- Without a trace of the delivery nobody can tell whose work this is.
      refusal := case when held is null then 'lease_lost' end;
      accepted := coalesce((
        select jsonb_agg(e.snapshot order by e.ord)
        from jsonb_array_elements(apply_snapshots.snapshots) with ordinality e (snapshot, ord)
        where coalesce(e.snapshot ->> 'external_id' <> all (lost), true)), '[]');
    end if;
  end if;

  if refusal is not null then
    return query select left(e.snapshot ->> 'external_id', 200), refusal, null::bigint, '{}'::jsonb, null::jsonb
      from jsonb_array_elements(apply_snapshots.snapshots) as e (snapshot);
    return;
  end if;

  if apply_snapshots.dry_run then
    begin
      verdicts := sync.apply_page_or_halves(apply_snapshots.organization_id, apply_snapshots.source,
        accepted, held, apply_snapshots.run_id, apply_snapshots.force, true);
      raise exception 'dry run' using errcode = 'BSDRY';
    exception when sqlstate 'BSDRY' then
      null; -- Everything is undone but the verdicts.
    end;
  else
    verdicts := sync.apply_page_or_halves(apply_snapshots.organization_id, apply_snapshots.source,
      accepted, held, apply_snapshots.run_id, apply_snapshots.force, false);

    update sync.connections c set last_success_at = now()
    where exists (select from unnest(verdicts) v where v.verdict in ('created', 'updated'))
      and c.id in (
        select k.id from sync.connections k
        where k.id = connection.id
          and (k.last_success_at is null or k.last_success_at < now() - interval '10 seconds')
        for no key update skip locked
      );

    perform sync.settle_delivery(d,
      case v.verdict when 'stale' then 'stale' when 'held' then 'held' when 'invalid' then 'dead' else 'succeeded' end,
      jsonb_strip_nulls(jsonb_build_object('outcome', v.verdict, 'booking_id', v.booking_id, 'changes', v.changes)),
      v.error)
    from unnest(held) d
    join (
      select distinct on (v.external_id) v.*
      from unnest(verdicts) v
      order by v.external_id, v.verdict = 'stale', v.ord desc
    ) v on v.external_id = d.external_id;
  end if;

  return query
    select v.external_id, v.verdict, v.booking_id, v.changes, v.error from unnest(verdicts) v
    union all
    select l.external_id, 'lease_lost', null, '{}', null from unnest(lost) l (external_id);
end;
$$;

create or replace function public.release_held_changes(
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

  -- The bookings first and in one order, as whoever applies a page does.
  perform from sync.held_changes h
  join public.bookings b on b.id = h.booking_id
  join sync.source_states s on s.organization_id = b.organization_id and s.source = b.source
    and s.external_id = b.external_id
  where h.id = any (release_held_changes.held_change_ids)
  order by s.organization_id, s.source, s.external_id
  for update of s;

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
  from decided d
  union all
  select n.id, h.booking_id, case when h.id is null then 'unknown' else 'decided_before' end
  from unnest(release_held_changes.held_change_ids) n (id)
  left join sync.held_changes h on h.id = n.id
  where not exists (select from decided d where d.id = n.id);
end;
$$;

create or replace function sync.open_run(
  p_organization_id uuid, p_source public.booking_source, p_mode text, p_parameters jsonb,
  out run_id uuid, out outcome text, out lease_token uuid, out checkpoint jsonb, out counters jsonb,
  out parameters jsonb, out cursor timestamptz, out started_at timestamptz
)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  connection sync.connections;
  run sync.runs;
begin
  -- Locked: of two starts at the same moment one begins and the other is told so.
  select * into connection from sync.connections c
  where c.organization_id = p_organization_id and c.source = p_source for no key update;
  open_run.outcome := case when connection.id is null then 'unknown_organization'
    when connection.paused_at is not null or not connection.enabled then 'paused' end;
  if open_run.outcome is not null then
    return;
  end if;

  -- Locked only if nobody has it: a page that is being written has its run first and may then need the
  -- connection that we hold. Whoever writes a page is at work.
  select * into run from sync.runs r
  where r.organization_id = p_organization_id and r.source = p_source and r.mode = p_mode
    and r.status in ('running', 'stopped')
  for update skip locked;
  open_run.outcome := case when run.id is not null then
      case when run.status = 'running' and run.heartbeat_at > now() - interval '60 seconds' then 'busy'
        else 'resumed' end
    else 'started' end;
  if run.id is null then
    select * into run from sync.runs r
    where r.organization_id = p_organization_id and r.source = p_source and r.mode = p_mode
      and r.status in ('running', 'stopped');
    open_run.outcome := case when run.id is null then 'started' else 'busy' end;
  end if;
  if open_run.outcome = 'started' then
    insert into sync.runs (organization_id, source, mode, parameters, lease_token)
    values (p_organization_id, p_source, p_mode, coalesce(p_parameters, '{}'), gen_random_uuid())
    returning * into run;
  elsif open_run.outcome = 'resumed' then
    update sync.runs r set status = 'running', lease_token = gen_random_uuid(), heartbeat_at = clock_timestamp()
    where r.id = run.id returning * into run;
  end if;
  open_run.run_id := run.id;
  open_run.lease_token := case when open_run.outcome <> 'busy' then run.lease_token end;
  open_run.checkpoint := run.checkpoint;
  open_run.counters := run.counters;
  open_run.parameters := run.parameters;
  open_run.cursor := connection.cursor;
  open_run.started_at := run.started_at;
end;
$$;

create or replace function public.checkpoint_run(
  run_id uuid,
  lease_token uuid,
  checkpoint jsonb,
  counters jsonb,
  snapshots jsonb default '[]',
  force boolean default false,
  sighted_ids jsonb default '[]'
) returns table (external_id text, verdict text, booking_id bigint, changes jsonb, error jsonb)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  run sync.runs;
  verdicts sync.snapshot_verdict[];
begin
  -- PT and an HTTP status: codes that the API hands on to its caller.
  select * into run from sync.runs r where r.id = checkpoint_run.run_id for update;
  if run.id is null or run.status <> 'running' or run.lease_token is distinct from checkpoint_run.lease_token then
    raise exception 'Cannot checkpoint run %: another worker has taken it over', checkpoint_run.run_id
      using errcode = 'PT409';
  end if;
  -- A paused connection takes no page, so the run must not get past one (invariant 14).
  if exists (select from sync.connections c
             where c.organization_id = run.organization_id and c.source = run.source
               and (c.paused_at is not null or not c.enabled)) then
    raise exception 'Cannot checkpoint run %: its connection is paused', checkpoint_run.run_id
      using errcode = 'PT423';
  end if;
  -- One transaction with the page: a run that dies goes on exactly after what it applied.
  if run.mode = 'reconcile' then
    -- What a comparison locks it gives back when it is undone, and whoever waited stands in between.
    perform sync.lock_page(run.organization_id, run.source, checkpoint_run.snapshots);
    -- Also what could not be taken was there: only what was not listed at all is missing.
    insert into sync.sightings (run_id, external_id)
    select run.id, e.id from jsonb_array_elements_text(checkpoint_run.sighted_ids) e (id)
    on conflict do nothing;
    perform sync.record_drift(run, checkpoint_run.snapshots);
  end if;
  if run.mode <> 'reconcile' or run.parameters -> 'repair' = 'true' then
    verdicts := array(
      select row((row_number() over ())::integer, a.external_id, a.verdict, a.booking_id, a.changes, a.error)::sync.snapshot_verdict
      from public.apply_snapshots(run.organization_id, run.source,
        checkpoint_run.snapshots, run_id => run.id,
        force => checkpoint_run.force or run.mode = 'reconcile') a);
  end if;
  if run.mode = 'reconcile' and run.parameters -> 'repair' = 'true' then
    perform sync.repair_projections(run, checkpoint_run.snapshots);
  end if;
  -- The clock, not the transaction's begin: a page that took a minute is a sign of life.
  update sync.runs r set checkpoint = checkpoint_run.checkpoint,
    counters = sync.count_verdicts(checkpoint_run.counters, verdicts), heartbeat_at = clock_timestamp()
  where r.id = run.id;
  return query select v.external_id, v.verdict, v.booking_id, v.changes, v.error from unnest(verdicts) v order by v.ord;
end;
$$;

revoke all on function sync.lock_page(uuid, public.booking_source, jsonb) from public, anon, authenticated;
grant execute on function sync.lock_page(uuid, public.booking_source, jsonb) to service_role;
