-- Connections: one organization's link to one source, with its cursor and its brake.
-- Rules: pausing costs nothing; the cursor moves only past what is applied.

create table sync.connections (
  id bigint generated always as identity primary key,
  organization_id uuid not null references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  enabled boolean not null default true,
  paused_at timestamptz,
  pause_reason text,
  cursor timestamptz,
  cancel_budget integer not null default 20 constraint connections_cancel_budget_check check (cancel_budget >= 0),
  absence_budget integer not null default 500 constraint connections_absence_budget_check check (absence_budget >= 0),
  absence_confirm_after interval not null default '2 minutes',
  absence_confirm_slow interval not null default '15 minutes',
  agreement_waits interval[] not null default '{10 seconds,1 minute,5 minutes}'
    constraint connections_agreement_waits_check check (cardinality(agreement_waits) > 0),
  agreement_pause interval not null default '1 minute',
  event_stands_for interval not null default '1 minute',
  contradictions_apart interval not null default '10 seconds',
  freshness_reads_per_minute integer not null default 20
    constraint connections_freshness_reads_check check (freshness_reads_per_minute >= 0),
  freshness_swept_at timestamptz,
  freshness_claimed_at timestamptz,
  not_before date,
  project_statuses public.booking_status[] not null default '{CONFIRMED}'
    constraint connections_project_statuses_check
    check ('CONFIRMED' = any (project_statuses) and project_statuses <@ '{CONFIRMED,PENDING}'),
  last_delivery_at timestamptz,
  last_success_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint connections_organization_source_key unique (organization_id, source)
);

comment on table sync.connections is 'One organization''s link to one source.';
comment on column sync.connections.enabled is 'Owner: operator. False: not set up yet; deliveries are kept and wait.';
comment on column sync.connections.paused_at is 'Owner: pause_connection. While it is set nothing is claimed (rule: pausing costs nothing).';
comment on column sync.connections.pause_reason is 'Owner: pause_connection.';
comment on column sync.connections.cursor is 'Owner: finish_run. Proven synced up to here: our clock when the last complete run began, less an overlap (rule: the cursor moves only past what is applied).';
comment on column sync.connections.cancel_budget is 'Owner: operator. Departures from CONFIRMED that pass in a rolling hour; the brake holds the rest (rule: cancelling takes a positive statement).';
comment on column sync.connections.absence_budget is 'Owner: operator. Days, products and files that may go missing in a rolling hour; the brake holds the rest.';
comment on column sync.connections.absence_confirm_after is 'Owner: operator. How long after the first sighting of an absence a read may confirm it.';
comment on column sync.connections.absence_confirm_slow is 'Owner: operator. The same for the last of three reads of days whose revision did not rise.';
comment on column sync.connections.agreement_waits is 'Owner: operator. How long to wait before each further read while a sender''s word and the read differ.';
comment on column sync.connections.agreement_pause is 'Owner: operator. A booking starts at most one such series of reads in this time.';
comment on column sync.connections.event_stands_for is 'Owner: operator. How long an event of Headout stands against any read.';
comment on column sync.connections.contradictions_apart is 'Owner: operator. How far apart two single reads must begin to outweigh an event of Headout after that.';
comment on column sync.connections.freshness_reads_per_minute is 'Owner: operator. Reads for freshness in a rolling minute at most; 0: none.';
comment on column sync.connections.freshness_swept_at is 'When it was last decided which bookings are kept fresh.';
comment on column sync.connections.freshness_claimed_at is 'When reads for freshness were last handed out; connections take turns.';
comment on column sync.connections.not_before is 'Owner: operator. Bookings whose last day is before this, and that are not stored yet, are skipped.';
comment on column sync.connections.project_statuses is 'Owner: operator. Bookings with these statuses have calendar, warehouse and packing rows: CONFIRMED, and PENDING if wanted. After a change call project_bookings.';
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
  'Trigger: a new organization gets a connection to every source. Definer: the people who create organizations cannot write to sync.';

create trigger organizations_create_connections
  after insert on public.organizations
  for each row execute function sync.create_connections();

-- Headout cannot name an organization.
create function sync.resolve_connection(organization_id uuid, source public.booking_source)
returns sync.connections
language sql stable
set search_path = ''
as $$
  select c.* from sync.connections c
  where c.source = resolve_connection.source
    and case when resolve_connection.organization_id is not null
      then c.organization_id = resolve_connection.organization_id
      else c.source = 'headout' and c.enabled and 1 = (
        select count(*) from sync.connections o where o.source = 'headout' and o.enabled)
    end
$$;

comment on function sync.resolve_connection(uuid, public.booking_source) is
  'The connection that a delivery belongs to. For Headout without an organization it is the enabled Headout connection, if there is exactly one. Otherwise nulls.';
