-- Purpose: the heart. Any number of snapshots in, a constant number of statements, one verdict each.
-- One call is one transaction: bookings, collections, projections, history, source states, holds
-- and the delivery that asked for it land together or not at all.
-- Compatibility: arguments and result are the API of the database; add only with defaults.

create type sync.snapshot_verdict as (
  ord integer,
  external_id text,
  verdict text,
  booking_id bigint,
  changes jsonb,
  error jsonb
);

comment on type sync.snapshot_verdict is 'What applying one snapshot did.';

create function sync.apply_page(
  organization_id uuid, source public.booking_source, snapshots jsonb,
  deliveries sync.deliveries[], run_id uuid, force boolean, detailed boolean
) returns sync.snapshot_verdict[]
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  plan sync.planned_snapshot[];
  to_write sync.planned_snapshot[];
  budget integer;
  row_changes sync.row_change[];
  booking_ids bigint[];
  written_ids bigint[];
  verdicts sync.snapshot_verdict[];
begin
  plan := sync.plan_snapshots(apply_page.organization_id, apply_page.source, apply_page.snapshots,
    apply_page.deliveries, apply_page.force);

  if exists (select from unnest(plan) p where p.verdict = 'apply') then
    if exists (select from unnest(plan) p
               where p.verdict = 'apply' and sync.is_departure(p.old_status, p.new_status)) then
      -- What a person has dropped stays dropped, whichever list or repair says it again; the rest of
      -- the statement is as good as any.
      select array_agg(case when d.dropped
          then row(p.ord, p.external_id, p.verdict, p.error,
            p.snapshot #- '{booking,status}' #- '{booking,source_status}', p.content_hash, p.fetched_at,
            p.source_updated_at, p.source_version, p.booking_id, p.is_new, p.old_status, p.old_status)::sync.planned_snapshot
          else p end order by p.ord)
      into plan
      from unnest(plan) p
      cross join lateral (
        select p.verdict = 'apply' and sync.is_departure(p.old_status, p.new_status)
          and sync.is_dropped(p.booking_id, p.new_status, p.snapshot) offset 0
      ) d (dropped);
      -- Counted is every departure; what a person has let pass is never held for it.
      budget := sync.remaining_cancel_budget(apply_page.organization_id, apply_page.source) - (
        select count(*)::integer from unnest(plan) p
        where p.verdict = 'apply' and sync.is_departure(p.old_status, p.new_status)
          and sync.is_released(p.booking_id, p.fetched_at));
      select array_agg(row(p.ord, p.external_id,
          case when d.place > budget then 'held' else p.verdict end,
          p.error, p.snapshot, p.content_hash, p.fetched_at, p.source_updated_at, p.source_version,
          p.booking_id, p.is_new, p.old_status, p.new_status)::sync.planned_snapshot order by p.ord)
      into plan
      from unnest(plan) p
      left join (
        select d.ord, row_number() over (order by d.ord) as place
        from unnest(plan) d
        where d.verdict = 'apply' and sync.is_departure(d.old_status, d.new_status)
          and not sync.is_released(d.booking_id, d.fetched_at)
      ) d on d.ord = p.ord;
      perform sync.hold_change(apply_page.organization_id, p.booking_id, p.new_status,
        p.snapshot || jsonb_build_object('fetched_at', p.fetched_at),
        d.id, apply_page.run_id)
      from unnest(plan) p
      left join unnest(apply_page.deliveries) d on d.external_id = p.external_id
      where p.verdict = 'held';
    end if;

    -- Keys are drawn here, so that children and projections can name their booking at once.
    select array_agg(row(p.ord, p.external_id, p.verdict, p.error, p.snapshot, p.content_hash,
        p.fetched_at, p.source_updated_at, p.source_version,
        coalesce(p.booking_id, nextval('public.bookings_id_seq')), p.is_new,
        p.old_status, p.new_status)::sync.planned_snapshot order by p.ord)
    into to_write
    from unnest(plan) p where p.verdict = 'apply';

    if to_write is not null then
      booking_ids := array(select w.booking_id from unnest(to_write) w);
      row_changes := array(select w from sync.write_bookings(to_write, booking_ids, apply_page.organization_id, apply_page.source) w);
      row_changes := row_changes || array(select w from sync.write_booking_dates(to_write, booking_ids, apply_page.organization_id) w);
      row_changes := row_changes || array(select w from sync.write_booking_products(to_write, booking_ids, apply_page.organization_id) w);
      row_changes := row_changes || array(select w from sync.write_booking_attachments(to_write, booking_ids, apply_page.organization_id) w);

      written_ids := array(select distinct c.booking_id from unnest(row_changes) c);
      perform sync.refresh_urls(to_write, written_ids);

      insert into public.booking_history (organization_id, booking_id, actor, delivery_id, run_id, verdict, changes)
      select apply_page.organization_id, c.booking_id,
        case when d.id is null then 'import' else 'webhook' end, d.id, apply_page.run_id,
        case when bool_or(c.table_name = 'bookings' and c.operation = 'created') then 'created' else 'updated' end,
        jsonb_object_agg(
          case when c.table_name = 'bookings' then 'bookings.' else c.table_name || '[' || c.key || '].' end || f.key,
          f.value)
      from unnest(row_changes) c
      cross join jsonb_each(c.fields) f
      left join (
        select w.booking_id, v.id from unnest(to_write) w
        join unnest(apply_page.deliveries) v on v.external_id = w.external_id
      ) d on d.booking_id = c.booking_id
      group by c.booking_id, d.id;

      -- What a booking drives follows in the same transaction.
      row_changes := row_changes || array(
        select w from sync.project(
          array(select distinct c.booking_id from unnest(row_changes) c where c.table_name in ('bookings', 'booking_dates')),
          written_ids, apply_page.detailed) w);
    end if;
  end if;

  -- A statement that was believed ends the hold of an older one, and uses up a release.
  if exists (select from sync.held_changes h
             where h.organization_id = apply_page.organization_id and h.dismissed_at is null
               and (h.released_at is null or h.settled_at is null)) then
    update sync.held_changes h set
      dismissed_at = case when h.released_at is null then now() end,
      settled_at = case when h.released_at is not null then now() end,
      by = coalesce(h.by, 'system')
    from (
      select o.id, o.snapshot, b.external_id, b.source
      from sync.held_changes o
      cross join lateral (select k.external_id, k.source from public.bookings k where k.id = o.booking_id offset 0) b
      where o.organization_id = apply_page.organization_id and o.dismissed_at is null
        and (o.released_at is null or o.settled_at is null)
    ) o, unnest(plan) p
    where h.id = o.id and o.source = apply_page.source and o.external_id = p.external_id
      and p.verdict in ('apply', 'unchanged', 'revision')
      and coalesce(h.released_at, h.held_at) < coalesce(p.fetched_at, now())
      -- A list that lags behind says nothing about what was said after it.
      and case when p.source_version <> (o.snapshot ->> 'source_version')::bigint
          then p.source_version > (o.snapshot ->> 'source_version')::bigint
        else coalesce(p.source_updated_at >= (o.snapshot ->> 'source_updated_at')::timestamptz, true) end;
  end if;

  -- What a person dropped is over when the source has said something else.
  if exists (select from sync.held_changes h
             where h.organization_id = apply_page.organization_id and h.dismissed_at is not null
               and h.settled_at is null and h.by <> 'system') then
    update sync.held_changes h set settled_at = now()
    from unnest(plan) p
    where h.organization_id = apply_page.organization_id and h.booking_id = p.booking_id
      and h.dismissed_at < coalesce(p.fetched_at, now())
      and h.settled_at is null and h.by <> 'system' and p.verdict in ('apply', 'revision')
      and p.snapshot #>> '{booking,status}' <> h.kind and sync.compare_revisions(p.snapshot, h.snapshot) >= 0;
  end if;

  -- Whoever is seen is not missing, also if nothing of it has changed.
  if exists (select from sync.source_states s
             where s.organization_id = apply_page.organization_id and s.source = apply_page.source
               and s.missing_sightings > 0) then
    update sync.source_states s set missing_sightings = 0, missing_first_seen_at = null, updated_at = now()
    where s.organization_id = apply_page.organization_id and s.source = apply_page.source
      and s.external_id in (
        select k.external_id from sync.source_states k
        where k.organization_id = apply_page.organization_id and k.source = apply_page.source
          and k.missing_sightings > 0
          and k.external_id in (select p.external_id from unnest(plan) p where p.verdict = 'unchanged')
        -- Not waited for, since these are not locked in their order: whoever has it at work says so himself.
        for update skip locked
      );
  end if;

  -- An upsert finds its row by key whatever the planner believes.
  insert into sync.source_states as s (organization_id, source, external_id, source_updated_at,
    source_version, content_hash, fetched_at)
  select apply_page.organization_id, apply_page.source, p.external_id, p.source_updated_at,
    p.source_version, p.content_hash, p.fetched_at
  from unnest(plan) p
  where p.verdict in ('apply', 'revision')
  on conflict on constraint source_states_pkey do update set
    source_updated_at = coalesce(excluded.source_updated_at, s.source_updated_at),
    source_version = coalesce(excluded.source_version, s.source_version),
    content_hash = excluded.content_hash,
    fetched_at = greatest(excluded.fetched_at, s.fetched_at),
    missing_sightings = 0,
    missing_first_seen_at = null,
    updated_at = now();

  select array_agg(row(p.ord, p.external_id,
      case p.verdict
        when 'apply' then case when w.is_new then 'created' when c.booking_id is null then 'unchanged' else 'updated' end
        when 'revision' then 'unchanged'
        else p.verdict end,
      coalesce(w.booking_id, p.booking_id),
      coalesce(c.changes, case when apply_page.detailed then '[]'::jsonb else '{}'::jsonb end),
      p.error)::sync.snapshot_verdict order by p.ord)
  into verdicts
  from unnest(plan) p
  left join unnest(to_write) w on w.ord = p.ord
  left join (
    select n.booking_id, case when apply_page.detailed then
        (select jsonb_agg(jsonb_build_object('table', d.table_name, 'key', d.key, 'operation', d.operation, 'fields', d.fields))
         from unnest(row_changes) d where d.booking_id = n.booking_id)
      else jsonb_object_agg(n.table_name, jsonb_build_object(
        'created', n.created, 'updated', n.updated, 'marked_missing', n.marked_missing)) end as changes
    from (
      select r.booking_id, r.table_name,
        count(*) filter (where r.operation = 'created') as created,
        count(*) filter (where r.operation = 'updated') as updated,
        count(*) filter (where r.operation = 'marked_missing') as marked_missing
      from unnest(row_changes) r
      group by r.booking_id, r.table_name
    ) n
    group by n.booking_id
  ) c on c.booking_id = w.booking_id;

  return verdicts;
end;
$$;

comment on function sync.apply_page(uuid, public.booking_source, jsonb, sync.deliveries[], uuid, boolean, boolean) is
  'Applies a page of snapshots; a bad value among them fails the whole page (see sync.apply_page_or_halves).';

-- Which field of a snapshot cannot be stored: each is tried alone. Only for a snapshot that failed.
create function sync.find_bad_field(snapshot jsonb) returns text
language plpgsql
set search_path = ''
as $$
declare
  part record;
begin
  for part in
    select 'booking.' || f.key as path, 'bookings' as target, f.key, f.value
    from jsonb_each(snapshot -> 'booking') f
    union all
    select c.name || '.items[' || i.place - 1 || '].' || f.key, c.target, f.key, f.value
    from (values ('dates', 'booking_dates'), ('products', 'booking_products'),
      ('attachments', 'booking_attachments')) as c (name, target)
    cross join jsonb_array_elements(snapshot #> array[c.name, 'items']) with ordinality as i (item, place)
    cross join jsonb_each(i.item) f
  loop
    begin
      execute format('select jsonb_populate_record(null::public.%I, $1)', part.target)
        using jsonb_build_object(part.key, part.value);
    exception when data_exception then
      return part.path;
    end;
  end loop;
  return null;
end;
$$;

comment on function sync.find_bad_field(jsonb) is 'The path of the first field that its column cannot hold; null if a constraint or the whole is the matter.';

-- A value that only a cast or a constraint finds wrong fails the page. Then the page is halved until
-- the bad snapshot stands alone and is refused by name; the others land. Good pages pay nothing.
create function sync.apply_page_or_halves(
  organization_id uuid, source public.booking_source, snapshots jsonb,
  deliveries sync.deliveries[], run_id uuid, force boolean, detailed boolean
) returns sync.snapshot_verdict[]
language plpgsql
set search_path = ''
as $$
#variable_conflict use_variable
declare
  size constant integer := jsonb_array_length(snapshots);
  half constant integer := size / 2;
  message text;
  field text;
  state text;
begin
  return sync.apply_page(organization_id, source, snapshots, deliveries, run_id, force, detailed);
exception when data_exception or integrity_constraint_violation or program_limit_exceeded then
  get stacked diagnostics message = message_text, field = constraint_name, state = returned_sqlstate;
  if size = 1 then
    field := coalesce(sync.find_bad_field(snapshots -> 0), nullif(field, ''));
    return array[row(1, left(snapshots #>> '{0,external_id}', 200), 'invalid', null, '{}',
      jsonb_build_object('code', 'unstorable_snapshot', 'field', field, 'message', left(message, 500), 'sqlstate', state)
    )::sync.snapshot_verdict];
  end if;
  -- Together, before either half: halves of two pages are in no order.
  perform sync.lock_page(organization_id, source, snapshots);
  return array(
    select row(v.ord, v.external_id, v.verdict, v.booking_id, v.changes, v.error)::sync.snapshot_verdict
    from unnest(sync.apply_page_or_halves(organization_id, source,
      (select jsonb_agg(e.item order by e.place) from jsonb_array_elements(snapshots) with ordinality e (item, place) where e.place <= half),
      deliveries, run_id, force, detailed)) v
  ) || array(
    select row(v.ord + half, v.external_id, v.verdict, v.booking_id, v.changes, v.error)::sync.snapshot_verdict
    from unnest(sync.apply_page_or_halves(organization_id, source,
      (select jsonb_agg(e.item order by e.place) from jsonb_array_elements(snapshots) with ordinality e (item, place) where e.place > half),
      deliveries, run_id, force, detailed)) v
  );
end;
$$;

comment on function sync.apply_page_or_halves(uuid, public.booking_source, jsonb, sync.deliveries[], uuid, boolean, boolean) is
  'Applies a page; if a value in it cannot be stored, refuses just the snapshot that has it.';

create function public.apply_snapshots(
  organization_id uuid,
  source public.booking_source,
  snapshots jsonb,
  delivery_id uuid default null,
  lease_token uuid default null,
  run_id uuid default null,
  force boolean default false,
  dry_run boolean default false,
  deliveries jsonb default '[]'
) returns table (external_id text, verdict text, booking_id bigint, changes jsonb, error jsonb)
language plpgsql
set search_path = ''
-- On a database without statistics (a first import) the planner expects one row everywhere and
-- would join pages by nested loops; and it would compile plans for longer than they run.
set enable_nestloop = off
set jit = off
as $$
#variable_conflict use_column
declare
  connection sync.connections;
  held sync.deliveries[];
  lost text[];
  refusal text;
  accepted jsonb := apply_snapshots.snapshots;
  verdicts sync.snapshot_verdict[];
begin
  if jsonb_typeof(apply_snapshots.snapshots) is distinct from 'array' then
    raise exception 'Cannot apply snapshots: snapshots is not a JSON array' using errcode = '22023';
  end if;

  select * into connection from sync.connections c
  where c.organization_id = apply_snapshots.organization_id and c.source = apply_snapshots.source;
  refusal := case
    when connection.id is null then 'unknown_organization'
    when not apply_snapshots.force and (connection.paused_at is not null or not connection.enabled) then 'paused'
  end;

  if refusal is null and (apply_snapshots.delivery_id is not null or apply_snapshots.deliveries <> '[]') then
    -- A worker that lost its lease can finish nothing, and apply nothing in its name.
    select array_agg(l.held) filter (where (l.held).id is not null),
      array_agg(coalesce((l.held).external_id, d.external_id)) filter (where (l.held).id is null)
    into held, lost
    from (
      select apply_snapshots.delivery_id as id, apply_snapshots.lease_token as token
      where apply_snapshots.delivery_id is not null
      union all
      select (e.item ->> 'delivery_id')::uuid, (e.item ->> 'lease_token')::uuid
      from jsonb_array_elements(apply_snapshots.deliveries) e (item)
      order by 1
    ) w
    cross join lateral (select sync.hold_lease(w.id, w.token) as held offset 0) l
    left join lateral sync.delivery_now(w.id) d on (l.held).id is null;
    if lost is not null then
      -- Without a trace of the delivery nobody can tell whose work this is.
      refusal := case when held is null then 'lease_lost' end;
      accepted := coalesce((
        select jsonb_agg(e.snapshot order by e.ord)
        from jsonb_array_elements(apply_snapshots.snapshots) with ordinality e (snapshot, ord)
        where coalesce(e.snapshot ->> 'external_id' <> all (lost), true)), '[]');
    end if;
  end if;

  if refusal is not null then
    return query select left(e.snapshot ->> 'external_id', 200), refusal, null::bigint, '{}'::jsonb, null::jsonb
      from jsonb_array_elements(apply_snapshots.snapshots) as e (snapshot);
    return;
  end if;

  if apply_snapshots.dry_run then
    begin
      verdicts := sync.apply_page_or_halves(apply_snapshots.organization_id, apply_snapshots.source,
        accepted, held, apply_snapshots.run_id, apply_snapshots.force, true);
      raise exception 'dry run' using errcode = 'BSDRY';
    exception when sqlstate 'BSDRY' then
      null; -- Everything is undone but the verdicts.
    end;
  else
    verdicts := sync.apply_page_or_halves(apply_snapshots.organization_id, apply_snapshots.source,
      accepted, held, apply_snapshots.run_id, apply_snapshots.force, false);

    update sync.connections c set last_success_at = now()
    where exists (select from unnest(verdicts) v where v.verdict in ('created', 'updated'))
      and c.id in (
        select k.id from sync.connections k
        where k.id = connection.id
          and (k.last_success_at is null or k.last_success_at < now() - interval '10 seconds')
        for no key update skip locked
      );

    perform sync.settle_delivery(d,
      case v.verdict when 'stale' then 'stale' when 'held' then 'held' when 'invalid' then 'dead' else 'succeeded' end,
      jsonb_strip_nulls(jsonb_build_object('outcome', v.verdict, 'booking_id', v.booking_id, 'changes', v.changes)),
      v.error)
    from unnest(held) d
    join (
      select distinct on (v.external_id) v.*
      from unnest(verdicts) v
      order by v.external_id, v.verdict = 'stale', v.ord desc
    ) v on v.external_id = d.external_id;
  end if;

  return query
    select v.external_id, v.verdict, v.booking_id, v.changes, v.error from unnest(verdicts) v
    union all
    select l.external_id, 'lease_lost', null, '{}', null from unnest(lost) l (external_id);
end;
$$;

comment on function public.apply_snapshots(uuid, public.booking_source, jsonb, uuid, uuid, uuid, boolean, boolean, jsonb) is
  'Applies any number of snapshots of one connection in one transaction, one verdict row each: created, updated, unchanged, stale, held, skipped (over before connections.not_before and never stored), invalid; or for all of them lease_lost, paused, unknown_organization. With a delivery (or several: [{ delivery_id, lease_token }]) it finishes them too. dry_run rolls back and returns the exact row changes.';
