-- What every table of the product must have, whatever it is for.
begin;
select plan(11);

select is_empty($$
  select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('public', 'sync') and c.relkind = 'r' and not c.relrowsecurity
$$, 'row level security is on for every table');

select is_empty($$
  select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('public', 'sync') and c.relkind = 'r' and obj_description(c.oid, 'pg_class') is null
$$, 'every table says what it is');

select is_empty($$
  select c.relname || '.' || a.attname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where n.nspname = 'public' and c.relkind = 'r' and col_description(c.oid, a.attnum) is null
$$, 'every public column says what it is');

select is_empty($$
  select n.nspname || '.' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname in ('public', 'sync') and obj_description(p.oid, 'pg_proc') is null
$$, 'every function says what it does');

select is_empty($$
  select n.nspname || '.' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname in ('public', 'sync')
    and not coalesce(p.proconfig, '{}') && array['search_path=""', 'search_path=']
$$, 'every function has an empty search path');

select is_empty($$
  select n.nspname || '.' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname in ('public', 'sync') and (
    has_function_privilege('anon', p.oid, 'execute')
    or has_function_privilege('authenticated', p.oid, 'execute'))
$$, 'no function can be called by anon or authenticated');

select is_empty($$
  select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname = 'public' and p.prosecdef
$$, 'no public function runs with its owner''s rights');

select is_empty($$
  select n.nspname || '.' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname in ('public', 'sync')
  group by n.nspname, p.proname having count(*) > 1
$$, 'no function is overloaded');

select set_eq($$
  select p.proname::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname = 'public'
    and p.proname = any (array['receive_delivery', 'apply_headout_event', 'claim_deliveries',
      'finish_delivery', 'apply_snapshots', 'project_bookings', 'begin_run', 'checkpoint_run',
      'finish_run', 'explain_booking', 'replay_deliveries', 'release_held_changes',
      'pause_connection', 'resume_connection', 'sync_status'])
$$, array['receive_delivery', 'apply_headout_event', 'claim_deliveries', 'finish_delivery',
  'apply_snapshots', 'project_bookings', 'begin_run', 'checkpoint_run', 'finish_run',
  'explain_booking', 'replay_deliveries', 'release_held_changes', 'pause_connection',
  'resume_connection', 'sync_status'], 'the RPCs have their agreed names');

select is_empty($$
  select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('public', 'sync') and c.relkind = 'r'
    and has_table_privilege('anon', c.oid, 'select, insert, update, delete')
$$, 'anon reads and writes no table');

select is_empty($$
  select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'sync' and c.relkind = 'r'
    and has_table_privilege('authenticated', c.oid, 'select, insert, update, delete')
$$, 'authenticated reads and writes nothing in sync');

select * from finish();
rollback;
