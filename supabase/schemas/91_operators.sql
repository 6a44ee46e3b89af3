-- What an operator does by hand: replay, release or dismiss, pause and resume; the state of every
-- connection at a glance; retention.

create function sync.queue_replays(delivery_ids uuid[]) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  written bigint;
begin
  with originals as (
    select d.*, c.organization_id, c.source
    from sync.deliveries d
    join sync.connections c on c.id = d.connection_id
    where d.id = any (delivery_ids)
  ), requested as materialized (
    select r.* from sync.request_reads(array(
      select row(o.organization_id, o.source, o.external_id)::sync.lane from originals o)) r
  ), replays as (
    -- A key of its own, so that dedupe never swallows it.
    insert into sync.deliveries (connection_id, function, dedupe_key, replay_of, event_type,
      external_id, event_timestamp, headers, body, seq, next_attempt_at)
    select o.connection_id, o.function, 'replay:' || gen_random_uuid(), coalesce(o.replay_of, o.id), o.event_type,
      o.external_id, o.event_timestamp, o.headers, o.body, r.requested_seq, now()
    from originals o
    join requested r on r.organization_id = o.organization_id and r.source = o.source and r.external_id = o.external_id
    returning 1
  )
  select count(*) into written from replays;
  return written;
end;
$$;

comment on function sync.queue_replays(uuid[]) is
  'Queues a replay of each of these deliveries and returns how many (rule: same event, one effect; a replay is another event).';

create function public.replay_deliveries(
  delivery_ids uuid[] default null,
  organization_id uuid default null,
  source public.booking_source default null,
  external_id text default null,
  status text default null,
  received_from timestamptz default null,
  received_to timestamptz default null,
  count_only boolean default true
) returns table (matched bigint, replayed bigint, without_booking bigint)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  chosen uuid[];
  nameless bigint;
begin
  if num_nonnulls(replay_deliveries.delivery_ids, replay_deliveries.external_id,
      replay_deliveries.status, replay_deliveries.received_from, replay_deliveries.received_to) = 0 then
    raise exception 'Cannot replay: name deliveries, a booking, a status or a time window'
      using errcode = '22023';
  end if;
  if replay_deliveries.status not in ('pending', 'processing', 'succeeded', 'duplicate', 'stale', 'held', 'invalid', 'dead') then
    raise exception 'Cannot replay: % is not a status of deliveries', replay_deliveries.status using errcode = '22023';
  end if;

  select array_agg(d.id) filter (where d.connection_id is not null and d.external_id is not null),
    count(*) filter (where d.connection_id is null or d.external_id is null)
  into chosen, nameless
  from sync.deliveries d
  left join sync.connections c on c.id = d.connection_id
  where (replay_deliveries.delivery_ids is null or d.id = any (replay_deliveries.delivery_ids))
    and (replay_deliveries.organization_id is null or c.organization_id = replay_deliveries.organization_id)
    and (replay_deliveries.source is null or c.source = replay_deliveries.source)
    and (replay_deliveries.external_id is null or d.external_id = replay_deliveries.external_id)
    and (replay_deliveries.status is null or d.status = replay_deliveries.status)
    -- A window or a status means what was sent to us, once; of dead deliveries only those that no replay
    -- has brought to an end. A replay itself is named by its id.
    and (replay_deliveries.delivery_ids is not null or d.replay_of is null
      and (d.status <> 'dead' or sync.is_given_up(d.id)))
    and (replay_deliveries.received_from is null or d.received_at >= replay_deliveries.received_from)
    and (replay_deliveries.received_to is null or d.received_at < replay_deliveries.received_to);

  return query select coalesce(cardinality(chosen), 0) + nameless,
    case when replay_deliveries.count_only or chosen is null then 0 else sync.queue_replays(chosen) end, nameless;
end;
$$;

comment on function public.replay_deliveries(uuid[], uuid, public.booking_source, text, text, timestamptz, timestamptz, boolean) is
  'Has kept deliveries processed again, by id, by booking, by status and time window; replays themselves by id only, dead ones until a replay has ended well. Counts only, unless count_only is false. Deliveries that name no booking cannot be replayed and are counted apart.';

create function sync.decide_holds(held_change_ids bigint[], by text, dismiss boolean) returns setof sync.held_changes
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  -- The bookings first and in one order, as a page does.
  perform from sync.held_changes h
  join public.bookings b on b.id = h.booking_id
  join sync.source_states s on s.organization_id = b.organization_id and s.source = b.source
    and s.external_id = b.external_id
  where h.id = any (decide_holds.held_change_ids)
  order by s.organization_id, s.source, s.external_id
  for update of s;

  return query
  with decided as (
    update sync.held_changes h set
      released_at = case when not decide_holds.dismiss then now() end,
      dismissed_at = case when decide_holds.dismiss then now() end,
      by = decide_holds.by
    where h.id = any (decide_holds.held_change_ids) and h.released_at is null and h.dismissed_at is null
    returning h.*
  ), noted as (
    insert into public.booking_history (organization_id, booking_id, actor, actor_id, verdict)
    select d.organization_id, d.booking_id, 'operator', decide_holds.by,
      case when decide_holds.dismiss then 'dismissed' else 'released' end
    from decided d
  )
  select d.* from decided d;
end;
$$;

comment on function sync.decide_holds(bigint[], text, boolean) is
  'Releases or dismisses those of these holds that are open, with their history; returns them.';

-- The same statement is known from now on and is not held again; another one is.
create function sync.note_dismissals(decided sync.held_changes[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  update sync.source_states s set content_hash = d.snapshot ->> 'content_hash', updated_at = now()
  from unnest(decided) d
  join public.bookings b on b.id = d.booking_id
  where s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id;
end;
$$;

comment on function sync.note_dismissals(sync.held_changes[]) is 'Takes the statements that were dismissed as known.';

-- What is true now is read afresh and passes the brake; it is compared with the rows, not with a hash.
create function sync.queue_releases(decided sync.held_changes[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  with bookings as materialized (
    select d.id as held_change_id, b.organization_id, b.source, b.external_id, c.id as connection_id
    from unnest(decided) d
    join public.bookings b on b.id = d.booking_id
    join sync.connections c on c.organization_id = b.organization_id and c.source = b.source
  ), requested as materialized (
    select r.* from sync.request_reads(array(
      select row(b.organization_id, b.source, b.external_id)::sync.lane from bookings b)) r
  )
  insert into sync.deliveries (connection_id, function, dedupe_key, event_type, external_id, seq, next_attempt_at)
  select b.connection_id, 'import-bookings', 'release:' || b.held_change_id, 'release', b.external_id, r.requested_seq, now()
  from bookings b
  join requested r on r.organization_id = b.organization_id and r.source = b.source and r.external_id = b.external_id
  on conflict (dedupe_key) where status <> 'duplicate' do nothing;

  update sync.source_states s set content_hash = null
  from unnest(decided) d
  join public.bookings b on b.id = d.booking_id
  where s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id;
end;
$$;

comment on function sync.queue_releases(sync.held_changes[]) is 'Queues a read of each booking that a person has released.';

-- A deletion is not read again: its tombstone may be gone by now. What a person releases is what was stated.
create function sync.release_deletions(decided sync.held_changes[]) returns void
language plpgsql
set search_path = ''
as $$
declare
  departed bigint[];
begin
  with cancelled as (
    update public.bookings b set
      status = (c.booking).status, status_changed_at = now(), cancelled_at = now(), updated_at = now()
    from (
      select jsonb_populate_record(k, sync.status_patch(k.status, 'CANCELLED', now())) as booking, d.by
      from unnest(decided) d
      join public.bookings k on k.id = d.booking_id and k.status = 'CONFIRMED'
    ) c
    where b.id = (c.booking).id
    returning b.id, b.organization_id, c.by
  ), noted as (
    insert into public.booking_history (organization_id, booking_id, actor, actor_id, verdict, changes)
    select c.organization_id, c.id, 'operator', c.by, 'updated',
      jsonb_build_object('bookings.status', jsonb_build_array('CONFIRMED', 'CANCELLED'))
    from cancelled c
  )
  select array_agg(c.id) into departed from cancelled c;
  update sync.held_changes h set settled_at = now() from unnest(decided) d where h.id = d.id;
  perform from public.project_bookings(departed);
  perform sync.note_unsettled(array(select d.booking_id from unnest(decided) d));
end;
$$;

comment on function sync.release_deletions(sync.held_changes[]) is
  'Cancels the bookings whose deletion a person has released; the mark that the source has deleted them stays.';

create function public.release_held_changes(
  held_change_ids bigint[],
  by text,
  dismiss boolean default false
) returns table (held_change_id bigint, booking_id bigint, outcome text)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  decided sync.held_changes[];
begin
  if coalesce(release_held_changes.by, '') = '' then
    raise exception 'Cannot release held changes: by must say who decides' using errcode = '22023';
  end if;
  decided := array(select h from sync.decide_holds(
    release_held_changes.held_change_ids, release_held_changes.by, release_held_changes.dismiss) h);
  if release_held_changes.dismiss then
    perform sync.note_dismissals(array(select d from unnest(decided) d where d.class = 'status'));
    perform public.dismiss_absence(d.booking_id, d.class, release_held_changes.by)
    from unnest(decided) d where d.class not in ('status', 'deleted');
    perform sync.note_unsettled(array(select d.booking_id from unnest(decided) d where d.class = 'deleted'));
  else
    perform sync.queue_releases(array(select d from unnest(decided) d where d.class <> 'deleted'));
    perform sync.release_deletions(array(select d from unnest(decided) d where d.class = 'deleted'));
    perform public.accept_absence(d.booking_id, d.class, release_held_changes.by)
    from unnest(decided) d where d.class not in ('status', 'deleted');
  end if;

  perform from sync.review(array(select d.booking_id from unnest(decided) d));
  return query
  select d.id, d.booking_id, case when release_held_changes.dismiss then 'dismissed' else 'released' end
  from unnest(decided) d
  union all
  select n.id, h.booking_id, case when h.id is null then 'unknown' else 'decided_before' end
  from unnest(release_held_changes.held_change_ids) n (id)
  left join sync.held_changes h on h.id = n.id
  where n.id not in (select d.id from unnest(decided) d);
end;
$$;

comment on function public.release_held_changes(bigint[], text, boolean) is
  'Lets held changes pass: each booking is read afresh and what is then true is applied, past the brake; a deletion cancels its booking at once. With dismiss the held statement is dropped instead.';

create function sync.apply_status_words(organization_id uuid, source public.booking_source, words text[])
returns setof sync.snapshot_verdict
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  page sync.page;
  snapshots jsonb;
  last_id bigint := 0;
begin
  page.organization_id := apply_status_words.organization_id;
  page.source := apply_status_words.source;
  page.force := false;
  page.detailed := false;
  page.compares := true;
  loop
    -- What was read last, said once more: the rows are compared, and nothing newer is undone.
    select jsonb_agg(jsonb_build_object('external_id', k.external_id, 'fetched_at', k.fetched_at,
        'content_hash', k.content_hash, 'source_version', k.source_version, 'source_updated_at', k.source_updated_at,
        'booking', jsonb_build_object('source_status', k.source_status)) order by k.external_id), max(k.id)
    into snapshots, last_id
    from (
      select b.id, b.external_id, b.source_status, coalesce(s.fetched_at, now()) as fetched_at,
        coalesce(s.content_hash, '') as content_hash, s.source_version, s.source_updated_at
      from public.bookings b
      join sync.source_states s on s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
      where b.organization_id = apply_status_words.organization_id and b.source = apply_status_words.source
        and b.id > last_id and b.source_status = any (words)
      order by b.id
      limit 500
    ) k;
    exit when snapshots is null;
    return query select v.* from unnest(sync.apply_page(page, snapshots)) v;
  end loop;
end;
$$;

comment on function sync.apply_status_words(uuid, public.booking_source, text[]) is
  'Reads the status words of stored bookings again, as they were last sent, and applies what they mean now, through the brake.';

create function public.map_status_word(
  organization_id uuid, source public.booking_source, word text, status text, by text
) returns table (external_id text, verdict text)
language plpgsql
set search_path = ''
set enable_nestloop = off
set jit = off
as $$
#variable_conflict use_column
declare
  normal constant text := sync.normalize_word(map_status_word.word);
begin
  if coalesce(normal, '') = '' or coalesce(map_status_word.by, '') = '' then
    raise exception 'Cannot map a status word: word and by must say something' using errcode = '22023';
  end if;
  insert into sync.status_words as w (organization_id, source, word, means, by)
  values (map_status_word.organization_id, map_status_word.source, normal, map_status_word.status, map_status_word.by)
  on conflict on constraint status_words_key do update set means = excluded.means, by = excluded.by;
  return query
  select v.external_id, v.verdict
  from public.organizations o
  cross join lateral (
    select array_agg(distinct b.source_status) as words from public.bookings b
    where b.organization_id = o.id and b.source = map_status_word.source
      and sync.normalize_word(b.source_status) = normal
  ) k
  cross join lateral sync.apply_status_words(o.id, map_status_word.source, k.words) v
  where (map_status_word.organization_id is null or o.id = map_status_word.organization_id) and k.words is not null;
end;
$$;

comment on function public.map_status_word(uuid, public.booking_source, text, text, text) is
  'Says what a status word of a source means, for one organization or (null) for all that have not mapped it: a status of ours, deleted or unchanged. The bookings that have it follow at once, through the brake; one row for each.';

create function public.pause_connection(organization_id uuid, source public.booking_source, reason text)
returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  update sync.connections c set paused_at = coalesce(c.paused_at, now()), pause_reason = pause_connection.reason, updated_at = now()
  where c.organization_id = pause_connection.organization_id and c.source = pause_connection.source;
  if not found then
    raise exception 'Cannot pause: organization % has no connection to %', pause_connection.organization_id, pause_connection.source
      using errcode = 'P0002';
  end if;
end;
$$;

comment on function public.pause_connection(uuid, public.booking_source, text) is
  'Stops claiming for a connection; deliveries are still kept, and no attempt is used up (rule: pausing costs nothing).';

create function public.resume_connection(organization_id uuid, source public.booking_source)
returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  update sync.connections c set paused_at = null, pause_reason = null, updated_at = now()
  where c.organization_id = resume_connection.organization_id and c.source = resume_connection.source;
  if not found then
    raise exception 'Cannot resume: organization % has no connection to %', resume_connection.organization_id, resume_connection.source
      using errcode = 'P0002';
  end if;
end;
$$;

comment on function public.resume_connection(uuid, public.booking_source) is 'Lets a paused connection work again.';

create function public.sync_status()
returns table (
  organization_id uuid, organization_name text, source public.booking_source, enabled boolean,
  paused_at timestamptz, pause_reason text, cursor timestamptz, cursor_lag interval,
  oldest_undone_at timestamptz, due bigint, processing bigint, dead bigint, held bigint,
  last_delivery_at timestamptz, last_success_at timestamptz, deliveries_last_hour bigint,
  usual_deliveries_in_this_hour numeric, runs jsonb, doubted bigint, disagreeing bigint,
  stalest_read_at timestamptz, overdue bigint, odd_today jsonb
)
language sql stable
set search_path = ''
as $$
  select c.organization_id, o.name, c.source, c.enabled, c.paused_at, c.pause_reason, c.cursor,
    now() - c.cursor, q.oldest, q.due, q.processing, q.dead,
    (select count(*) from sync.held_changes h join public.bookings b on b.id = h.booking_id
     where h.organization_id = c.organization_id and b.source = c.source
       and h.released_at is null and h.dismissed_at is null),
    -- The column is to within seconds, and events that change nothing do not touch it.
    greatest(c.last_delivery_at, (select d.received_at from sync.deliveries d
       where d.connection_id = c.id and d.replay_of is null and d.function not in ('import-bookings', 'confirm')
       order by d.received_at desc limit 1)),
    -- What changed nothing is a success too.
    greatest(c.last_success_at,
      (select d.finished_at from sync.deliveries d where d.connection_id = c.id and d.status = 'succeeded'
       order by d.received_at desc limit 1),
      (select max(r.finished_at) from sync.runs r
       where r.organization_id = c.organization_id and r.source = c.source and r.status = 'completed')),
    (select count(*) from sync.deliveries d
     where d.connection_id = c.id and d.received_at > now() - interval '1 hour'
       and d.replay_of is null and d.function not in ('import-bookings', 'confirm')),
    -- The same hour of the last four weeks: silence shows.
    (select round(count(*) / 4.0, 1) from generate_series(1, 4) w (weeks_ago)
     join sync.deliveries d on d.connection_id = c.id
       and d.received_at > now() - interval '1 hour' - w.weeks_ago * interval '7 days'
       and d.received_at <= now() - w.weeks_ago * interval '7 days'
       and d.replay_of is null and d.function not in ('import-bookings', 'confirm')),
    (select jsonb_agg(jsonb_build_object('run_id', r.id, 'mode', r.mode, 'status', r.status,
        'started_at', r.started_at, 'heartbeat_at', r.heartbeat_at, 'counters', r.counters) order by r.started_at)
     from sync.runs r
     where r.organization_id = c.organization_id and r.source = c.source and r.status in ('running', 'stopped')),
    (select count(*) from sync.doubts d join public.bookings b on b.id = d.booking_id
     where d.organization_id = c.organization_id and b.source = c.source and d.dismissed_at is null),
    (select count(*) from sync.disagreements g join public.bookings b on b.id = g.booking_id
     where g.organization_id = c.organization_id and b.source = c.source and g.outcome = 'disagrees'),
    f.stalest, f.overdue,
    (select jsonb_object_agg(n.kind, n.count) from (
      select o.kind, sum(o.count) as count from sync.source_observations o
      where o.connection_id = c.id and o.day = (now() at time zone 'UTC')::date group by o.kind) n)
  from sync.connections c
  join public.organizations o on o.id = c.organization_id
  cross join lateral (
    -- A confirming read waits for its time: it is not behind.
    select min(d.received_at) filter (where d.status in ('pending', 'processing') and d.function <> 'confirm') as oldest,
      count(*) filter (where d.status = 'pending' and d.next_attempt_at <= now()) as due,
      count(*) filter (where d.status = 'processing') as processing,
      count(*) filter (where d.status = 'dead' and d.replay_of is null and sync.is_given_up(d.id)) as dead
    from sync.deliveries d
    where d.connection_id = c.id and d.status in ('pending', 'processing', 'dead')
  ) q
  cross join lateral (
    select min(s.read_at) as stalest, count(*) filter (where s.read_at + s.refresh_after < now()) as overdue
    from sync.source_states s
    where s.organization_id = c.organization_id and s.source = c.source and s.refresh_due_at is not null
  ) f
  order by o.name, c.source
$$;

comment on function public.sync_status() is
  'One row per connection: cursor and its lag, undone and dead deliveries, held changes, last success, this hour''s rate against the same hour of the last four weeks, open runs, rows in doubt (doubted), bookings whose sender and source do not agree (disagreeing), the oldest read of a booking that is kept fresh (stalest_read_at) and how many are older than their rule allows (overdue), what was odd in the source''s answers today (odd_today).';

create function public.prune_deliveries(max_rows integer default 10000)
returns table (bodies bigint, deliveries bigint, runs bigint)
language sql
set search_path = ''
as $$
  with believed as (
    -- They count for an hour.
    delete from sync.believed_absences a where a.believed_at < now() - interval '1 day'
  ), bodies as (
    update sync.deliveries d set body = null, headers = '{}',
      body_hash = encode(sha256(convert_to(d.body::text, 'UTF8')), 'hex')
    where d.id in (
      select o.id from sync.deliveries o
      where o.body is not null and o.finished_at is not null
        and o.received_at < now() - interval '90 days'
        -- What goes altogether needs no hash first.
        and o.received_at >= now() - interval '1 year'
      order by o.received_at
      limit prune_deliveries.max_rows
      for update skip locked)
    returning 1
  ), old as (
    select o.id
    from sync.connections c
    cross join lateral (
      select e.id from sync.deliveries e
      where e.connection_id = c.id and e.finished_at is not null and e.received_at < now() - interval '1 year'
      order by e.received_at
      limit prune_deliveries.max_rows
      for update skip locked
    ) o
    limit prune_deliveries.max_rows
  ), homeless as (
    select e.id from sync.deliveries e
    where e.connection_id is null and e.finished_at is not null and e.received_at < now() - interval '1 year'
    order by e.received_at
    limit prune_deliveries.max_rows
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
      limit prune_deliveries.max_rows / 100 + 1
      for update skip locked)
    returning 1
  )
  select (select count(*) from bodies), (select count(*) from deleted), (select count(*) from deleted_runs)
$$;

comment on function public.prune_deliveries(integer) is
  'One batch of retention: bodies and headers of deliveries finished over 90 days ago (their hash stays), rows over a year old, runs over a year old. Call it again until it returns zeros.';
