create table sync.drift (
  run_id uuid not null references sync.runs (id) on delete cascade,
  external_id text not null,
  field text not null,
  booking_id bigint,
  theirs jsonb,
  ours jsonb,
  first_seen_at timestamptz not null default now(),
  cause text,
  repaired_at timestamptz,
  primary key (run_id, external_id, field)
);

comment on table sync.drift is 'Differences between source and database that a reconcile run found.';
comment on column sync.drift.cause is 'The likely cause: missed_webhook, held, dismissed (a person dropped it), planner_owned, stale, projection (our own derived row is off), missing_at_source.';

-- Purpose: reconcile. What the source says is compared with what is stored by applying it, field by
-- field, and undoing that: the difference is what the very same path would write.

create function sync.record_drift(run sync.runs, snapshots jsonb) returns void
language plpgsql
set search_path = ''
set enable_nestloop = off
set jit = off
as $$
#variable_conflict use_column
declare
  verdicts sync.snapshot_verdict[];
  projected sync.row_change[];
  booking_ids bigint[];
begin
  insert into sync.sightings (run_id, external_id)
  select run.id, e.snapshot ->> 'external_id' from jsonb_array_elements(snapshots) e (snapshot)
  where e.snapshot ->> 'external_id' is not null
  on conflict do nothing;

  begin
    verdicts := sync.apply_page_or_halves(run.organization_id, run.source, snapshots, null, run.id, true, true);
    booking_ids := array(select v.booking_id from unnest(verdicts) v
      where v.booking_id is not null and v.verdict in ('updated', 'unchanged'));
    projected := array(
      select row(p.booking_id, p.table_name, p.key, p.operation, p.fields)::sync.row_change
      from public.project_bookings(booking_ids, true) p);
    raise exception 'compared' using errcode = 'BSDRY';
  exception when sqlstate 'BSDRY' then
    null;
  end;

  insert into sync.drift (run_id, external_id, field, booking_id, theirs, ours, first_seen_at, cause)
  select run.id, d.external_id, d.field, d.booking_id, d.theirs, d.ours,
    -- Since when: carried on from the last run if that had found the same.
    coalesce((
      select p.first_seen_at from sync.drift p
      where p.run_id = (
          select r.id from sync.runs r
          where r.organization_id = run.organization_id and r.source = run.source and r.mode = 'reconcile'
            and r.status = 'completed' and r.id <> run.id
          order by r.started_at desc limit 1)
        and p.external_id = d.external_id and p.field = d.field and p.repaired_at is null), now()),
    d.cause
  from (
    select v.external_id, v.booking_id,
      case c.change ->> 'table' when 'bookings' then 'bookings.' || f.key
        else (c.change ->> 'table') || '[' || (c.change ->> 'key') || '].' || f.key end as field,
      f.value -> 1 as theirs, f.value -> 0 as ours,
      case when c.change ->> 'table' not in ('bookings', 'booking_dates', 'booking_products', 'booking_attachments') then 'projection'
        when h.id is not null then 'held'
        when (e.snapshot ->> 'source_version')::bigint < s.source_version
          or (e.snapshot ->> 'source_updated_at')::timestamptz < s.source_updated_at then 'stale'
        else 'missed_webhook' end as cause
    from unnest(verdicts) v
    join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
    cross join jsonb_array_elements(v.changes) c (change)
    cross join jsonb_each(coalesce(c.change -> 'fields', '{}')) f
    left join sync.held_changes h on h.booking_id = v.booking_id and h.released_at is null and h.dismissed_at is null
    left join lateral (
      select t.source_version, t.source_updated_at from sync.source_states t
      where t.organization_id = run.organization_id and t.source = run.source and t.external_id = v.external_id
      offset 0
    ) s on true
    where v.verdict = 'updated'
      -- What follows from a drift in the source's own rows is not drift of its own.
      and c.change ->> 'table' in ('bookings', 'booking_dates', 'booking_products', 'booking_attachments')
      and f.key not in ('status_changed_at', 'confirmed_at', 'completed_at', 'cancelled_at', 'rejected_at', 'is_stub')
      -- The same status in another word: a list and a tombstone have one each.
      and not (c.change ->> 'table' = 'bookings' and f.key = 'source_status'
        and e.snapshot #>> '{booking,status}' = (select k.status::text from public.bookings k where k.id = v.booking_id))
    union all
    select v.external_id, null, 'bookings.*', to_jsonb('present'::text), null, 'missed_webhook'
    from unnest(verdicts) v where v.verdict = 'created'
    union all
    select v.external_id, v.booking_id, 'bookings.status', e.snapshot #> '{booking,status}', to_jsonb(b.status), 'held'
    from unnest(verdicts) v
    join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
    cross join lateral (select k.status from public.bookings k where k.id = v.booking_id offset 0) b
    where v.verdict = 'held'
    union all
    select v.external_id, v.booking_id, 'bookings.status', to_jsonb(h.kind), to_jsonb(b.status), 'dismissed'
    from unnest(verdicts) v
    join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
    join public.bookings b on b.id = v.booking_id and b.id = any (booking_ids)
    join sync.held_changes h on h.booking_id = b.id and h.kind = e.snapshot #>> '{booking,status}'
      and sync.is_dropped(b.id, h.kind::public.booking_status, e.snapshot)
    where b.status::text <> h.kind
    group by v.external_id, v.booking_id, h.kind, b.status
    union all
    select v.external_id, p.booking_id,
      p.table_name || '[' || case when p.table_name = 'packing_items' then coalesce(
          (select k.external_id from public.booking_products k where k.id = p.key::bigint), p.key)
        else p.key end || '].' || f.key,
      f.value -> 1, f.value -> 0, 'projection'
    from unnest(projected) p
    join unnest(verdicts) v on v.booking_id = p.booking_id and v.verdict = 'unchanged'
    cross join jsonb_each(coalesce(p.fields, '{}')) f
    union all
    -- A person decided otherwise after the source had moved the day.
    select v.external_id, k.booking_id, 'calendar_events[' || k.event_type || ' ' || k.day || '].starts_at',
      to_jsonb(k.derived_starts_at), to_jsonb(k.starts_at), 'planner_owned'
    from unnest(verdicts) v
    join public.calendar_events k on k.booking_id = v.booking_id and k.booking_id = any (booking_ids)
      and k.has_source_changes and k.active
    union all
    select v.external_id, k.booking_id, 'warehouse_events[' || k.event_type || ' ' || k.basis_day || '].starts_at',
      to_jsonb(k.derived_starts_at), to_jsonb(k.starts_at), 'planner_owned'
    from unnest(verdicts) v
    join public.warehouse_events k on k.booking_id = v.booking_id and k.booking_id = any (booking_ids)
      and k.has_source_changes and k.active
  ) d
  on conflict (run_id, external_id, field) do nothing;

  -- Links carry tokens that run out; a nightly pass keeps them fresh.
  with listed as materialized (
    select b.id as booking_id, i.item ->> 'url_key' as url_key, i.item ->> 'url' as url
    from unnest(verdicts) v
    join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
    cross join jsonb_array_elements(e.snapshot #> '{attachments,items}') i (item)
    join public.bookings b on b.id = v.booking_id and b.id = any (booking_ids)
    where v.verdict in ('updated', 'unchanged')
  )
  update public.booking_attachments a set url = l.url
  from listed l
  where a.booking_id = any (booking_ids) and a.booking_id = l.booking_id and a.url_key = l.url_key
    and a.origin = 'import' and a.url <> l.url;
end;
$$;

comment on function sync.record_drift(sync.runs, jsonb) is
  'Compares a page with what is stored and notes each differing field; changes no row but the links of attachments.';

create function sync.repair_projections(run sync.runs, snapshots jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform from public.project_bookings(array(
    select b.id from jsonb_array_elements(snapshots) e (snapshot)
    join public.bookings b on b.organization_id = run.organization_id and b.source = run.source
      and b.external_id = e.snapshot ->> 'external_id'));
  -- Repaired is what a second comparison would not find again: all but what waits for a person.
  update sync.drift d set repaired_at = now()
  where d.run_id = run.id and d.repaired_at is null and d.cause in ('missed_webhook', 'stale', 'projection')
    and d.external_id in (select e.snapshot ->> 'external_id' from jsonb_array_elements(snapshots) e (snapshot));
end;
$$;

comment on function sync.repair_projections(sync.runs, jsonb) is 'Derives the rows of a page''s bookings anew and notes what the repair has mended.';

create function public.list_drift(run_id uuid, max_rows integer default 100)
returns table (
  external_id text, field text, booking_id bigint, theirs jsonb, ours jsonb,
  first_seen_at timestamptz, cause text, repaired_at timestamptz
)
language sql stable
set search_path = ''
as $$
  select d.external_id, d.field, d.booking_id, d.theirs, d.ours, d.first_seen_at, d.cause, d.repaired_at
  from sync.drift d
  where d.run_id = $1
  order by d.first_seen_at, d.external_id, d.field
  limit $2
$$;

comment on function public.list_drift(uuid, integer) is 'The drift that a reconcile run found, oldest first.';

create function public.count_drift(run_id uuid)
returns table (cause text, fields bigint, bookings bigint, repaired bigint)
language sql stable
set search_path = ''
as $$
  select d.cause, count(*), count(distinct d.external_id), count(d.repaired_at)
  from sync.drift d
  where d.run_id = $1
  group by d.cause
  order by d.cause
$$;

comment on function public.count_drift(uuid) is
  'How many fields of how many bookings differ by cause, and how many of those fields were repaired.';
