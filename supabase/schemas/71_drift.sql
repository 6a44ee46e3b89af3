-- What a reconcile run finds. Each page is applied and undone: the difference between source and
-- database is what the ordinary path would have written. Bookings that no page listed are absent.
-- Rules: absence is not a statement; cancelling takes a positive statement.

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
comment on column sync.drift.cause is 'The likely cause: missed_webhook, held, dismissed (a person dropped the change), doubted, emptied, disagrees (a sender''s word and its source differ), planner_owned, stale, projection (a derived row is wrong), missing_at_source.';

create type sync.drift_finding as (
  external_id text,
  field text,
  booking_id bigint,
  theirs jsonb,
  ours jsonb,
  cause text
);

comment on type sync.drift_finding is 'One field that differs between source and database, with the likely cause.';

create type sync.page_comparison as (
  verdicts sync.snapshot_verdict[],
  projected sync.row_change[],
  booking_ids bigint[]
);

comment on type sync.page_comparison is
  'What applying a page would do (verdicts), what deriving its bookings would write after that (projected), and which stored bookings it lists (booking_ids).';

create function sync.record_sightings(run_id uuid, snapshots jsonb, sighted_ids jsonb) returns void
language sql
set search_path = ''
as $$
  insert into sync.sightings (run_id, external_id)
  select record_sightings.run_id, i.id
  from (
    select e.snapshot ->> 'external_id' from jsonb_array_elements(record_sightings.snapshots) e (snapshot)
    union
    select e.id from jsonb_array_elements_text(record_sightings.sighted_ids) e (id)
  ) i (id)
  where i.id is not null
  on conflict do nothing
$$;

comment on function sync.record_sightings(uuid, jsonb, jsonb) is
  'Notes which bookings a page lists. sighted_ids also has those whose snapshot was refused: they are not missing.';

create function sync.compare_page(run sync.runs, snapshots jsonb) returns sync.page_comparison
language plpgsql
set search_path = ''
as $$
declare
  comparison sync.page_comparison;
  page sync.page;
begin
  page.organization_id := run.organization_id;
  page.source := run.source;
  page.run_id := run.id;
  page.force := true;
  page.compares := true;
  page.detailed := true;
  comparison.verdicts := sync.apply_page_or_halves(page, snapshots);
  comparison.booking_ids := array(
    select v.booking_id from unnest(comparison.verdicts) v
    where v.booking_id is not null and v.verdict in ('updated', 'unchanged'));
  comparison.projected := array(
    select row(p.*)::sync.row_change from public.project_bookings(comparison.booking_ids, true) p);
  raise exception 'compared' using errcode = 'BSDRY';
exception when sqlstate 'BSDRY' then
  return comparison; -- Everything else is undone.
end;
$$;

comment on function sync.compare_page(sync.runs, jsonb) is 'What a page would change. Undoes all of it.';

create function sync.is_emptied(snapshot jsonb, change jsonb) returns boolean
language sql immutable
set search_path = ''
as $$
  select case change ->> 'table'
    when 'booking_products' then snapshot #> '{products,items}' = '[]'
    when 'booking_attachments' then snapshot #> '{attachments,items}' = '[]'
    else not exists (select from jsonb_array_elements(snapshot #> '{dates,items}') i (item)
      where i.item ->> 'phase' = split_part(change ->> 'key', ' ', 1)) end
$$;

comment on function sync.is_emptied(jsonb, jsonb) is 'Whether the list that a changed row belongs to is empty in a snapshot.';

create function sync.find_doubt_drift(comparison sync.page_comparison) returns setof sync.drift_finding
language sql stable
set search_path = ''
as $$
  select v.external_id, r.table_name || '[' || r.key || '].source_doubted_since', v.booking_id,
    to_jsonb(d.first_seen_at), to_jsonb(r.doubted_since),
    case when sync.is_held(d.booking_id, d.collection) then 'held' when d.dismissed_at is not null then 'dismissed'
      when d.emptied then 'emptied' else 'doubted' end
  from unnest(comparison.verdicts) v
  join sync.doubts d on d.booking_id = v.booking_id and d.booking_id = any (comparison.booking_ids)
  cross join lateral (
    select a.* from sync.doubted_rows(d.booking_id, d.collection) a where a.item_id = d.item_id
  ) r
$$;

comment on function sync.find_doubt_drift(sync.page_comparison) is
  'Rows that the source no longer lists and that are in force: doubted, emptied, held or dismissed.';

create function sync.find_source_drift(run sync.runs, snapshots jsonb, comparison sync.page_comparison)
returns setof sync.drift_finding
language sql stable
set search_path = ''
as $$
  select v.external_id,
    case c.change ->> 'table' when 'bookings' then 'bookings.' || f.key
      else (c.change ->> 'table') || '[' || (c.change ->> 'key') || '].' || f.key end,
    v.booking_id, f.value -> 1, f.value -> 0,
    case when f.key = 'source_doubted_since' then case when f.value ->> 1 is null then 'missed_webhook'
        when sync.is_emptied(e.snapshot, c.change) then 'emptied' else 'doubted' end
      when h.id is not null then 'held'
      when sync.revision_order((e.snapshot ->> 'source_version')::bigint, (e.snapshot ->> 'source_updated_at')::timestamptz,
        s.source_version, s.source_updated_at) < 0 then 'stale'
      else 'missed_webhook' end
  from unnest(comparison.verdicts) v
  join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
  cross join jsonb_array_elements(v.changes) c (change)
  cross join jsonb_each(coalesce(c.change -> 'fields', '{}')) f
  left join sync.held_changes h on h.booking_id = v.booking_id and h.class = 'status' and h.released_at is null and h.dismissed_at is null
  left join lateral (
    select t.source_version, t.source_updated_at from sync.source_states t
    where t.organization_id = run.organization_id and t.source = run.source and t.external_id = v.external_id
    offset 0
  ) s on true
  where v.verdict = 'updated'
    -- Derived rows that follow from a change of the source are no drift in themselves.
    and c.change ->> 'table' in ('bookings', 'booking_dates', 'booking_products', 'booking_attachments')
    and f.key not in ('status_changed_at', 'confirmed_at', 'completed_at', 'cancelled_at', 'rejected_at', 'is_stub')
    -- A list and a tombstone each have their own word for the same status.
    and not (c.change ->> 'table' = 'bookings' and f.key = 'source_status'
      and e.snapshot #>> '{booking,status}' = (select k.status::text from public.bookings k where k.id = v.booking_id))
  union all
  select v.external_id, 'bookings.*', null, to_jsonb('present'::text), null, 'missed_webhook'
  from unnest(comparison.verdicts) v
  where v.verdict = 'created'
$$;

comment on function sync.find_source_drift(sync.runs, jsonb, sync.page_comparison) is
  'Source-owned fields that differ, and bookings that are unknown here.';

create function sync.find_held_drift(snapshots jsonb, comparison sync.page_comparison) returns setof sync.drift_finding
language sql stable
set search_path = ''
as $$
  select v.external_id, 'bookings.status', v.booking_id, e.snapshot #> '{booking,status}', to_jsonb(b.status), 'held'
  from unnest(comparison.verdicts) v
  join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
  cross join lateral (select k.status from public.bookings k where k.id = v.booking_id offset 0) b
  where v.verdict = 'held'
  union all
  select v.external_id, 'bookings.status', v.booking_id, to_jsonb(h.kind), to_jsonb(b.status), 'dismissed'
  from unnest(comparison.verdicts) v
  join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
  join public.bookings b on b.id = v.booking_id and b.id = any (comparison.booking_ids)
  join sync.held_changes h on h.booking_id = b.id and h.kind = e.snapshot #>> '{booking,status}'
    and sync.is_dropped(b.id, h.kind::public.booking_status, e.snapshot)
  where b.status::text <> h.kind
  group by v.external_id, v.booking_id, h.kind, b.status
$$;

comment on function sync.find_held_drift(jsonb, sync.page_comparison) is
  'Statuses that differ because the brake holds the change, or because a person dropped it.';

create function sync.find_disagreement_drift(run sync.runs, snapshots jsonb, comparison sync.page_comparison)
returns setof sync.drift_finding
language sql stable
set search_path = ''
as $$
  select v.external_id, 'bookings.status', v.booking_id, to_jsonb(g.word), to_jsonb(b.status), 'disagrees'
  from unnest(comparison.verdicts) v
  join sync.disagreements g on g.booking_id = v.booking_id and g.outcome = 'disagrees'
    and g.booking_id = any (comparison.booking_ids)
  join public.bookings b on b.id = g.booking_id
  -- What the reads have outweighed since is settled: the booking has the source's status.
  where run.source <> 'headout'
  union all
  select v.external_id, 'bookings.status', v.booking_id, e.snapshot #> '{booking,status}', to_jsonb(b.status), 'disagrees'
  from unnest(comparison.verdicts) v
  join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
  join public.bookings b on b.id = v.booking_id and b.id = any (comparison.booking_ids)
  join sync.source_states s on s.organization_id = run.organization_id and s.source = run.source and s.external_id = v.external_id
  where run.source = 'headout' and e.snapshot #>> '{booking,status}' <> b.status::text
    and b.status = sync.headout_status(s.last_event_status)
$$;

comment on function sync.find_disagreement_drift(sync.runs, jsonb, sync.page_comparison) is
  'Statuses on which a sender and its own source disagree: EventFlow''s word that no read bore out, and an event of Headout that stands against the list.';

create function sync.find_projection_drift(comparison sync.page_comparison) returns setof sync.drift_finding
language sql stable
set search_path = ''
as $$
  select v.external_id,
    p.table_name || '[' || case when p.table_name = 'packing_items' then coalesce(
        (select k.external_id from public.booking_products k where k.id = p.key::bigint), p.key)
      else p.key end || '].' || f.key,
    p.booking_id, f.value -> 1, f.value -> 0, 'projection'
  from unnest(comparison.projected) p
  join unnest(comparison.verdicts) v on v.booking_id = p.booking_id and v.verdict = 'unchanged'
  cross join jsonb_each(coalesce(p.fields, '{}')) f
$$;

comment on function sync.find_projection_drift(sync.page_comparison) is
  'Derived rows that are wrong although their booking is right.';

create function sync.find_planner_drift(comparison sync.page_comparison) returns setof sync.drift_finding
language sql stable
set search_path = ''
as $$
  select v.external_id, 'calendar_events[' || k.event_type || ' ' || k.day || '].starts_at',
    k.booking_id, to_jsonb(k.derived_starts_at), to_jsonb(k.starts_at), 'planner_owned'
  from unnest(comparison.verdicts) v
  join public.calendar_events k on k.booking_id = v.booking_id and k.booking_id = any (comparison.booking_ids)
    and k.has_source_changes and k.active
  union all
  select v.external_id, 'warehouse_events[' || k.event_type || ' ' || k.basis_day || '].starts_at',
    k.booking_id, to_jsonb(k.derived_starts_at), to_jsonb(k.starts_at), 'planner_owned'
  from unnest(comparison.verdicts) v
  join public.warehouse_events k on k.booking_id = v.booking_id and k.booking_id = any (comparison.booking_ids)
    and k.has_source_changes and k.active
$$;

comment on function sync.find_planner_drift(sync.page_comparison) is
  'Times that a person set and the source moved afterwards.';

-- Links carry tokens that expire: a nightly comparison keeps those of attachments fresh. The map is left
-- out: its URL may differ by more than a token, and then it is drift.
create function sync.refresh_compared_urls(snapshots jsonb, comparison sync.page_comparison) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform sync.refresh_urls(array(
    select jsonb_populate_record(null::sync.planned_snapshot, jsonb_build_object(
      'booking_id', v.booking_id, 'is_new', false,
      'snapshot', jsonb_build_object('attachments', e.snapshot -> 'attachments')))
    from unnest(comparison.verdicts) v
    join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
    where v.verdict in ('updated', 'unchanged')), comparison.booking_ids);
end;
$$;

comment on function sync.refresh_compared_urls(jsonb, sync.page_comparison) is
  'Stores the links of attachments as last read.';

create function sync.record_drift(run sync.runs, snapshots jsonb) returns void
language plpgsql
set search_path = ''
set enable_nestloop = off
set jit = off
as $$
declare
  comparison constant sync.page_comparison := sync.compare_page(run, snapshots);
  previous_id constant uuid := (
    select r.id from sync.runs r
    where r.organization_id = run.organization_id and r.source = run.source and r.mode = 'reconcile'
      and r.status = 'completed' and r.id <> run.id
    order by r.started_at desc limit 1);
begin
  insert into sync.drift (run_id, external_id, field, booking_id, theirs, ours, first_seen_at, cause)
  select run.id, f.external_id, f.field, f.booking_id, f.theirs, f.ours,
    -- Carried over if the previous run found the same.
    coalesce((
      select p.first_seen_at from sync.drift p
      where p.run_id = previous_id and p.external_id = f.external_id and p.field = f.field
        and p.repaired_at is null), now()),
    f.cause
  from (
    select * from sync.find_source_drift(run, snapshots, comparison)
    union all
    select * from sync.find_held_drift(snapshots, comparison)
    union all
    select * from sync.find_disagreement_drift(run, snapshots, comparison)
    union all
    select * from sync.find_doubt_drift(comparison)
    union all
    select * from sync.find_projection_drift(comparison)
    union all
    select * from sync.find_planner_drift(comparison)
  ) f
  on conflict (run_id, external_id, field) do nothing;
  perform sync.refresh_compared_urls(snapshots, comparison);
end;
$$;

comment on function sync.record_drift(sync.runs, jsonb) is
  'Compares a page with what is stored and records each field that differs. Changes nothing else but the links of attachments.';

create function sync.repair_projections(run sync.runs, snapshots jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform from public.project_bookings(array(
    select b.id from jsonb_array_elements(snapshots) e (snapshot)
    join public.bookings b on b.organization_id = run.organization_id and b.source = run.source
      and b.external_id = e.snapshot ->> 'external_id'));
  -- Repaired is what a second comparison would not find again: everything but what waits for a person.
  update sync.drift d set repaired_at = now()
  where d.run_id = run.id and d.repaired_at is null
    and (d.cause in ('missed_webhook', 'projection') or d.cause = 'stale' and run.parameters -> 'repair' = 'true')
    and d.external_id in (select e.snapshot ->> 'external_id' from jsonb_array_elements(snapshots) e (snapshot));
end;
$$;

comment on function sync.repair_projections(sync.runs, jsonb) is 'Derives the rows of a page''s bookings again and records which drift this repaired. What is older than what we know is applied only if it was asked for.';

-- In the order in which a page locks them.
create function sync.lock_absent_states(run sync.runs) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform from sync.source_states s
  where s.organization_id = run.organization_id and s.source = run.source
    and (s.missing_sightings > 0
      or not exists (select from sync.sightings g where g.run_id = run.id and g.external_id = s.external_id))
  order by s.external_id
  for update;
end;
$$;

comment on function sync.lock_absent_states(sync.runs) is
  'Locks the states of the bookings that a run did not see, or that an earlier run did not.';

create function sync.forget_absences(run sync.runs) returns void
language sql
set search_path = ''
as $$
  update sync.source_states s set missing_sightings = 0, missing_first_seen_at = null, updated_at = now()
  where s.organization_id = run.organization_id and s.source = run.source and s.missing_sightings > 0
    and exists (select from sync.sightings g where g.run_id = run.id and g.external_id = s.external_id)
$$;

comment on function sync.forget_absences(sync.runs) is
  'Starts the count of runs without a sighting again for the bookings that a run saw.';

create function sync.report_absences(run sync.runs) returns void
language sql
set search_path = ''
as $$
  insert into sync.drift (run_id, external_id, field, booking_id, theirs, ours, first_seen_at, cause)
  select run.id, b.external_id, 'bookings.*', b.id, null, to_jsonb(b.status),
    coalesce(s.missing_first_seen_at, now()), 'missing_at_source'
  from public.bookings b
  left join sync.source_states s
    on s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
  where b.organization_id = run.organization_id and b.source = run.source
    -- What the source has cancelled or deleted in words, and lists no longer, is in agreement.
    and b.status not in ('CANCELLED', 'REJECTED')
    and b.source_missing_since is null and b.created_at < run.started_at
    and not exists (select from sync.sightings g where g.run_id = run.id and g.external_id = b.external_id)
  union all
  select run.id, b.external_id, 'bookings.*', b.id, to_jsonb('deleted'::text), to_jsonb(b.status), h.held_at,
    case when h.dismissed_at is null then 'held' else 'dismissed' end
  from sync.held_changes h
  join public.bookings b on b.id = h.booking_id and b.organization_id = run.organization_id and b.source = run.source
  where h.organization_id = run.organization_id and h.kind = 'deleted' and h.released_at is null and h.settled_at is null
    and coalesce(h.by, '') <> 'system' and b.status = 'CONFIRMED'
  on conflict (run_id, external_id, field) do nothing
$$;

comment on function sync.report_absences(sync.runs) is
  'Records as drift the bookings that existed when a run began and that it did not see, and the deletions that wait for a person or that one has dismissed.';

create function sync.count_absences(run sync.runs) returns void
language sql
set search_path = ''
as $$
  insert into sync.source_states (organization_id, source, external_id)
  select run.organization_id, run.source, d.external_id from sync.drift d
  where d.run_id = run.id and d.cause = 'missing_at_source'
  on conflict do nothing;

  update sync.source_states s set missing_sightings = s.missing_sightings + 1,
    missing_first_seen_at = coalesce(s.missing_first_seen_at, now()), updated_at = now()
  from sync.drift d
  where d.run_id = run.id and d.cause = 'missing_at_source'
    and s.organization_id = run.organization_id and s.source = run.source and s.external_id = d.external_id
$$;

comment on function sync.count_absences(sync.runs) is 'Counts one more run in a row that did not see a booking.';

create function sync.request_absent_bookings(run sync.runs) returns void
language plpgsql
set search_path = ''
as $$
declare
  connection sync.connections;
begin
  select * into connection from sync.connections c
  where c.organization_id = run.organization_id and c.source = run.source;
  perform sync.request_refetch(gen_random_uuid(), connection, d.external_id, 'missing')
  from sync.drift d
  join sync.source_states s on s.organization_id = run.organization_id and s.source = run.source
    and s.external_id = d.external_id and (s.missing_sightings = 2 or run.parameters -> 'repair' = 'true')
  where d.run_id = run.id and d.cause = 'missing_at_source';
end;
$$;

comment on function sync.request_absent_bookings(sync.runs) is
  'Requests a read of each booking that two runs in a row did not see, or of all that this one did not see if it was asked to repair in full. Only its answer may mark the booking missing.';

create function sync.record_absences(run sync.runs) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform sync.lock_absent_states(run);
  perform sync.forget_absences(run);
  perform sync.report_absences(run);
  perform sync.count_absences(run);
  perform sync.request_absent_bookings(run);
end;
$$;

comment on function sync.record_absences(sync.runs) is
  'Reports the bookings that a complete reconcile run did not see, and has some of them read; it changes none (rule: absence is not a statement).';

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
  where d.run_id = list_drift.run_id
  order by d.first_seen_at, d.external_id, d.field
  limit list_drift.max_rows
$$;

comment on function public.list_drift(uuid, integer) is 'The drift that a reconcile run found, oldest first.';

create function public.count_drift(run_id uuid)
returns table (cause text, fields bigint, bookings bigint, repaired bigint)
language sql stable
set search_path = ''
as $$
  select d.cause, count(*), count(distinct d.external_id), count(d.repaired_at)
  from sync.drift d
  where d.run_id = count_drift.run_id
  group by d.cause
  order by d.cause
$$;

comment on function public.count_drift(uuid) is
  'For each cause, how many fields of how many bookings differ, and how many of those fields were repaired.';
