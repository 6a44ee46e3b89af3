-- The schema sync and the words that all files share: sources, statuses, phases, row changes, URL keys.
-- Runs on Postgres 15 and later without extensions. The API does not expose sync: its tables are private,
-- and the functions in public are the interface.

create schema sync;

comment on schema sync is
  'Machinery of the booking sync: inbox, source states, runs, rules. Private; the functions in public are its interface.';

create type public.booking_source as enum ('eventflow', 'headout');

create type public.booking_status as enum ('OFFER', 'PENDING', 'CONFIRMED', 'CANCELLED', 'REJECTED');

create type public.booking_phase as enum ('rig', 'event', 'rigdown');

comment on type public.booking_source is 'The outside system that a booking comes from. A third source is one more value.';
comment on type public.booking_status is
  'Our status of a booking. Only CONFIRMED bookings have active projections.';
comment on type public.booking_phase is 'Part of an event rental: rig (build), event, rigdown (dismantle).';

create function sync.touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

comment on function sync.touch_updated_at() is 'Trigger: sets updated_at on a row that a person changed.';

create type sync.row_change as (
  booking_id bigint,
  table_name text,
  key text,
  operation text,
  fields jsonb
);

comment on type sync.row_change is
  'One row that was written: operation created, updated or marked_missing; fields { name: [old, new] }, "*" for a whole new row. Answers, dry runs and booking_history are made of these.';

create function sync.changed_fields(old_row jsonb, new_row jsonb) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  select coalesce(jsonb_object_agg(n.key, jsonb_build_array(old_row -> n.key, n.value)), '{}')
  from jsonb_each(new_row) n
  where old_row ? n.key and n.value is distinct from old_row -> n.key
    and n.key not in ('id', 'organization_id', 'booking_id', 'created_at', 'updated_at', 'parent_id')
$$;

comment on function sync.changed_fields(jsonb, jsonb) is
  'The fields in which two rows (to_jsonb) differ, as { name: [old, new] }. Compares all columns, so none is forgotten (incident: changed times unnoticed).';

-- Without a query nothing is to be dropped: nearly always.
create function sync.url_key(url text, with_cache boolean default false) returns text
language plpgsql immutable parallel safe
set search_path = ''
as $$
declare
  plain constant text := split_part(url, '#', 1);
  dropped constant text := '^(x-amz-.*|x-goog-.*|token|key|expires|signature|key-pair-id|policy|sig|se|sp|sv|sr|st|spr'
    || case when with_cache then '' else '|t|v|cb|_' end || ')$';
  kept text;
begin
  if strpos(plain, '?') = 0 then
    return plain;
  end if;
  select string_agg(p.part, '&' order by p.place) into kept
  from regexp_split_to_table(substr(plain, strpos(plain, '?') + 1), '&') with ordinality p (part, place)
  where p.part <> '' and split_part(p.part, '=', 1) !~* dropped;
  return split_part(plain, '?', 1) || coalesce('?' || kept, '');
end;
$$;

comment on function sync.url_key(text, boolean) is
  'The identity of a URL: without fragment and the query parameters that sign it, which change on every read (incident: attachments multiplied by tokens), and without those that get past caches unless with_cache. The same rule as urlKey() in the functions.';

-- Taking URLs apart is the dear part of it, so equal ones are not.
create function sync.is_same_url(url text, other text) returns boolean
language plpgsql immutable parallel safe
set search_path = ''
as $$
begin
  return case when url = other then true
    when url is null or other is null then false
    else sync.url_key(url) = sync.url_key(other) end;
end;
$$;

comment on function sync.is_same_url(text, text) is 'Whether two URLs are of one file (sync.url_key); false if one of them is missing.';

create function sync.describe_instant(at timestamptz) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select to_char(describe_instant.at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
$$;

comment on function sync.describe_instant(timestamptz) is 'A moment as "2026-05-01 08:30:00 UTC".';
