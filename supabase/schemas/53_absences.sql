-- Evidence of absence: what it takes until a day, a product or a file that the source no longer lists is
-- out of force (rule: absence is not a statement).
--
--   a flag says the list is whole, or a phase brings a new day and lacks an old one (a move): at once
--   a shorter list: doubted, and a confirming read is queued; believed by a later single read that
--     began absence_confirm_after the first; for days whose revision did not rise by the third read,
--     absence_confirm_slow after the first
--   an empty list: doubted; only a person decides
--   listed again: the doubt and the mark are cleared
--   too many rows at once: held for a person, a collection of a booking as a whole
--
-- Pages of runs are a first sighting, never a confirming one. A move is taken by the days in force: a
-- range that flickers to its first day is always a part of itself, also right after it was shifted, so
-- it is doubted and never looks like a move.

create type sync.absence as (
  ord integer,
  booking_id bigint,
  collection text,
  table_name text,
  key text,
  item_id bigint,
  doubted_since timestamptz,
  verdict text,
  since timestamptz
);

comment on type sync.absence is
  'A row in force that a page leaves out. verdict: missing, doubted, emptied, held, or dismissed (a person said that it stays).';

create function sync.collection_of(table_name text, key text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select case table_name when 'booking_products' then 'products' when 'booking_attachments' then 'files'
    else split_part(key, ' ', 1) end
$$;

comment on function sync.collection_of(text, text) is 'The collection of a row change: products, files, rig, event or rigdown.';

create function sync.find_absences(plan sync.planned_snapshot[], changes sync.row_change[]) returns sync.absence[]
language plpgsql
set search_path = ''
as $$
begin
  return array(
    with absent as (
      select c.booking_id, c.table_name, c.key, sync.collection_of(c.table_name, c.key) as collection,
        (c.fields ->> 'id')::bigint as item_id, (c.fields ->> 'source_doubted_since')::timestamptz as doubted_since
      from unnest(changes) c where c.operation = 'absent'
    ), moved as (
      select distinct c.booking_id, sync.collection_of(c.table_name, c.key) as collection
      from unnest(changes) c
      where c.table_name = 'booking_dates'
        and (c.operation = 'created' or c.fields #>> '{source_missing_since,0}' is not null)
    ), stated as (
      select p.ord, p.booking_id, p.fetched_at, x.collection, x.whole, x.listed
      from unnest(plan) p
      cross join lateral (
        select 'products', p.snapshot #> '{products,complete}' = 'true', jsonb_array_length(p.snapshot #> '{products,items}')
        union all
        select 'files', p.snapshot #> '{attachments,complete}' = 'true', jsonb_array_length(p.snapshot #> '{attachments,items}')
        union all
        select f.phase::text, p.snapshot #> '{dates,complete}' = 'true', (
          select count(*)::integer from jsonb_array_elements(p.snapshot #> '{dates,items}') i (item)
          where i.item ->> 'phase' = f.phase::text)
        from unnest(enum_range(null::public.booking_phase)) f (phase)
      ) x (collection, whole, listed)
    )
    select row(s.ord, a.booking_id, a.collection, a.table_name, a.key, a.item_id, a.doubted_since,
      case when s.whole or m.booking_id is not null then 'missing' when s.listed = 0 then 'emptied' else 'doubted' end,
      s.fetched_at)::sync.absence
    from absent a
    join stated s on s.booking_id = a.booking_id and s.collection = a.collection
    left join moved m on m.booking_id = a.booking_id and m.collection = a.collection
    order by s.ord, a.collection, a.key);
end;
$$;

comment on function sync.find_absences(sync.planned_snapshot[], sync.row_change[]) is
  'What a page leaves out, with the verdict that its own answer allows: missing at once, doubted or emptied.';

create function sync.note_sightings(page sync.page, plan sync.planned_snapshot[], absences sync.absence[]) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  confirms_after constant interval := case when page.run_id is null then (
    select c.absence_confirm_after from sync.connections c
    where c.organization_id = page.organization_id and c.source = page.source) end;
begin
  insert into sync.doubts as d (booking_id, organization_id, collection, item_id, first_seen_at, last_read_at,
    listed_version, listed_updated_at, risen, emptied)
  select a.booking_id, page.organization_id, a.collection, a.item_id, p.fetched_at, p.fetched_at,
    s.source_version, s.source_updated_at,
    sync.revision_order(p.source_version, p.source_updated_at, s.source_version, s.source_updated_at) > 0,
    a.verdict = 'emptied'
  from unnest(absences) a
  join unnest(plan) p on p.ord = a.ord
  left join sync.source_states s on s.organization_id = page.organization_id and s.source = page.source
    and s.external_id = p.external_id
  where a.verdict in ('doubted', 'emptied')
  on conflict on constraint doubts_pkey do update set
    reads = d.reads + coalesce((not excluded.emptied
      and excluded.last_read_at >= d.first_seen_at + confirms_after)::integer, 0),
    last_read_at = greatest(d.last_read_at, excluded.last_read_at),
    risen = d.risen or excluded.risen,
    emptied = excluded.emptied
  -- The same answer twice is one sighting.
  where d.last_read_at < excluded.last_read_at;
end;
$$;

comment on function sync.note_sightings(sync.page, sync.planned_snapshot[], sync.absence[]) is
  'Opens a doubt for each row that a page leaves out, or counts one more single read without it.';

create function sync.is_believed(doubt sync.doubts, connection sync.connections) returns boolean
language sql immutable
set search_path = ''
as $$
  select not doubt.emptied and doubt.dismissed_at is null and doubt.reads >= 2
    and doubt.last_read_at >= doubt.first_seen_at + connection.absence_confirm_after
    and (doubt.collection in ('products', 'files') or doubt.risen
      or doubt.reads >= 3 and doubt.last_read_at >= doubt.first_seen_at + connection.absence_confirm_slow)
$$;

comment on function sync.is_believed(sync.doubts, sync.connections) is
  'Whether the reads so far confirm that a row is gone: two of a product, a file, or a day whose revision rose; three of another day.';

create function sync.confirm_at(doubt sync.doubts, connection sync.connections) returns timestamptz
language sql stable
set search_path = ''
as $$
  select case
    when e.earliest > now() then e.earliest
    -- The last reads decided nothing: ask again, each time half as long again after the first.
    else now() + least(greatest(connection.absence_confirm_after, (now() - doubt.first_seen_at) / 2), interval '12 hours') end
  from (
    select doubt.first_seen_at + case
      when doubt.collection in ('products', 'files') or doubt.risen or doubt.reads < 2 then connection.absence_confirm_after
      else connection.absence_confirm_slow end
  ) e (earliest)
  where not doubt.emptied and doubt.dismissed_at is null
$$;

comment on function sync.confirm_at(sync.doubts, sync.connections) is
  'When the next read can decide a doubt; null if only a person can.';

create function sync.with_absence_verdict(absence sync.absence, verdict text, since timestamptz) returns sync.absence
language plpgsql immutable
set search_path = ''
as $$
begin
  absence.verdict := with_absence_verdict.verdict;
  absence.since := with_absence_verdict.since;
  return absence;
end;
$$;

comment on function sync.with_absence_verdict(sync.absence, text, timestamptz) is 'The same absence with another verdict.';

create function sync.judge_absences(page sync.page, plan sync.planned_snapshot[], absences sync.absence[]) returns sync.absence[]
language plpgsql
set search_path = ''
as $$
declare
  connection constant sync.connections := (select c from sync.connections c
    where c.organization_id = page.organization_id and c.source = page.source);
begin
  perform sync.note_sightings(page, plan, absences);
  return array(
    select case
      when d.booking_id is null or a.verdict = 'missing' then sync.with_absence_verdict(a, a.verdict, coalesce(a.doubted_since, a.since))
      when d.dismissed_at is not null then sync.with_absence_verdict(a, 'dismissed', d.first_seen_at)
      when sync.is_held(a.booking_id, a.collection) then sync.with_absence_verdict(a, 'held', d.first_seen_at)
      when page.run_id is null and sync.is_believed(d, connection) then sync.with_absence_verdict(a, 'missing', d.first_seen_at)
      else sync.with_absence_verdict(a, a.verdict, d.first_seen_at) end
    from unnest(absences) a
    left join sync.doubts d
      on d.booking_id = a.booking_id and d.collection = a.collection and d.item_id = a.item_id
    order by a.ord, a.collection, a.key);
end;
$$;

comment on function sync.judge_absences(sync.page, sync.planned_snapshot[], sync.absence[]) is
  'The absences of a page after the earlier reads have been heard.';

create function sync.is_held(booking_id bigint, class text) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (select from sync.held_changes h
    where h.booking_id = is_held.booking_id and h.class = is_held.class
      and h.released_at is null and h.dismissed_at is null)
$$;

comment on function sync.is_held(bigint, text) is 'Whether a change of this class waits for a person.';

create function sync.collection_size(booking_id bigint, collection text) returns bigint
language sql stable
set search_path = ''
as $$
  select case collection_size.collection
    when 'products' then (select count(*) from public.booking_products p
      where p.booking_id = collection_size.booking_id and p.source_missing_since is null)
    when 'files' then (select count(*) from public.booking_attachments a
      where a.booking_id = collection_size.booking_id and a.source_missing_since is null and a.origin = 'import')
    else (select count(*) from public.booking_dates d
      where d.booking_id = collection_size.booking_id and d.source_missing_since is null
        and d.phase::text = collection_size.collection) end
$$;

comment on function sync.collection_size(bigint, text) is 'How many rows of a collection are in force.';

create function sync.remaining_absence_budget(page sync.page) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  connection sync.connections;
begin
  -- Locked, so that two workers cannot both spend the last of it.
  select * into connection from sync.connections c
  where c.organization_id = page.organization_id and c.source = page.source
  for no key update;
  return connection.absence_budget - (
    select coalesce(sum(b.rows), 0) from sync.believed_absences b
    where b.connection_id = connection.id and b.believed_at > now() - interval '60 minutes');
end;
$$;

comment on function sync.remaining_absence_budget(sync.page) is
  'Rows that may still go missing in this rolling hour; locks the connection.';

create function sync.find_held_absences(page sync.page, absences sync.absence[])
returns table (booking_id bigint, collection text)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  remaining constant bigint := sync.remaining_absence_budget(page);
begin
  return query
  with groups as (
    select g.*, sync.is_held(g.booking_id, g.collection)
      or g.rows > 25 and 2 * g.rows > sync.collection_size(g.booking_id, g.collection) as too_many
    from (
      select a.ord, a.booking_id, a.collection, count(*) as rows
      from unnest(absences) a where a.verdict = 'missing'
      group by a.ord, a.booking_id, a.collection
    ) g
  )
  select g.booking_id, g.collection
  from (
    select g.*, sum(case when g.too_many then 0 else g.rows end) over (order by g.ord, g.collection) as spent
    from groups g
  ) g
  where g.too_many or g.spent > remaining;
end;
$$;

comment on function sync.find_held_absences(sync.page, sync.absence[]) is
  'The collections that must wait for a person: more than 25 rows and more than half at once, or beyond the budget of the hour.';

create function sync.hold_absences(page sync.page, plan sync.planned_snapshot[], absences sync.absence[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  with written as (
    insert into sync.held_changes as h (organization_id, booking_id, kind, delivery_id, run_id, snapshot, reason)
    select page.organization_id, g.booking_id, g.collection, d.id, page.run_id,
      jsonb_build_object('collection', g.collection, 'items', g.items, 'fetched_at', p.fetched_at),
      format('The source no longer lists %s rows of %s at once; that waits for a person.', g.rows, g.collection)
    from (
      select a.ord, a.booking_id, a.collection, count(*) as rows, jsonb_agg(a.key order by a.key) as items
      from unnest(absences) a where a.verdict = 'held'
      group by a.ord, a.booking_id, a.collection
    ) g
    join unnest(plan) p on p.ord = g.ord
    left join unnest(page.deliveries) d on d.external_id = p.external_id
    on conflict (booking_id, class) where released_at is null and dismissed_at is null
    do update set snapshot = excluded.snapshot, reason = excluded.reason, held_at = now(),
      delivery_id = excluded.delivery_id, run_id = excluded.run_id
    where h.snapshot -> 'items' is distinct from excluded.snapshot -> 'items'
    returning h.organization_id, h.booking_id, h.delivery_id, h.run_id
  )
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, run_id, verdict)
  select w.organization_id, w.booking_id, case when w.delivery_id is null then 'import' else 'webhook' end,
    w.delivery_id, w.run_id, 'held'
  from written w;
end;
$$;

comment on function sync.hold_absences(sync.page, sync.planned_snapshot[], sync.absence[]) is
  'Opens or restates the holds of the collections that wait for a person.';

create function sync.brake_absences(page sync.page, plan sync.planned_snapshot[], absences sync.absence[]) returns sync.absence[]
language plpgsql
set search_path = ''
as $$
begin
  if exists (select from unnest(absences) a where a.verdict = 'missing') then
    absences := array(
      select case when a.verdict = 'missing' and h.booking_id is not null
        then sync.with_absence_verdict(a, 'held', a.since) else a end
      from unnest(absences) a
      left join sync.find_held_absences(page, absences) h on h.booking_id = a.booking_id and h.collection = a.collection
      order by a.ord, a.collection, a.key);
    insert into sync.believed_absences (connection_id, rows)
    select c.id, (select count(*) from unnest(absences) a where a.verdict = 'missing')
    from sync.connections c
    where c.organization_id = page.organization_id and c.source = page.source
      and exists (select from unnest(absences) a where a.verdict = 'missing');
  end if;
  perform sync.hold_absences(page, plan, absences);
  return absences;
end;
$$;

comment on function sync.brake_absences(sync.page, sync.planned_snapshot[], sync.absence[]) is
  'The absences of a page with what the brake stops: a collection of a booking as a whole becomes held (rule: cancelling takes a positive statement).';

-- The days that a held move brought have just been written, and nobody has seen them yet.
create function sync.undo_held_moves(absences sync.absence[], changes sync.row_change[]) returns sync.row_change[]
language plpgsql
set search_path = ''
as $$
declare
  undone constant text[] := array(
    select c.booking_id || ' ' || c.key
    from unnest(changes) c
    where c.table_name = 'booking_dates'
      and (c.operation = 'created' or c.fields #>> '{source_missing_since,0}' is not null)
      and exists (select from unnest(absences) a where a.verdict = 'held' and a.booking_id = c.booking_id
        and a.collection = sync.collection_of(c.table_name, c.key)));
begin
  if cardinality(undone) = 0 then
    return changes;
  end if;
  delete from public.booking_dates d
  using unnest(changes) c
  where c.operation = 'created' and c.booking_id || ' ' || c.key = any (undone)
    and d.booking_id = c.booking_id and d.phase || ' ' || d.day = c.key;
  update public.booking_dates d set source_missing_since = (c.fields #>> '{source_missing_since,0}')::timestamptz
  from unnest(changes) c
  where c.operation = 'updated' and c.booking_id || ' ' || c.key = any (undone)
    and d.booking_id = c.booking_id and d.phase || ' ' || d.day = c.key;
  return array(
    select c from unnest(changes) c
    where c.table_name <> 'booking_dates' or c.booking_id || ' ' || c.key <> all (undone));
end;
$$;

comment on function sync.undo_held_moves(sync.absence[], sync.row_change[]) is
  'Takes the new days of a held move back: it changes no day until a person decides.';

create function sync.mark_absences(absences sync.absence[]) returns setof sync.row_change
language plpgsql
set search_path = ''
as $$
declare
  marks constant sync.absence[] := array(
    select a from unnest(absences) a
    where a.verdict = 'missing' or a.verdict in ('doubted', 'emptied', 'held') and a.doubted_since is null);
begin
  update public.booking_dates d set updated_at = now(),
    source_missing_since = case when m.verdict = 'missing' then m.since end,
    source_doubted_since = case when m.verdict <> 'missing' then m.since end
  from unnest(marks) m
  where m.table_name = 'booking_dates' and d.id = m.item_id and d.booking_id = m.booking_id;
  update public.booking_products p set updated_at = now(),
    source_missing_since = case when m.verdict = 'missing' then m.since end,
    source_doubted_since = case when m.verdict <> 'missing' then m.since end
  from unnest(marks) m
  where m.table_name = 'booking_products' and p.id = m.item_id and p.booking_id = m.booking_id;
  update public.booking_attachments f set updated_at = now(),
    source_missing_since = case when m.verdict = 'missing' then m.since end,
    source_doubted_since = case when m.verdict <> 'missing' then m.since end
  from unnest(marks) m
  where m.table_name = 'booking_attachments' and f.id = m.item_id and f.booking_id = m.booking_id;
  return query
    select m.booking_id, m.table_name, m.key, case when m.verdict = 'missing' then 'marked_missing' else 'updated' end,
      case when m.verdict <> 'missing' then jsonb_build_object('source_doubted_since', jsonb_build_array(null, m.since))
        else jsonb_build_object('source_missing_since', jsonb_build_array(null, m.since))
          || case when m.doubted_since is null then '{}'::jsonb
            else jsonb_build_object('source_doubted_since', jsonb_build_array(m.doubted_since, null)) end end
    from unnest(marks) m;
end;
$$;

comment on function sync.mark_absences(sync.absence[]) is
  'Writes on each row what became of it: doubted or missing, since when. Returns the rows written.';

create function sync.is_listed(doubt sync.doubts, snapshot jsonb) returns boolean
language sql stable
set search_path = ''
as $$
  select case doubt.collection
    when 'products' then snapshot #> '{products,items}' @> (
      select jsonb_build_array(jsonb_build_object('external_id', p.external_id))
      from public.booking_products p where p.id = doubt.item_id)
    when 'files' then snapshot #> '{attachments,items}' @> (
      select jsonb_build_array(jsonb_build_object('url_key', f.url_key))
      from public.booking_attachments f where f.id = doubt.item_id)
    else snapshot #> '{dates,items}' @> (
      select jsonb_build_array(jsonb_build_object('phase', d.phase, 'day', d.day))
      from public.booking_dates d where d.id = doubt.item_id) end
$$;

comment on function sync.is_listed(sync.doubts, jsonb) is 'Whether a snapshot lists the row of a doubt.';

create function sync.settle_doubts(plan sync.planned_snapshot[], absences sync.absence[]) returns bigint[]
language plpgsql
set search_path = ''
as $$
declare
  booking_ids constant bigint[] := array(
    select p.booking_id from unnest(plan) p where p.unsettled
    union
    select a.booking_id from unnest(absences) a);
begin
  delete from sync.doubts d
  using unnest(plan) p
  where d.booking_id = any (booking_ids) and p.booking_id = d.booking_id
    and (exists (select from unnest(absences) a where a.verdict = 'missing' and a.booking_id = d.booking_id
        and a.collection = d.collection and a.item_id = d.item_id)
      or sync.is_listed(d, p.snapshot));
  -- What is held ends with its last doubt: everything is listed again.
  update sync.held_changes h set dismissed_at = now(), by = 'system'
  where h.booking_id = any (booking_ids) and h.released_at is null and h.dismissed_at is null
    and h.class in ('products', 'files', 'rig', 'event', 'rigdown')
    and not exists (select from sync.doubts d where d.booking_id = h.booking_id and d.collection = h.class)
    and not exists (select from unnest(absences) a where a.booking_id = h.booking_id and a.collection = h.class);
  return booking_ids;
end;
$$;

comment on function sync.settle_doubts(sync.planned_snapshot[], sync.absence[]) is
  'Closes the doubts that a page has decided, and returns the bookings that it had something to say about.';

create function sync.note_unsettled(booking_ids bigint[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  update sync.source_states s set unsettled = not s.unsettled
  from public.bookings b
  where b.id = any (booking_ids)
    and s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
    and s.unsettled <> (exists (select from sync.doubts d where d.booking_id = b.id)
      or exists (select from sync.held_changes h
        where h.booking_id = b.id and h.released_at is null and h.dismissed_at is null)
      or exists (select from sync.disagreements g
        where g.booking_id = b.id and (g.ended_at is null or g.outcome = 'disagrees'))
      or exists (select from sync.missing_files f where f.booking_id = b.id));
end;
$$;

comment on function sync.note_unsettled(bigint[]) is 'Says on the states of some bookings whether anything of them is doubted, contradicted, held or missing a file.';

create function sync.schedule_confirms(booking_ids bigint[], own_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
declare
  due sync.deliveries[];
begin
  due := array(
    select sync.new_confirm(c.id, b.external_id, s.requested_seq, q.due_at, q.event_type)
    from public.bookings b
    join sync.connections c on c.organization_id = b.organization_id and c.source = b.source
    join sync.source_states s on s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
    cross join lateral (
      select q.* from (
        select sync.next_read(g, c), 'agreement' from sync.disagreements g where g.booking_id = b.id
        union all
        select sync.next_confirm(b, c), 'absence'
        union all
        select greatest(f.due_at, now()), 'files' from sync.missing_files f where f.booking_id = b.id
      ) q (due_at, event_type)
      where q.due_at is not null order by q.due_at limit 1
    ) q
    where b.id = any (booking_ids)
      and not exists (select from sync.deliveries w where w.connection_id = c.id and w.external_id = b.external_id
        and w.status = 'processing' and w.function = 'confirm' and w.id <> all (own_ids)));

  update sync.deliveries d set status = 'succeeded', result = '{"outcome": "settled"}', next_attempt_at = null, finished_at = now()
  from public.bookings b
  join sync.connections c on c.organization_id = b.organization_id and c.source = b.source
  where b.id = any (booking_ids) and d.connection_id = c.id and d.external_id = b.external_id
    and d.function = 'confirm' and d.status = 'pending'
    and not exists (select from unnest(due) n where n.connection_id = d.connection_id and n.external_id = d.external_id);
  insert into sync.deliveries as d select n.* from unnest(due) n
  on conflict (connection_id, external_id) where function = 'confirm' and status = 'pending'
  do update set next_attempt_at = excluded.next_attempt_at, event_type = excluded.event_type
  where excluded.next_attempt_at < d.next_attempt_at
    or d.next_attempt_at <= now() and d.next_attempt_at <> excluded.next_attempt_at;
end;
$$;

comment on function sync.schedule_confirms(bigint[], uuid[]) is
  'Keeps one pending confirming read for each booking with something undecided, due when the first of it can be decided, and ends the others. One that is being processed will ask again itself, unless it is the caller''s own.';

create function sync.next_confirm(booking public.bookings, connection sync.connections) returns timestamptz
language sql stable
set search_path = ''
as $$
  select min(sync.confirm_at(d, connection))
  from sync.doubts d
  join public.organizations o on o.id = booking.organization_id
  where d.booking_id = booking.id and not sync.is_held(booking.id, d.collection)
    -- What is over, cancelled or deleted needs no confirmation: its source says no more about it.
    and booking.status not in ('CANCELLED', 'REJECTED') and booking.source_missing_since is null
    and (select max(k.day) from public.booking_dates k where k.booking_id = booking.id and k.source_missing_since is null)
      >= (now() at time zone o.time_zone)::date
$$;

comment on function sync.next_confirm(public.bookings, sync.connections) is
  'When the first doubt about a booking can be decided; null if none can.';

create function sync.next_read(disagreement sync.disagreements, connection sync.connections) returns timestamptz
language sql stable
set search_path = ''
as $$
  select case when disagreement.due_at > now() then disagreement.due_at
    -- The last read had nothing to say about it.
    else now() + connection.agreement_waits[cardinality(connection.agreement_waits)] end
  where disagreement.ended_at is null
$$;

comment on function sync.next_read(sync.disagreements, sync.connections) is
  'When a sender''s word is next held against a read; null if the series has ended.';

create function sync.new_confirm(
  connection_id bigint, external_id text, seq bigint, due_at timestamptz, event_type text
) returns sync.deliveries
language plpgsql
set search_path = ''
as $$
declare
  delivery sync.deliveries := sync.new_delivery(new_confirm.connection_id, 'confirm', null, new_confirm.external_id,
    new_confirm.event_type);
begin
  delivery.seq := new_confirm.seq;
  delivery.next_attempt_at := new_confirm.due_at;
  return delivery;
end;
$$;

comment on function sync.new_confirm(bigint, text, bigint, timestamptz, text) is
  'A confirming read that is not stored yet, for an absence or for an agreement.';

create function sync.weigh_absences(page sync.page, plan sync.planned_snapshot[], changes sync.row_change[]) returns sync.row_change[]
language plpgsql
set search_path = ''
as $$
declare
  absences sync.absence[] := sync.find_absences(plan, changes);
  booking_ids bigint[];
begin
  changes := array(select c from unnest(changes) c where c.operation <> 'absent');
  absences := sync.judge_absences(page, plan, absences);
  absences := sync.brake_absences(page, plan, absences);
  changes := sync.undo_held_moves(absences, changes);
  changes := changes || array(select m from sync.mark_absences(absences) m);
  booking_ids := sync.settle_doubts(plan, absences);
  perform sync.note_unsettled(booking_ids);
  perform from sync.review(booking_ids);
  -- Where a sender's word is open as well, the next read is settled with it (54_agreement).
  perform sync.schedule_confirms(array(
    select i.id from unnest(booking_ids) i (id)
    where not exists (select from sync.disagreements g where g.booking_id = i.id and g.ended_at is null)
  ), array(select d.id from unnest(page.deliveries) d));
  return changes;
end;
$$;

comment on function sync.weigh_absences(sync.page, sync.planned_snapshot[], sync.row_change[]) is
  'Decides what follows from what a page leaves out, and writes it. Returns the changes of the page with those of the absences.';

create function sync.doubted_rows(booking_id bigint, collection text) returns setof sync.absence
language sql stable
set search_path = ''
as $$
  select 1, d.booking_id, d.collection, r.table_name, r.key, d.item_id, r.doubted_since, 'missing', d.first_seen_at
  from sync.doubts d
  cross join lateral (
    select 'booking_products', p.external_id, p.source_doubted_since
    from public.booking_products p where d.collection = 'products' and p.id = d.item_id
    union all
    select 'booking_attachments', f.url_key, f.source_doubted_since
    from public.booking_attachments f where d.collection = 'files' and f.id = d.item_id
    union all
    select 'booking_dates', k.phase || ' ' || k.day, k.source_doubted_since
    from public.booking_dates k where d.collection not in ('products', 'files') and k.id = d.item_id
  ) r (table_name, key, doubted_since)
  where d.booking_id = doubted_rows.booking_id and d.collection = doubted_rows.collection
$$;

comment on function sync.doubted_rows(bigint, text) is 'The rows of a collection that are in doubt, as absences to be believed.';

-- The booking first, as a page does.
create function sync.lock_booking(booking_id bigint) returns public.bookings
language plpgsql
set search_path = ''
as $$
declare
  booking public.bookings;
begin
  perform from public.bookings b
  join sync.source_states s on s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
  where b.id = lock_booking.booking_id
  for update of s;
  select * into booking from public.bookings b where b.id = lock_booking.booking_id;
  if booking.id is null then
    raise exception 'There is no booking %', lock_booking.booking_id using errcode = 'P0002';
  end if;
  return booking;
end;
$$;

comment on function sync.lock_booking(bigint) is 'The booking, with its state locked.';

create function sync.check_decision(collection text, by text) returns void
language plpgsql
set search_path = ''
as $$
begin
  if check_decision.collection is null
    or check_decision.collection not in ('products', 'files', 'rig', 'event', 'rigdown') then
    raise exception 'Cannot decide on %: a collection is products, files, rig, event or rigdown', check_decision.collection
      using errcode = '22023';
  end if;
  if coalesce(check_decision.by, '') = '' then
    raise exception 'Cannot decide on an absence: by must say who decides' using errcode = '22023';
  end if;
end;
$$;

comment on function sync.check_decision(text, text) is 'Refuses a decision on an unknown collection, or by nobody.';

create function sync.write_decision(
  booking public.bookings, verdict text, by text, changes sync.row_change[]
) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into public.booking_history (organization_id, booking_id, actor, actor_id, verdict, changes)
  select booking.organization_id, booking.id, 'operator', write_decision.by, write_decision.verdict,
    coalesce(jsonb_object_agg(c.table_name || '[' || c.key || '].' || f.key, f.value), '{}')
  from unnest(changes) c
  cross join jsonb_each(c.fields) f;
  perform from public.project_bookings(array[booking.id]);
  perform sync.note_unsettled(array[booking.id]);
  perform sync.schedule_confirms(array[booking.id], '{}');
end;
$$;

comment on function sync.write_decision(public.bookings, text, text, sync.row_change[]) is
  'The history of a person''s decision, and what follows from it.';

create function public.accept_absence(booking_id bigint, collection text, by text) returns bigint
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  booking public.bookings;
  changes sync.row_change[];
begin
  perform sync.check_decision(accept_absence.collection, accept_absence.by);
  booking := sync.lock_booking(accept_absence.booking_id);
  changes := array(select m from sync.mark_absences(array(
    select a from sync.doubted_rows(booking.id, accept_absence.collection) a)) m);
  delete from sync.doubts d where d.booking_id = booking.id and d.collection = accept_absence.collection;
  -- A held move has more to say than what is gone: the booking is read again.
  perform sync.request_refetch(gen_random_uuid(), c, booking.external_id, 'release')
  from sync.connections c
  where c.organization_id = booking.organization_id and c.source = booking.source
    and sync.is_held(booking.id, accept_absence.collection);
  update sync.held_changes h set released_at = now(), settled_at = now(), by = accept_absence.by
  where h.booking_id = booking.id and h.class = accept_absence.collection
    and h.released_at is null and h.dismissed_at is null;
  if cardinality(changes) > 0 then
    perform sync.write_decision(booking, 'absence_accepted', accept_absence.by, changes);
  end if;
  return cardinality(changes);
end;
$$;

comment on function public.accept_absence(bigint, text, text) is
  'A person says that what the source no longer lists of a collection (products, files, rig, event, rigdown) is gone: it goes out of force, and a hold on it is released. Returns how many rows.';

create function public.dismiss_absence(booking_id bigint, collection text, by text) returns bigint
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  booking public.bookings;
  changes sync.row_change[];
begin
  perform sync.check_decision(dismiss_absence.collection, dismiss_absence.by);
  booking := sync.lock_booking(dismiss_absence.booking_id);
  changes := array(select c from sync.clear_doubts(booking.id, dismiss_absence.collection) c);
  update sync.doubts d set dismissed_at = now(), dismissed_by = dismiss_absence.by
  where d.booking_id = booking.id and d.collection = dismiss_absence.collection and d.dismissed_at is null;
  update sync.held_changes h set dismissed_at = now(), settled_at = now(), by = dismiss_absence.by
  where h.booking_id = booking.id and h.class = dismiss_absence.collection
    and h.released_at is null and h.dismissed_at is null;
  if cardinality(changes) > 0 then
    perform sync.write_decision(booking, 'absence_dismissed', dismiss_absence.by, changes);
  end if;
  return cardinality(changes);
end;
$$;

comment on function public.dismiss_absence(bigint, text, text) is
  'A person says that what the source no longer lists of a collection stays: it is in force without a doubt, and asked again only after the source listed it once more. Returns how many rows.';

create function sync.clear_doubts(booking_id bigint, collection text) returns setof sync.row_change
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  doubted constant sync.absence[] := array(
    select a from sync.doubted_rows(clear_doubts.booking_id, clear_doubts.collection) a where a.doubted_since is not null);
begin
  update public.booking_dates d set source_doubted_since = null, updated_at = now()
  from unnest(doubted) m where m.table_name = 'booking_dates' and d.id = m.item_id;
  update public.booking_products p set source_doubted_since = null, updated_at = now()
  from unnest(doubted) m where m.table_name = 'booking_products' and p.id = m.item_id;
  update public.booking_attachments f set source_doubted_since = null, updated_at = now()
  from unnest(doubted) m where m.table_name = 'booking_attachments' and f.id = m.item_id;
  return query
    select m.booking_id, m.table_name, m.key, 'updated',
      jsonb_build_object('source_doubted_since', jsonb_build_array(m.doubted_since, null))
    from unnest(doubted) m;
end;
$$;

comment on function sync.clear_doubts(bigint, text) is 'Takes the mark of a doubt off the rows of a collection; returns the rows written.';
