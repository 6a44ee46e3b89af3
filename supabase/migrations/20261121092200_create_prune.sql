-- Purpose: retention. The body and the headers of a finished delivery go after 90 days and leave the
-- body's hash; the row goes after a year, as do runs with what they found. Source states, holds and
-- history stay: order and explanation need them.
-- Set-based, one bounded batch per call, past rows that somebody works on.

alter table sync.deliveries add column body_hash text;

comment on column sync.deliveries.body_hash is 'SHA-256 (hex) of the body as jsonb prints it, once the body has been pruned.';

-- Only what still has a body: pruned rows leave the index.
create index deliveries_body_idx on sync.deliveries (received_at) where body is not null and finished_at is not null;
create index deliveries_homeless_idx on sync.deliveries (received_at) where connection_id is null;

create function public.prune_deliveries(max_rows integer default 10000)
returns table (bodies bigint, deliveries bigint, runs bigint)
language sql
set search_path = ''
as $$
  with bodies as (
    update sync.deliveries d set body = null, headers = '{}',
      body_hash = encode(sha256(convert_to(d.body::text, 'UTF8')), 'hex')
    where d.id in (
      select o.id from sync.deliveries o
      where o.body is not null and o.finished_at is not null
        and o.received_at < now() - interval '90 days'
        -- What goes altogether needs no hash first.
        and o.received_at >= now() - interval '1 year'
      order by o.received_at
      limit $1
      for update skip locked)
    returning 1
  ), old as (
    select o.id
    from sync.connections c
    cross join lateral (
      select e.id from sync.deliveries e
      where e.connection_id = c.id and e.finished_at is not null and e.received_at < now() - interval '1 year'
      order by e.received_at
      limit $1
      for update skip locked
    ) o
    limit $1
  ), homeless as (
    select e.id from sync.deliveries e
    where e.connection_id is null and e.finished_at is not null and e.received_at < now() - interval '1 year'
    order by e.received_at
    limit $1
    for update skip locked
  ), deleted as (
    delete from sync.deliveries d
    where d.id in (select o.id from old o union all select h.id from homeless h)
    returning 1
  ), deleted_runs as (
    delete from sync.runs r
    where r.id in (
      select o.id from sync.runs o
      where o.status in ('completed', 'failed') and o.finished_at < now() - interval '1 year'
      order by o.finished_at
      limit $1 / 100 + 1
      for update skip locked)
    returning 1
  )
  select (select count(*) from bodies), (select count(*) from deleted), (select count(*) from deleted_runs)
$$;

comment on function public.prune_deliveries(integer) is
  'One batch of retention: bodies and headers of deliveries finished over 90 days ago (their hash stays), rows over a year old, runs over a year old. Call it again until it returns zeros.';

revoke all on function public.prune_deliveries(integer) from public, anon, authenticated;
grant execute on function public.prune_deliveries(integer) to service_role;
