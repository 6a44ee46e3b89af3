-- Not in the whole list: reported, never acted on. After the second sighting in a row the booking is
-- asked for alone, and only that answer may mark it missing.
create function sync.record_absences(run sync.runs) returns void
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

comment on function sync.record_absences(sync.runs) is
  'Reports the bookings that a complete reconcile run has not seen, and has those asked for alone that were missing twice in a row.';

-- Purpose: runs over a source, resumable at their checkpoint (invariants 11 to 13).

create function sync.open_run(
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

create function public.begin_run(
  organization_id uuid,
  source public.booking_source,
  mode text,
  parameters jsonb default '{}'
) returns table (
  run_id uuid, outcome text, lease_token uuid, checkpoint jsonb, counters jsonb, parameters jsonb,
  cursor timestamptz, started_at timestamptz
)
language sql
set search_path = ''
as $$
  select r.* from sync.open_run($1, $2, $3, $4) r
$$;

-- What a page's verdicts add to the counters of its run. In SQL, so that a run that dies right after
-- its checkpoint has counted the page that it applied.
create function sync.count_verdicts(counters jsonb, verdicts sync.snapshot_verdict[]) returns jsonb
language sql immutable
set search_path = ''
as $$
  select counters || jsonb_build_object(
    'verdicts', coalesce(counters -> 'verdicts', '{}') || coalesce((
      select jsonb_object_agg(n.verdict, n.count + coalesce((counters #>> array['verdicts', n.verdict])::bigint, 0))
      from (select v.verdict, count(*) as count from unnest(verdicts) v group by v.verdict) n), '{}'),
    'refused', coalesce((
      select jsonb_agg(r.item order by r.place)
      from (
        select e.item, e.place from jsonb_array_elements(coalesce(counters -> 'refused', '[]')) with ordinality e (item, place)
        union all
        select jsonb_build_object('external_id', v.external_id, 'code', v.error ->> 'code', 'field', v.error ->> 'field'),
          1000000 + v.ord
        from unnest(verdicts) v where v.verdict = 'invalid'
        order by 2 limit 50
      ) r), '[]'))
$$;

comment on function sync.count_verdicts(jsonb, sync.snapshot_verdict[]) is
  'The counters of a run with the verdicts of a page added: how many of each, and the first 50 bookings that were refused.';

create function public.checkpoint_run(
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

create function public.finish_run(
  run_id uuid,
  lease_token uuid,
  status text,
  checkpoint jsonb default null,
  counters jsonb default null,
  error jsonb default null
) returns table (finished boolean)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  run sync.runs;
begin
  if finish_run.status not in ('stopped', 'completed', 'failed') then
    raise exception 'Cannot finish run: status is %', finish_run.status using errcode = '22023';
  end if;
  update sync.runs r set status = finish_run.status,
    checkpoint = coalesce(finish_run.checkpoint, r.checkpoint),
    counters = coalesce(finish_run.counters, r.counters), error = finish_run.error,
    heartbeat_at = now(), lease_token = null,
    finished_at = case when finish_run.status <> 'stopped' then now() end
  where r.id = finish_run.run_id and r.status = 'running' and r.lease_token = finish_run.lease_token
  returning * into run;
  if run.id is null then
    return query select false;
    return;
  end if;
  if run.mode = 'reconcile' and run.status <> 'stopped' then
    if run.status = 'completed' and not run.parameters ?| array['start_date', 'end_date', 'since'] then
      perform sync.record_absences(run);
    end if;
    delete from sync.sightings g where g.run_id = run.id;
  end if;
  -- Only past what is applied, never backwards, and from when the run began (invariant 13). A run
  -- over a span of dates, or from a later instant than the cursor, proves nothing about the rest.
  if run.status = 'completed' and run.mode in ('incremental', 'full')
    and not run.parameters ?| array['start_date', 'end_date'] then
    update sync.connections c set cursor = run.started_at - interval '10 minutes', updated_at = now()
    where c.organization_id = run.organization_id and c.source = run.source
      and (c.cursor is null or c.cursor < run.started_at - interval '10 minutes')
      and (run.mode = 'full' or not run.parameters ? 'since'
        or coalesce((run.parameters ->> 'since')::timestamptz <= c.cursor, false));
  end if;
  return query select true;
end;
$$;

comment on function sync.open_run(uuid, public.booking_source, text, jsonb) is 'The work of begin_run.';
comment on function public.begin_run(uuid, public.booking_source, text, jsonb) is
  'Starts a run, or resumes the open one of the same kind at its checkpoint. outcome: started, resumed, busy (another worker is at it), paused, unknown_organization.';
comment on function public.checkpoint_run(uuid, uuid, jsonb, jsonb, jsonb, boolean, jsonb) is
  'Applies a page of a run and saves how far it got, in one transaction; without snapshots a sign of life. counters are those before the page, whose verdicts are added. sighted_ids are all ids of the page, the refused ones too. Fails with PT409 if another worker has taken the run over, with PT423 if the connection is paused.';
comment on function public.finish_run(uuid, uuid, text, jsonb, jsonb, jsonb) is
  'Ends a run (completed, failed) or lays it down (stopped) for another worker; finished is false if the lease was lost. A completed one moves the cursor.';

-- Purpose: what the runs ask before they begin and after they end: which connections there are,
-- which runs wait for somebody, what a reconcile run found.

create function public.list_connections(
  organization_id uuid default null,
  source public.booking_source default null,
  mode text default null
) returns table (
  organization_id uuid, source public.booking_source, enabled boolean, paused boolean,
  cursor timestamptz, last_started_at timestamptz
)
language sql stable
set search_path = ''
as $$
  select c.organization_id, c.source, c.enabled, c.paused_at is not null, c.cursor, r.started_at
  from sync.connections c
  left join lateral (
    select n.started_at from sync.runs n
    where n.organization_id = c.organization_id and n.source = c.source and ($3 is null or n.mode = $3)
    order by n.started_at desc
    limit 1
  ) r on true
  where ($1 is null or c.organization_id = $1) and ($2 is null or c.source = $2)
  order by r.started_at nulls first, c.organization_id, c.source
  limit 1000
$$;

comment on function public.list_connections(uuid, public.booking_source, text) is
  'Connections with their cursors, those whose last run of a mode lies furthest back first: whoever cannot do all in his time does the others next time.';

create function public.list_resumable_runs(max_runs integer default 20)
returns table (
  run_id uuid, organization_id uuid, source public.booking_source, mode text, parameters jsonb,
  status text, heartbeat_at timestamptz
)
language sql stable
set search_path = ''
as $$
  select r.id, r.organization_id, r.source, r.mode, r.parameters, r.status, r.heartbeat_at
  from sync.runs r
  join sync.connections c on c.organization_id = r.organization_id and c.source = r.source
  where c.enabled and c.paused_at is null
    and (r.status = 'stopped' and coalesce((r.checkpoint ->> 'retry_at')::timestamptz, '-infinity') <= now()
      or r.status = 'running' and r.heartbeat_at < now() - interval '60 seconds')
  order by r.heartbeat_at
  limit $1
$$;

comment on function public.list_resumable_runs(integer) is
  'Runs that were laid down at a checkpoint, unless the source asked to wait, and runs whose worker has died; longest idle first. Nothing of a paused connection.';

-- Whoever holds the connection decides, as in begin_run. Only then is it sure that the open run of
-- this kind is still this one, and no new one is begun by mistake.
create function sync.lock_open_run(run_id uuid) returns setof sync.runs
language plpgsql
set search_path = ''
as $$
begin
  perform from sync.connections c
  join sync.runs r on r.organization_id = c.organization_id and r.source = c.source
  where r.id = lock_open_run.run_id
  for no key update of c;
  return query select r.* from sync.runs r
    where r.id = lock_open_run.run_id and r.status in ('running', 'stopped');
end;
$$;

comment on function sync.lock_open_run(uuid) is 'The run, if it is still open, with its connection locked.';

create function public.resume_run(run_id uuid)
returns table (
  run_id uuid, outcome text, lease_token uuid, checkpoint jsonb, counters jsonb, parameters jsonb,
  cursor timestamptz, started_at timestamptz, organization_id uuid, source public.booking_source, mode text
)
language sql
set search_path = ''
as $$
  select o.*, r.organization_id, r.source, r.mode
  from sync.lock_open_run($1) r
  cross join lateral sync.open_run(r.organization_id, r.source, r.mode, r.parameters) o
$$;

comment on function public.resume_run(uuid) is
  'Takes up one run that is still open, as begin_run would; no row if it has ended meanwhile.';
