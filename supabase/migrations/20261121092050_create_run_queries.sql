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

create index runs_open_idx on sync.runs (heartbeat_at) where status in ('running', 'stopped');

create function public.count_drift(run_id uuid)
returns table (cause text, fields bigint, bookings bigint, repaired bigint)
language sql stable
set search_path = ''
as $$
  select d.cause, count(*), count(distinct d.external_id), count(d.repaired_at)
  from sync.drift d
  where d.run_id = $1
  group by d.cause
  order by d.cause
$$;

comment on function public.count_drift(uuid) is
  'How many fields of how many bookings differ by cause, and how many of those fields were repaired.';

revoke all on function sync.lock_open_run(uuid), public.list_connections(uuid, public.booking_source, text),
  public.list_resumable_runs(integer), public.resume_run(uuid), public.count_drift(uuid)
  from public, anon, authenticated;
grant execute on function sync.lock_open_run(uuid), public.list_connections(uuid, public.booking_source, text),
  public.list_resumable_runs(integer), public.resume_run(uuid), public.count_drift(uuid)
  to service_role;
