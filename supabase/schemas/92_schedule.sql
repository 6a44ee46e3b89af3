-- When import-bookings is called: pg_cron keeps the time, pg_net makes the call, the Vault holds the URL
-- and the key. Local stacks have a ticker instead.
-- Nothing is scheduled on a database without pg_cron, pg_net or the Vault; `select sync.schedule_jobs()`
-- does it later. Calls fail until the Vault has the secrets booking_sync_url (https://<ref>.supabase.co)
-- and booking_sync_key (a secret key or the service role key); cron.job_run_details says why.

-- Queries are text because pg_net and the Vault need not exist.
create function sync.call_import_bookings(sync_mode text) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  url text;
  key text;
  request_id bigint;
begin
  if to_regclass('vault.decrypted_secrets') is null or to_regnamespace('net') is null then
    raise exception 'Cannot call import-bookings: pg_net or the Vault is not installed';
  end if;
  execute format('select (select s.decrypted_secret from %1$s s where s.name = ''booking_sync_url''),
    (select s.decrypted_secret from %1$s s where s.name = ''booking_sync_key'')', to_regclass('vault.decrypted_secrets'))
  into url, key;
  if coalesce(url, '') = '' or coalesce(key, '') = '' then
    raise exception 'Cannot call import-bookings: the Vault has no secret booking_sync_url or booking_sync_key'
      using hint = 'select vault.create_secret(''https://<ref>.supabase.co'', ''booking_sync_url'');';
  end if;
  -- Waits as long as a run may take; the answer stays in net._http_response for a while.
  execute format('select %s.http_post(url := $1, body := $2, headers := $3, timeout_milliseconds := 150000)', to_regnamespace('net'))
  into request_id
  using rtrim(btrim(url), '/') || '/functions/v1/import-bookings', jsonb_build_object('syncMode', call_import_bookings.sync_mode),
    -- New secret keys are not JWTs and go in apikey only.
    jsonb_build_object('content-type', 'application/json', 'apikey', btrim(key))
      || case when btrim(key) like 'sb\_%' then '{}'::jsonb
        else jsonb_build_object('authorization', 'Bearer ' || btrim(key)) end;
  return request_id;
end;
$$;

comment on function sync.call_import_bookings(text) is
  'Calls import-bookings through pg_net with URL and key from the Vault; returns pg_net''s request id.';

create function sync.schedule_jobs() returns boolean
language plpgsql
set search_path = ''
as $$
declare
  job record;
begin
  if to_regnamespace('cron') is null or to_regnamespace('net') is null
    or to_regclass('vault.decrypted_secrets') is null then
    return false;
  end if;
  for job in
    select * from (values
      ('booking-sync-drain', '* * * * *', 'select sync.call_import_bookings(''drain'')'),
      ('booking-sync-incremental', '*/5 * * * *', 'select sync.call_import_bookings(''incremental'')'),
      ('booking-sync-reconcile', '15 1 * * *', 'select sync.call_import_bookings(''reconcile'')'),
      -- One bounded batch a minute, for an hour.
      ('booking-sync-prune', '* 3 * * *', 'select * from public.prune_deliveries()')
    ) as j (name, schedule, command)
  loop
    -- A job of the same name is replaced.
    execute format('select %s.schedule($1, $2, $3)', to_regnamespace('cron')) using job.name, job.schedule, job.command;
  end loop;
  return true;
end;
$$;

comment on function sync.schedule_jobs() is
  'Schedules drain (every minute), incremental (every five), reconcile and pruning (nightly, UTC) with pg_cron; false if pg_cron, pg_net or the Vault is missing. May be called again.';

do $$
begin
  if (select count(*) from pg_available_extensions e where e.name in ('pg_cron', 'pg_net', 'supabase_vault')) < 3 then
    return;
  end if;
  begin
    create extension if not exists supabase_vault;
    create extension if not exists pg_net with schema extensions;
    create extension if not exists pg_cron;
    perform sync.schedule_jobs();
  exception when others then
    -- Available but not usable: not preloaded, in another database, or not permitted.
    raise warning 'Cannot schedule the jobs of the booking sync: %', sqlerrm
      using hint = 'Enable pg_cron, pg_net and the Vault, then: select sync.schedule_jobs();';
  end;
end;
$$;
