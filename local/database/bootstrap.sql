-- What a hosted Supabase project has and a bare Postgres lacks: the request roles, the schemas
-- `auth`, `extensions` and `storage`, the helpers that RLS policies call, and the default privileges.
-- The one place of it: `task start`, the tests and the checks all run this file first.
-- Runs on PGlite and on Postgres 15 and later, any number of times. What a real project already
-- has is left as it is.

do $$
declare
  missing text;
begin
  foreach missing in array array['anon', 'authenticated', 'service_role', 'authenticator'] loop
    if not exists (select from pg_roles where rolname = missing) then
      begin
        execute format(
          'create role %I %s',
          missing,
          case missing
            when 'service_role' then 'nologin noinherit bypassrls'
            when 'authenticator' then 'nologin noinherit'
            else 'nologin noinherit'
          end
        );
      exception
        -- Roles belong to the cluster: another database of it may be bootstrapped at this moment.
        when duplicate_object or unique_violation then null;
      end;
    end if;
  end loop;
end;
$$;

do $$
begin
  -- The API switches to these roles; a superuser may anyway, anyone else must be a member.
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant anon, authenticated, service_role to %I', current_user);
  end if;
  if not pg_has_role('authenticator', 'service_role', 'member') then
    grant anon, authenticated, service_role to authenticator;
  end if;
exception
  when insufficient_privilege or unique_violation then null;
end;
$$;

create schema if not exists extensions;
create schema if not exists auth;

-- The caller as PostgREST states it: the claims as one JSON value, or one setting per claim in
-- the older form. Both are read, so that it does not matter which of the two the API sets.
do $$
begin
  if to_regprocedure('auth.jwt()') is null then
    create function auth.jwt() returns jsonb language sql stable as $function$
      select coalesce(
        nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')
      )::jsonb
    $function$;
  end if;

  if to_regprocedure('auth.uid()') is null then
    create function auth.uid() returns uuid language sql stable as $function$
      select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
      )::uuid
    $function$;
  end if;

  if to_regprocedure('auth.role()') is null then
    create function auth.role() returns text language sql stable as $function$
      select coalesce(
        nullif(current_setting('request.jwt.claim.role', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
      )
    $function$;
  end if;

  if to_regprocedure('auth.email()') is null then
    create function auth.email() returns text language sql stable as $function$
      select coalesce(
        nullif(current_setting('request.jwt.claim.email', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
      )
    $function$;
  end if;
end;
$$;

-- Storage's tables, as its policies see them: what a file is called, not what is in it.
create schema if not exists storage;

create table if not exists storage.buckets (
  id text primary key,
  name text not null unique,
  owner uuid,
  owner_id text,
  public boolean default false,
  avif_autodetection boolean default false,
  file_size_limit bigint,
  allowed_mime_types text[],
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);

create table if not exists storage.objects (
  id uuid primary key default gen_random_uuid(),
  bucket_id text references storage.buckets (id),
  name text,
  owner uuid,
  owner_id text,
  metadata jsonb,
  user_metadata jsonb,
  version text,
  path_tokens text[] generated always as (string_to_array(name, '/')) stored,
  created_at timestamptz default now(),
  updated_at timestamptz default now(),
  last_accessed_at timestamptz default now()
);

do $$
begin
  create unique index if not exists bucketid_objname on storage.objects (bucket_id, name);
  alter table storage.buckets enable row level security;
  alter table storage.objects enable row level security;
  if to_regprocedure('storage.foldername(text)') is null then
    create function storage.foldername(name text) returns text[] language sql immutable as $function$
      select (string_to_array(name, '/'))[1 : cardinality(string_to_array(name, '/')) - 1]
    $function$;
  end if;
  grant usage on schema storage to anon, authenticated, service_role;
  grant all on storage.buckets, storage.objects to anon, authenticated, service_role;
exception
  -- On a real project they belong to its storage service.
  when insufficient_privilege then null;
end;
$$;

-- What a hosted project publishes to open screens. Without logical replication nobody listens to it, of
-- which a bare Postgres would warn.
do $$
begin
  if not exists (select from pg_publication where pubname = 'supabase_realtime') then
    set local client_min_messages = error;
    create publication supabase_realtime;
  end if;
exception
  when insufficient_privilege then null;
end;
$$;

-- Grants of a hosted project. The default privileges are the generous ones on purpose: a table
-- without RLS, or a function that is not revoked, must show here as it would show there.
do $$
begin
  grant usage on schema public, auth, extensions to anon, authenticated, service_role;
  grant execute on all functions in schema auth to anon, authenticated, service_role;
  alter default privileges in schema public
    grant all on tables to anon, authenticated, service_role;
  alter default privileges in schema public
    grant all on functions to anon, authenticated, service_role;
  alter default privileges in schema public
    grant all on sequences to anon, authenticated, service_role;
exception
  -- On a real project `auth` belongs to somebody else, and all of this is in place.
  when insufficient_privilege then null;
end;
$$;
