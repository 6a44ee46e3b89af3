-- Runs over a source: how one begins, saves how far it got, ends, and is resumed by another worker.
-- Rules: work is bounded and resumes; one booking stops nothing; the cursor moves only past what is
-- applied; pausing costs nothing.

create function sync.is_at_work(run sync.runs) returns boolean
language sql stable
set search_path = ''
as $$
  select run.status = 'running' and run.heartbeat_at > now() - interval '60 seconds'
$$;

comment on function sync.is_at_work(sync.runs) is
  'Whether a worker has the run: it is running and gave a sign of life within 60 s. A run of a dead worker is free.';

-- A worker that is writing a page has its run locked and may then need the connection, which the caller
-- holds. So this does not wait for it: a locked run is at work.
create function sync.take_open_run(organization_id uuid, source public.booking_source, mode text) returns sync.runs
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  run sync.runs;
begin
  select * into run from sync.runs r
  where r.organization_id = take_open_run.organization_id and r.source = take_open_run.source
    and r.mode = take_open_run.mode and r.status in ('running', 'stopped')
  for update skip locked;
  if run.id is not null and not sync.is_at_work(run) then
    update sync.runs r set status = 'running', lease_token = gen_random_uuid(), heartbeat_at = clock_timestamp()
    where r.id = run.id returning * into run;
    return run;
  end if;

  select * into run from sync.runs r
  where r.organization_id = take_open_run.organization_id and r.source = take_open_run.source
    and r.mode = take_open_run.mode and r.status in ('running', 'stopped');
  run.lease_token := null;
  return run;
end;
$$;

comment on function sync.take_open_run(uuid, public.booking_source, text) is
  'The open run of a kind, leased to the caller if no worker has it, else without lease_token; nulls if no run of the kind is open.';

create type sync.opened_run as (
  run_id uuid,
  outcome text,
  lease_token uuid,
  checkpoint jsonb,
  counters jsonb,
  parameters jsonb,
  cursor timestamptz,
  started_at timestamptz
);

comment on type sync.opened_run is 'A run as begin_run hands it to a worker; lease_token only if the worker has it now.';

create function sync.open_run(
  organization_id uuid, source public.booking_source, mode text, parameters jsonb
) returns sync.opened_run
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  connection sync.connections;
  run sync.runs;
  opened sync.opened_run;
begin
  -- Locked: of two starts at the same moment one begins, and the other finds its run.
  select * into connection from sync.connections c
  where c.organization_id = open_run.organization_id and c.source = open_run.source for no key update;
  opened.outcome := case when connection.id is null then 'unknown_organization'
    when connection.paused_at is not null or not connection.enabled then 'paused' end;
  if opened.outcome is not null then
    return opened;
  end if;

  run := sync.take_open_run(open_run.organization_id, open_run.source, open_run.mode);
  if run.id is null then
    opened.outcome := 'started';
    insert into sync.runs (organization_id, source, mode, parameters, lease_token)
    values (open_run.organization_id, open_run.source, open_run.mode, coalesce(open_run.parameters, '{}'), gen_random_uuid())
    returning * into run;
  else
    opened.outcome := case when run.lease_token is null then 'busy' else 'resumed' end;
  end if;

  opened.run_id := run.id;
  opened.lease_token := run.lease_token;
  opened.checkpoint := run.checkpoint;
  opened.counters := run.counters;
  opened.parameters := run.parameters;
  opened.cursor := connection.cursor;
  opened.started_at := run.started_at;
  return opened;
end;
$$;

comment on function sync.open_run(uuid, public.booking_source, text, jsonb) is 'Does what begin_run promises.';

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
  select r.* from sync.open_run(begin_run.organization_id, begin_run.source, begin_run.mode, begin_run.parameters) r
$$;

comment on function public.begin_run(uuid, public.booking_source, text, jsonb) is
  'Starts a run, or resumes the open one of the same kind at its checkpoint. outcome: started, resumed, busy (another worker has it), paused, unknown_organization.';

-- In SQL, so that a run that dies right after its checkpoint has counted the page that it applied.
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
  'The counters of a run plus the verdicts of a page: how many of each, and the first 50 bookings that were refused.';

-- PT and an HTTP status: codes that the API passes on to its caller.
create function sync.hold_run(run_id uuid, lease_token uuid) returns sync.runs
language plpgsql
set search_path = ''
as $$
declare
  run sync.runs;
begin
  select * into run from sync.runs r where r.id = hold_run.run_id for update;
  if run.id is null or run.status <> 'running' or run.lease_token is distinct from hold_run.lease_token then
    raise exception 'Cannot checkpoint run %: another worker has taken it over', hold_run.run_id
      using errcode = 'PT409';
  end if;
  if exists (select from sync.connections c
             where c.organization_id = run.organization_id and c.source = run.source
               and (c.paused_at is not null or not c.enabled)) then
    raise exception 'Cannot checkpoint run %: its connection is paused', hold_run.run_id
      using errcode = 'PT423';
  end if;
  return run;
end;
$$;

comment on function sync.hold_run(uuid, uuid) is
  'Locks a run for the worker that has its lease. Fails if the lease is lost, and if the connection is paused: a page that is not taken must not be passed (rule: pausing costs nothing).';

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
  run constant sync.runs := sync.hold_run(checkpoint_run.run_id, checkpoint_run.lease_token);
  compares constant boolean := run.mode = 'reconcile';
  applies constant boolean := not compares or run.parameters -> 'repair' is distinct from 'false';
  verdicts sync.snapshot_verdict[];
begin
  if compares then
    -- Before the comparison, which gives back its own locks when it is undone: nobody comes in between.
    perform sync.lock_page(run.organization_id, run.source, checkpoint_run.snapshots);
    perform sync.record_sightings(run.id, checkpoint_run.snapshots, checkpoint_run.sighted_ids);
    perform sync.record_drift(run, checkpoint_run.snapshots);
  end if;
  if applies then
    verdicts := array(
      select row(n.*)::sync.snapshot_verdict
      from (
        select a.ord::integer as ord, a.external_id, a.verdict, a.booking_id, a.changes, a.error, a.warnings
        from public.apply_snapshots(run.organization_id, run.source, checkpoint_run.snapshots, run_id => run.id,
          force => checkpoint_run.force or compares and coalesce(run.parameters -> 'repair' = 'true', false),
          compares => compares)
          with ordinality a (external_id, verdict, booking_id, changes, error, warnings, ord)
      ) n);
  end if;
  if compares and applies then
    perform sync.repair_projections(run, checkpoint_run.snapshots);
  end if;
  -- In one transaction with the page: a run that dies resumes exactly after what it applied. By the clock,
  -- not by the start of the transaction: a page that took a minute is a sign of life.
  update sync.runs r set checkpoint = checkpoint_run.checkpoint,
    counters = sync.count_verdicts(checkpoint_run.counters, verdicts), heartbeat_at = clock_timestamp()
  where r.id = run.id;
  return query select v.external_id, v.verdict, v.booking_id, v.changes, v.error from unnest(verdicts) v order by v.ord;
end;
$$;

comment on function public.checkpoint_run(uuid, uuid, jsonb, jsonb, jsonb, boolean, jsonb) is
  'Applies a page of a run and saves how far the run got, in one transaction; without snapshots it is a sign of life. counters are those before the page; its verdicts are added. sighted_ids are all ids of the page, including refused ones. Fails with PT409 if another worker has taken the run over, with PT423 if the connection is paused.';

-- A run over a span of dates, or from a later moment than the cursor, proves nothing about the rest.
create function sync.move_cursor(run sync.runs) returns void
language sql
set search_path = ''
as $$
  update sync.connections c set cursor = n.cursor, updated_at = now()
  -- Less an overlap, for what the source may have listed late.
  from (select run.started_at - interval '10 minutes') n (cursor)
  where run.mode in ('incremental', 'full') and not run.parameters ?| array['start_date', 'end_date']
    and c.organization_id = run.organization_id and c.source = run.source
    and (c.cursor is null or c.cursor < n.cursor)
    and (run.mode = 'full' or not run.parameters ? 'since'
      or coalesce((run.parameters ->> 'since')::timestamptz <= c.cursor, false))
$$;

comment on function sync.move_cursor(sync.runs) is
  'Moves the cursor to when a completed run began, never backwards (rule: the cursor moves only past what is applied).';

create function sync.finish_sightings(run sync.runs) returns void
language plpgsql
set search_path = ''
as $$
begin
  if run.status = 'completed' and not run.parameters ?| array['start_date', 'end_date', 'since'] then
    perform sync.record_absences(run);
  end if;
  delete from sync.sightings g where g.run_id = run.id;
end;
$$;

comment on function sync.finish_sightings(sync.runs) is
  'Ends a reconcile run: one that read the whole list reports absences. Sightings are then dropped.';

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
    perform sync.finish_sightings(run);
  end if;
  if run.status = 'completed' then
    perform sync.move_cursor(run);
  end if;
  return query select true;
end;
$$;

comment on function public.finish_run(uuid, uuid, text, jsonb, jsonb, jsonb) is
  'Ends a run (completed, failed) or stops it at a checkpoint for another worker (stopped). finished is false if the lease was lost. A completed run moves the cursor.';

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
    where n.organization_id = c.organization_id and n.source = c.source
      and (list_connections.mode is null or n.mode = list_connections.mode)
    order by n.started_at desc
    limit 1
  ) r on true
  where (list_connections.organization_id is null or c.organization_id = list_connections.organization_id)
    and (list_connections.source is null or c.source = list_connections.source)
  order by r.started_at nulls first, c.organization_id, c.source
  limit 1000
$$;

comment on function public.list_connections(uuid, public.booking_source, text) is
  'Connections with their cursors. Those whose last run of a mode began longest ago come first, so a caller who runs out of time reaches the others next time.';

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
      or r.status = 'running' and not sync.is_at_work(r))
  order by r.heartbeat_at
  limit list_resumable_runs.max_runs
$$;

comment on function public.list_resumable_runs(integer) is
  'Runs that were stopped at a checkpoint, unless the source asked to wait, and runs whose worker has died; longest idle first. None of a paused connection.';

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

comment on function sync.lock_open_run(uuid) is
  'A run, if it is still open, with its connection locked, so that no other run of its kind can begin.';

create function public.resume_run(run_id uuid)
returns table (
  run_id uuid, outcome text, lease_token uuid, checkpoint jsonb, counters jsonb, parameters jsonb,
  cursor timestamptz, started_at timestamptz, organization_id uuid, source public.booking_source, mode text
)
language sql
set search_path = ''
as $$
  select o.*, r.organization_id, r.source, r.mode
  from sync.lock_open_run(resume_run.run_id) r
  cross join lateral sync.open_run(r.organization_id, r.source, r.mode, r.parameters) o
$$;

comment on function public.resume_run(uuid) is
  'Resumes one run that is still open, as begin_run would; no row if it has ended meanwhile.';
