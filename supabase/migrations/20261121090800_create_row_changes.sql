-- Purpose: how the writers below say what they did, in one shape, from which the answer of
-- apply_snapshots, its dry run and booking_history are made.

create type sync.row_change as (
  booking_id bigint,
  table_name text,
  key text,
  operation text,
  fields jsonb
);

comment on type sync.row_change is
  'One row that was written: operation created, updated or marked_missing; fields { name: [old, new] }, "*" for a whole new row.';

create function sync.changed_fields(old_row jsonb, new_row jsonb) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  select coalesce(jsonb_object_agg(n.key, jsonb_build_array(o.value, n.value)), '{}')
  from jsonb_each(new_row) n
  join jsonb_each(old_row) o on o.key = n.key
  where n.value is distinct from o.value
    and n.key not in ('id', 'organization_id', 'booking_id', 'created_at', 'updated_at', 'parent_id')
$$;

comment on function sync.changed_fields(jsonb, jsonb) is
  'The fields in which two rows (to_jsonb) differ, as { name: [old, new] }. Compares all columns, so none can be forgotten.';

create function sync.url_key(url text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select split_part(split_part(url, '#', 1), '?', 1)
$$;

comment on function sync.url_key(text) is 'A URL''s identity: without query and fragment, whose tokens change on every read.';

revoke all on function sync.changed_fields(jsonb, jsonb), sync.url_key(text) from public, anon, authenticated;
grant execute on function sync.changed_fields(jsonb, jsonb), sync.url_key(text) to service_role;
