-- Purpose: the machinery: connections, inbox, source states, runs, held changes, drift, rules.
-- Private: no role but service_role reaches them, and it does so through the RPCs.

create table sync.connections (
  id bigint generated always as identity primary key,
  organization_id uuid not null references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  enabled boolean not null default true,
  paused_at timestamptz,
  pause_reason text,
  cursor timestamptz,
  cancel_budget integer not null default 20 constraint connections_cancel_budget_check check (cancel_budget >= 0),
  not_before date,
  last_delivery_at timestamptz,
  last_success_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint connections_organization_source_key unique (organization_id, source)
);

comment on table sync.connections is 'One organization''s link to one source.';
comment on column sync.connections.enabled is 'Owner: operator. False: not set up; deliveries are kept and wait.';
comment on column sync.connections.paused_at is 'Owner: pause_connection. Nothing is claimed while set (invariant 14).';
comment on column sync.connections.pause_reason is 'Owner: pause_connection.';
comment on column sync.connections.cursor is 'Proven synced up to here: our clock when the last complete run began, less the overlap (invariant 13).';
comment on column sync.connections.cancel_budget is 'Owner: operator. Departures from CONFIRMED let through per rolling hour (invariant 7).';
comment on column sync.connections.not_before is 'Owner: operator. Bookings whose last day is before this are left to history.';
comment on column sync.connections.last_delivery_at is 'When a delivery last arrived, to within ten seconds.';
comment on column sync.connections.last_success_at is 'When a statement of this source last changed something, to within ten seconds.';

create function sync.create_connections() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into sync.connections (organization_id, source)
  select new.id, s.source from unnest(enum_range(null::public.booking_source)) as s (source)
  on conflict do nothing;
  return null;
end;
$$;

comment on function sync.create_connections() is
  'Trigger: a new organization gets a connection to every source. Definer: organizations are made by people who cannot see sync.';
revoke all on function sync.create_connections() from public, anon, authenticated;

create trigger organizations_create_connections
  after insert on public.organizations
  for each row execute function sync.create_connections();

create table sync.deliveries (
  id uuid primary key default gen_random_uuid(),
  connection_id bigint references sync.connections (id),
  function text not null,
  dedupe_key text not null,
  duplicate_of uuid references sync.deliveries (id) on delete set null,
  replay_of uuid references sync.deliveries (id) on delete set null,
  event_type text,
  external_id text,
  event_timestamp text,
  received_at timestamptz not null default now(),
  headers jsonb not null default '{}',
  body jsonb,
  status text not null default 'pending'
    constraint deliveries_status_check
    check (status in ('pending', 'processing', 'succeeded', 'duplicate', 'stale', 'held', 'invalid', 'dead')),
  seq bigint,
  attempts integer not null default 0,
  next_attempt_at timestamptz,
  claimed_at timestamptz,
  claimed_seq bigint,
  leased_until timestamptz,
  lease_token uuid,
  last_error jsonb,
  result jsonb,
  finished_at timestamptz,
  constraint deliveries_queue_check check ((status in ('pending', 'processing')) = (finished_at is null)),
  constraint deliveries_lease_check check ((status = 'processing') = (lease_token is not null))
);

-- Same event twice is one delivery and its duplicates (invariant 2).
create unique index deliveries_dedupe_key on sync.deliveries (dedupe_key) where status <> 'duplicate';
-- One lane per booking: never two workers on one (invariant 5).
create unique index deliveries_lane_key on sync.deliveries (connection_id, external_id) where status = 'processing';
create index deliveries_due_idx on sync.deliveries (connection_id, next_attempt_at) where status = 'pending';
create index deliveries_lease_idx on sync.deliveries (leased_until) where status = 'processing';
create index deliveries_booking_idx on sync.deliveries (connection_id, external_id, received_at);
create index deliveries_received_at_idx on sync.deliveries (connection_id, received_at);
create index deliveries_dead_idx on sync.deliveries (connection_id) where status = 'dead';
create index deliveries_duplicate_of_idx on sync.deliveries (duplicate_of) where duplicate_of is not null;
create index deliveries_replay_of_idx on sync.deliveries (replay_of) where replay_of is not null;

comment on table sync.deliveries is 'The inbox: every authentic HTTP request as received, and what became of it.';
comment on column sync.deliveries.connection_id is 'The connection; null if the body named no organization that exists.';
comment on column sync.deliveries.function is 'The Edge Function that received it.';
comment on column sync.deliveries.dedupe_key is 'What makes two deliveries the same event; the delivery''s own id if the sender gives nothing.';
comment on column sync.deliveries.duplicate_of is 'The delivery that this one repeats.';
comment on column sync.deliveries.replay_of is 'The delivery that an operator had processed again.';
comment on column sync.deliveries.event_timestamp is 'Headout''s local time as text, compared only within one booking.';
comment on column sync.deliveries.headers is 'Request headers, credentials left out.';
comment on column sync.deliveries.body is 'The body as received; text that is not JSON under the key "text". Pruned after 90 days.';
comment on column sync.deliveries.seq is 'requested_seq of its booking when it was stored: its place in the lane.';
comment on column sync.deliveries.attempts is 'Times claimed.';
comment on column sync.deliveries.claimed_seq is 'requested_seq when it was claimed: a read that began after covers every delivery up to it.';
comment on column sync.deliveries.claimed_at is 'When it was last claimed: no read for it began earlier.';
comment on column sync.deliveries.leased_until is 'Until when its worker may finish it; then anybody may take it over.';
comment on column sync.deliveries.lease_token is 'Proof of the lease; set only while processing.';
comment on column sync.deliveries.last_error is '{ code, message, details, at } of the last attempt that failed.';
comment on column sync.deliveries.result is 'What processing it did, as answered to the sender.';

create table sync.source_states (
  organization_id uuid not null references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  external_id text not null,
  source_updated_at timestamptz,
  source_version bigint,
  content_hash text,
  fetched_at timestamptz,
  last_event_timestamp text,
  last_event_status text,
  requested_seq bigint not null default 0,
  processed_seq bigint not null default 0,
  missing_sightings integer not null default 0,
  missing_first_seen_at timestamptz,
  updated_at timestamptz not null default now(),
  primary key (organization_id, source, external_id),
  constraint source_states_seq_check check (processed_seq <= requested_seq)
);

comment on table sync.source_states is 'What we last knew of a booking at its source, also before the booking exists here.';
comment on column sync.source_states.source_updated_at is 'The source''s own revision time of the last applied statement.';
comment on column sync.source_states.source_version is 'The source''s own revision number of the last applied statement.';
comment on column sync.source_states.content_hash is 'Hash of the last applied content; null: compare with the rows.';
comment on column sync.source_states.fetched_at is 'When the read of the last applied statement began (invariant 4); for an event when it arrived.';
comment on column sync.source_states.last_event_timestamp is 'Headout''s local time of the newest event.';
comment on column sync.source_states.last_event_status is 'Headout''s status of the newest event; decides within one second.';
comment on column sync.source_states.requested_seq is 'Counts requests for a read; greater than processed_seq: a read is due (invariant 5).';
comment on column sync.source_states.processed_seq is 'The last request that a read has covered.';
comment on column sync.source_states.missing_sightings is 'Runs in a row that did not see the booking.';
comment on column sync.source_states.missing_first_seen_at is 'When it was first not seen.';

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
create index runs_organization_started_idx on sync.runs (organization_id, source, started_at desc);

comment on table sync.runs is 'One pass over a source: incremental, full or reconcile. At most one of a kind is open per connection.';
comment on column sync.runs.parameters is 'What the run was asked for: since, start_date, end_date, repair.';
comment on column sync.runs.checkpoint is 'How far it got; a later call goes on from here.';
comment on column sync.runs.counters is 'Pages, bookings, verdicts, bytes, times; grows with each checkpoint.';
comment on column sync.runs.heartbeat_at is 'Last sign of life; 60 s without one and another worker may resume the run.';

create table sync.sightings (
  run_id uuid not null references sync.runs (id) on delete cascade,
  external_id text not null,
  primary key (run_id, external_id)
);

comment on table sync.sightings is 'Which bookings a reconcile run has seen; emptied when the run ends.';

create table sync.held_changes (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  booking_id bigint not null,
  kind text not null,
  delivery_id uuid,
  run_id uuid,
  snapshot jsonb not null,
  held_at timestamptz not null default now(),
  released_at timestamptz,
  settled_at timestamptz,
  dismissed_at timestamptz,
  by text,
  reason text not null,
  constraint held_changes_end_check check (released_at is null or dismissed_at is null),
  constraint held_changes_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

-- A booking has at most one open hold; a newer statement replaces it.
create unique index held_changes_open_key on sync.held_changes (booking_id)
  where released_at is null and dismissed_at is null;
-- A released change passes the brake with the next fresh read.
create index held_changes_released_idx on sync.held_changes (booking_id)
  where released_at is not null and settled_at is null;
create index held_changes_organization_idx on sync.held_changes (organization_id, held_at);

comment on table sync.held_changes is 'Changes that the brake stopped until a person releases or dismisses them (invariant 7).';
comment on column sync.held_changes.kind is 'What was stopped: the status that the booking would have got.';
comment on column sync.held_changes.snapshot is 'The statement that was stopped.';
comment on column sync.held_changes.released_at is 'When a person let it pass; a fresh read then decides.';
comment on column sync.held_changes.settled_at is 'When that fresh read was applied.';
comment on column sync.held_changes.by is 'Who released or dismissed it; system if a newer statement did.';
comment on column sync.held_changes.reason is 'Why it was held, in words.';

create table sync.drift (
  run_id uuid not null references sync.runs (id) on delete cascade,
  external_id text not null,
  field text not null,
  booking_id bigint,
  theirs jsonb,
  ours jsonb,
  first_seen_at timestamptz not null default now(),
  cause text,
  repaired_at timestamptz,
  primary key (run_id, external_id, field)
);

comment on table sync.drift is 'Differences between source and database that a reconcile run found.';
comment on column sync.drift.cause is 'The likely cause: missed_webhook, held, planner_owned, stale, projection (our own derived row is off), missing_at_source.';

create table sync.projection_rules (
  id bigint generated always as identity primary key,
  organization_id uuid references public.organizations (id) on delete cascade,
  source public.booking_source,
  projection text not null
    constraint projection_rules_projection_check
    check (projection in ('calendar', 'warehouse', 'packing_project', 'packing_task')),
  kind text not null,
  anchor public.booking_phase,
  which text constraint projection_rules_which_check check (which in ('first', 'each', 'last')),
  day_offset integer not null default 0,
  start_time time,
  duration interval constraint projection_rules_duration_check check (duration > interval '0'),
  title_template text,
  rental_only_title_template text,
  sort_order integer not null default 0,
  enabled boolean not null default true,
  constraint projection_rules_key unique nulls not distinct (organization_id, source, projection, kind)
);

comment on table sync.projection_rules is
  'How projections are derived (design: Projections). A rule of an organization replaces the general one; one for its source replaces both.';
comment on column sync.projection_rules.organization_id is 'Null: for every organization.';
comment on column sync.projection_rules.source is 'Null: for every source.';
comment on column sync.projection_rules.anchor is 'The phase whose days count.';
comment on column sync.projection_rules.which is 'first, each or last day of that phase.';
comment on column sync.projection_rules.day_offset is 'Days after (before, if negative) that day.';
comment on column sync.projection_rules.start_time is 'Local wall clock.';
comment on column sync.projection_rules.duration is 'Wall clock: 08:00 plus 4 h is 12:00 on any day.';
comment on column sync.projection_rules.title_template is 'Text with {title}, {client} and {day}.';
comment on column sync.projection_rules.rental_only_title_template is 'The same for rental-only bookings; null: title_template.';

insert into sync.projection_rules
  (projection, kind, anchor, which, day_offset, start_time, duration, title_template,
   rental_only_title_template, sort_order)
values
  ('calendar', 'rig', 'rig', 'each', 0, '08:00', '4 hours', '{title} – {client}', 'Leverans UT – {title} – {client}', 1),
  ('calendar', 'event', 'event', 'each', 0, '08:00', '3 hours', '{title} – {client}', null, 2),
  ('calendar', 'rigdown', 'rigdown', 'each', 0, '08:00', '4 hours', '{title} – {client}', 'Retur IN – {title} – {client}', 3),
  ('warehouse', 'packing', 'rig', 'first', -4, '08:00', '3 hours', 'Packning - {client}', null, 1),
  ('warehouse', 'delivery', 'rig', 'first', 0, '07:00', '2 hours', 'Utleverans - {client}', null, 2),
  ('warehouse', 'event', 'event', 'first', 0, '09:00', '8 hours', 'Event - {client}', null, 3),
  ('warehouse', 'return', 'rigdown', 'each', 0, '17:00', '2 hours', 'Återleverans - {client}', null, 4),
  ('warehouse', 'inventory', 'rigdown', 'each', 1, '08:00', '2 hours', 'Inventering - {client}', null, 5),
  ('warehouse', 'unpacking', 'rigdown', 'each', 1, '10:00', '2 hours', 'Uppackning - {client}', null, 6),
  ('packing_project', 'project', 'event', 'first', 0, null, null, '{client} - {day}', null, 0),
  ('packing_task', 'pack', 'rig', 'first', -4, null, null, 'Packning', null, 1),
  ('packing_task', 'packed', 'rig', 'first', -1, null, null, 'Utrustning packad', null, 2),
  ('packing_task', 'delivered', 'rig', 'first', 0, null, null, 'Utleverans klarmarkerad', null, 3),
  ('packing_task', 'inventoried', 'rigdown', 'last', 1, null, null, 'Inventering efter event', null, 4),
  ('packing_task', 'unpacked', 'rigdown', 'last', 2, null, null, 'Uppackning klar', null, 5);

-- Headout bookings project a calendar event row and nothing else: no warehouse, no packing.
insert into sync.projection_rules
  (source, projection, kind, anchor, which, day_offset, start_time, duration, title_template, sort_order, enabled)
select 'headout', r.projection, r.kind, r.anchor, r.which, r.day_offset, r.start_time, r.duration,
  r.title_template, r.sort_order, r.projection = 'calendar' and r.kind = 'event'
from sync.projection_rules r
where r.source is null and r.organization_id is null;

alter table sync.connections enable row level security;
alter table sync.deliveries enable row level security;
alter table sync.source_states enable row level security;
alter table sync.runs enable row level security;
alter table sync.sightings enable row level security;
alter table sync.held_changes enable row level security;
alter table sync.drift enable row level security;
alter table sync.projection_rules enable row level security;

revoke all on all tables in schema sync from public, anon, authenticated;
grant select, insert, update, delete on all tables in schema sync to service_role;
grant usage, select on all sequences in schema sync to service_role;
