-- Tenants and their members. Every domain table names its organization, and a row never changes it.
-- Rules: identity is organization, source and external id (there is no default organization); local times
-- use the organization's zone.
-- Needs auth.uid(), which Supabase has and the local bootstrap makes.

create table public.organizations (
  id uuid primary key default gen_random_uuid(),
  name text not null constraint organizations_name_check check (name <> ''),
  time_zone text not null default 'Europe/Stockholm',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

comment on table public.organizations is 'A tenant: one rental company with its own connections, rules and time zone.';
comment on column public.organizations.id is 'A uuid, because outsiders see it (webhook bodies).';
comment on column public.organizations.name is 'Owner: operator.';
comment on column public.organizations.time_zone is
  'Owner: operator. IANA zone of the wall-clock times of bookings (rule: local times use the organization''s zone).';
comment on column public.organizations.created_at is 'When the row was made.';
comment on column public.organizations.updated_at is 'When the row last changed.';

-- A zone that Postgres does not know would make every projection of the organization fail.
create function sync.check_time_zone() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.time_zone <> 'UTC' and (
    new.time_zone !~ '^(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)/'
    or not exists (select from pg_catalog.pg_timezone_names z where z.name = new.time_zone)) then
    raise exception 'Cannot set time_zone: % is not a place in the IANA time zone database', new.time_zone
      using errcode = '22023', hint = 'Use a name such as Europe/Stockholm, or UTC.';
  end if;
  return new;
end;
$$;

comment on function sync.check_time_zone() is 'Trigger: refuses a time zone that is no place: UTC+2 and Etc/GMT-2 mean the opposite of what people think, EST5EDT what nobody remembers.';

-- Looking a zone up reads all of them, so the default is not.
create trigger organizations_check_time_zone
  before insert or update of time_zone on public.organizations
  for each row when (new.time_zone <> 'Europe/Stockholm') execute function sync.check_time_zone();

create table public.organization_members (
  organization_id uuid not null references public.organizations (id) on delete cascade,
  user_id uuid not null,
  role text not null default 'member'
    constraint organization_members_role_check check (role in ('owner', 'planner', 'packer', 'member')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (organization_id, user_id)
);

create index organization_members_user_id_idx on public.organization_members (user_id);

comment on table public.organization_members is 'Which signed-in users belong to which organization.';
comment on column public.organization_members.organization_id is 'The organization.';
comment on column public.organization_members.user_id is 'The user, as auth.uid() gives it.';
comment on column public.organization_members.role is 'Owner: operator. What the member does; all members read the same.';
comment on column public.organization_members.created_at is 'When the row was made.';
comment on column public.organization_members.updated_at is 'When the row last changed.';
