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

create trigger organizations_create_connections
  after insert on public.organizations
  for each row execute function sync.create_connections();

-- Purpose: the front door. Stores a delivery before anything is acknowledged (invariant 1), tells
-- duplicates (invariant 2), and hands out the booking's lane if it is free (invariant 5).

-- The connection that a delivery belongs to. Headout cannot name an organization: without one, the
-- only enabled Headout connection is meant; if there are several, nobody can tell.
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
  'The connection of an organization to a source; for Headout without an organization the only enabled one; else nulls.';
