-- The machinery is private. Only service_role uses the schema sync, which holds for everything in
-- it, also for what a later file adds and forgets to revoke: a function belongs to everybody at first.
begin;
select plan(11);

create temporary table outsiders (role text);
insert into outsiders values ('anon'), ('authenticated');

create temporary table relations as
  select c.oid, c.relname, c.relkind, c.relacl from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'sync';

-- Tables of their own: a planner may ask for the rights to a sequence before it looks at the kind.
create temporary table sync_tables as select * from relations where relkind in ('r', 'p', 'v', 'm');
create temporary table sync_sequences as select * from relations where relkind = 'S';

create temporary table functions as
  select p.oid, n.nspname, p.proname, p.proacl, p.proowner, p.prorettype from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  where n.nspname in ('public', 'sync');

select isnt_empty('select from sync_tables', 'sync has tables');
select isnt_empty($$ select from functions where nspname = 'sync' $$, 'sync has functions');

select is_empty($$
  select o.role from outsiders o
  where has_schema_privilege(o.role, 'sync', 'usage') or has_schema_privilege(o.role, 'sync', 'create')
$$, 'anon and authenticated cannot enter sync');

select is_empty($$
  select f.proname, o.role from functions f cross join outsiders o
  where f.nspname = 'sync' and has_function_privilege(o.role, f.oid, 'execute')
$$, 'anon and authenticated execute no function of sync');

select is_empty($$
  select c.relname, o.role from pg_class c cross join outsiders o
  where c.relkind = 'S' and c.relnamespace = 'public'::regnamespace
    and has_sequence_privilege(o.role, c.oid, 'usage, select, update')
$$, 'anon and authenticated use no sequence');

select is_empty($$
  select t.relname, o.role from sync_tables t cross join outsiders o
  where has_table_privilege(o.role, t.oid, 'select, insert, update, delete, truncate, references, trigger')
    or has_any_column_privilege(o.role, t.oid, 'select, insert, update, references')
$$, 'anon and authenticated use no table of sync');

select is_empty($$
  select s.relname, o.role from sync_sequences s cross join outsiders o
  where has_sequence_privilege(o.role, s.oid, 'usage, select, update')
$$, 'anon and authenticated use no sequence of sync');

select is_empty($$
  select f.proname from functions f
  cross join aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
  where f.nspname = 'sync' and a.grantee = 0
  union all
  select r.relname from relations r cross join aclexplode(r.relacl) a where a.grantee = 0
  union all
  select n.nspname from pg_namespace n cross join aclexplode(n.nspacl) a
  where n.nspname = 'sync' and a.grantee = 0
$$, 'nothing of sync is granted to public');

-- The functions in public run with the caller's rights, and so does what they call.
select is_empty($$
  select f.nspname, f.proname from functions f
  where f.prorettype <> 'trigger'::regtype
    and f.proname not in ('call_import_bookings', 'schedule_jobs')
    and not has_function_privilege('service_role', f.oid, 'execute')
$$, 'service_role executes every function but triggers and those of the schedule');

select is_empty($$
  select t.relname from sync_tables t cross join unnest(array['select', 'insert', 'update', 'delete']) p
  where t.relkind in ('r', 'p') and not has_table_privilege('service_role', t.oid, p)
$$, 'service_role reads and writes every table of sync');

select is_empty($$
  select s.relname from sync_sequences s where not has_sequence_privilege('service_role', s.oid, 'usage')
$$, 'service_role draws from every sequence of sync');

select * from finish();
rollback;
