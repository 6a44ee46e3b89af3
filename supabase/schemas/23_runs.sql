-- Runs: passes over a source that save how far they got. What they do stands in 70_runs.sql.
-- Rules: work is bounded and resumes.

create table sync.runs (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  mode text not null constraint runs_mode_check check (mode in ('incremental', 'full', 'reconcile')),
  status text not null default 'running'
    constraint runs_status_check check (status in ('running', 'stopped', 'completed', 'failed')),
  parameters jsonb not null default '{}',
  checkpoint jsonb not null default '{}',
  counters jsonb not null default '{}',
  error jsonb,
  lease_token uuid,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  finished_at timestamptz
);

create unique index runs_open_key on sync.runs (organization_id, source, mode) where status in ('running', 'stopped');

create index runs_open_idx on sync.runs (heartbeat_at) where status in ('running', 'stopped');

create index runs_organization_started_idx on sync.runs (organization_id, source, started_at desc);

comment on table sync.runs is 'One pass over a source: incremental, full or reconcile. A connection has at most one open run of each mode.';
comment on column sync.runs.parameters is 'What was asked for: since, start_date, end_date, repair (absent: what the source states is applied; false: only reported; true: older revisions too, and what is absent is read).';
comment on column sync.runs.checkpoint is 'How far it got; the run resumes here.';
comment on column sync.runs.counters is 'Pages, bookings, verdicts, bytes, times; they grow with each checkpoint.';
comment on column sync.runs.heartbeat_at is 'Last sign of life; after 60 s without one another worker may resume the run (see sync.is_at_work).';

create table sync.sightings (
  run_id uuid not null references sync.runs (id) on delete cascade,
  external_id text not null,
  primary key (run_id, external_id)
);

comment on table sync.sightings is 'Which bookings a reconcile run has seen; deleted when the run ends.';
