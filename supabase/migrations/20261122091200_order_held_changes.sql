-- Purpose: what the brake holds is a statement like any other, and ordered like any other (invariant 3).
-- An event older than a held one was applied and ended the hold; a list that lagged behind ended the
-- hold of a newer revision, or used up a release; a read that began before replaced one from after it.
-- And a release is for the next fresh read: one that began before the person decided does not use it,
-- it lasts a day, and what passes with it counts in the budget of its page. What a person dropped was
-- applied all the same by the next full run, whose list says it in other words, or by a repair: now it
-- stays dropped until the source says something newer or something else.
-- Compatible: same arguments and results; sync.is_released has one argument more.

create function sync.compare_revisions(a jsonb, b jsonb) returns integer
language sql immutable parallel safe
set search_path = ''
as $$
  select coalesce(case when (a ->> 'source_version')::bigint <> (b ->> 'source_version')::bigint
    then sign((a ->> 'source_version')::numeric - (b ->> 'source_version')::numeric)::integer
    when (a ->> 'source_updated_at')::timestamptz > (b ->> 'source_updated_at')::timestamptz then 1
    when (a ->> 'source_updated_at')::timestamptz < (b ->> 'source_updated_at')::timestamptz then -1 end, 0)
$$;

comment on function sync.compare_revisions(jsonb, jsonb) is
  'Of two snapshots, whether the first has the higher revision (1), the lower (-1), or nobody can tell (0). Version before updated_at.';

drop function sync.is_released(bigint);

create function sync.is_released(booking_id bigint, read_at timestamptz) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (select from sync.held_changes h
    where h.booking_id = is_released.booking_id and h.released_at is not null and h.settled_at is null
      and h.released_at <= is_released.read_at and h.released_at > now() - interval '1 day')
$$;

comment on function sync.is_released(bigint, timestamptz) is
  'Whether a person has let this booking pass the brake within a day, before the read began, and no read has followed yet.';

create index held_changes_dropped_idx on sync.held_changes (organization_id, booking_id)
  where dismissed_at is not null and settled_at is null and by <> 'system';

comment on column sync.held_changes.settled_at is
  'When the fresh read after a release was applied; of a change that a person dropped, when the source had said something else.';

create function sync.is_dropped(booking_id bigint, new_status public.booking_status, snapshot jsonb) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (select from sync.held_changes h
    where h.booking_id = is_dropped.booking_id and h.dismissed_at is not null and h.settled_at is null
      and h.by <> 'system' and h.kind = is_dropped.new_status::text
      and sync.compare_revisions(is_dropped.snapshot, h.snapshot) <= 0)
$$;

comment on function sync.is_dropped(bigint, public.booking_status, jsonb) is
  'Whether a person has dropped this very change of status, and the source has said nothing newer and nothing else since.';

-- Few at any time: a page is compared with all of them.
create index source_states_missing_idx on sync.source_states (organization_id, source) where missing_sightings > 0;

-- What is held already has been said as well.
update sync.source_states s set last_event_timestamp = d.event_timestamp, last_event_status = d.event_type
from sync.held_changes h
join public.bookings b on b.id = h.booking_id
join sync.deliveries d on d.id = h.delivery_id
where h.released_at is null and h.dismissed_at is null and b.source = 'headout' and d.function = 'headout-webhook'
  and s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
  and d.event_timestamp collate "C" > coalesce(s.last_event_timestamp, '');

create or replace function sync.hold_change(
  organization_id uuid, booking_id bigint, new_status public.booking_status, snapshot jsonb,
  delivery_id uuid, run_id uuid
) returns boolean
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  written boolean;
begin
  insert into sync.held_changes as h (organization_id, booking_id, kind, delivery_id, run_id, snapshot, reason)
  values (hold_change.organization_id, hold_change.booking_id, hold_change.new_status::text,
    hold_change.delivery_id, hold_change.run_id, hold_change.snapshot,
    format('More bookings left CONFIRMED within an hour than the connection allows; %s waits for a person.', hold_change.new_status))
  on conflict (booking_id) where released_at is null and dismissed_at is null
  do update set kind = excluded.kind, snapshot = excluded.snapshot, delivery_id = excluded.delivery_id,
    run_id = excluded.run_id, held_at = now()
  where (h.kind <> excluded.kind
      or h.snapshot ->> 'content_hash' is distinct from excluded.snapshot ->> 'content_hash')
    -- Nor does an older statement replace a newer one here (invariant 3).
    and case sync.compare_revisions(excluded.snapshot, h.snapshot)
      when 0 then coalesce((excluded.snapshot ->> 'fetched_at')::timestamptz >= (h.snapshot ->> 'fetched_at')::timestamptz, true)
      else sync.compare_revisions(excluded.snapshot, h.snapshot) > 0 end
  returning true into written;
  if written is null then
    return false;
  end if;
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, run_id, verdict)
  values (hold_change.organization_id, hold_change.booking_id,
    case when hold_change.delivery_id is null then 'import' else 'webhook' end,
    hold_change.delivery_id, hold_change.run_id, 'held');
  return true;
end;
$$;

create or replace function sync.apply_page(
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

create or replace function sync.apply_event(
  p_organization_id uuid, p_external_id text, p_event_type text, p_event_timestamp text,
  p_headers jsonb, p_body jsonb,
  out delivery_id uuid, out outcome text, out organization_id uuid, out booking_id bigint,
  out old_status text, out new_status text, out processed_at timestamptz, out lease_token uuid
)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  connection sync.connections := sync.resolve_connection(p_organization_id, 'headout');
  key constant text := concat_ws(':', 'headout', connection.id, p_external_id, p_event_type, p_event_timestamp);
  stated constant public.booking_status := sync.headout_status(p_event_type);
  state sync.source_states;
  booking public.bookings;
  changed public.bookings;
  first sync.deliveries;
  change jsonb;
  refetch boolean;
begin
  if stated is null then
    raise exception 'Cannot apply event: % is not a status of Headout', p_event_type using errcode = '22023';
  end if;
  if connection.id is null then
    apply_event.outcome := case when p_organization_id is null then 'not_configured' else 'unknown_organization' end;
    return;
  end if;
  apply_event.organization_id := connection.organization_id;
  apply_event.processed_at := now();

  insert into sync.source_states (organization_id, source, external_id)
  values (connection.organization_id, 'headout', p_external_id)
  on conflict do nothing;
  select * into state from sync.source_states s
  where s.organization_id = connection.organization_id and s.source = 'headout' and s.external_id = p_external_id
  for update;

  -- The lock above makes this look safe against the same event at the same moment.
  select * into first from sync.deliveries d where d.dedupe_key = key and d.status <> 'duplicate';
  if first.id is not null then
    insert into sync.deliveries (connection_id, function, dedupe_key, duplicate_of, event_type,
      external_id, event_timestamp, headers, body, status, finished_at)
    values (connection.id, 'headout-webhook', key, first.id, p_event_type, p_external_id,
      p_event_timestamp, coalesce(p_headers, '{}'), p_body, 'duplicate', now())
    returning id into apply_event.delivery_id;
    apply_event.outcome := 'duplicate';
    apply_event.booking_id := (first.result ->> 'booking_id')::bigint;
    apply_event.old_status := first.result ->> 'old_status';
    apply_event.new_status := first.result ->> 'new_status';
    return;
  end if;

  select * into booking from public.bookings b
  where b.organization_id = connection.organization_id and b.source = 'headout' and b.external_id = p_external_id
  for update;
  apply_event.booking_id := booking.id;
  apply_event.old_status := booking.status;

  apply_event.outcome := case
    when booking.id is null then 'stub_created'
    when p_event_timestamp collate "C" < state.last_event_timestamp then 'stale'
    when p_event_timestamp = state.last_event_timestamp
      and sync.headout_rank(p_event_type) < sync.headout_rank(state.last_event_status) then 'stale'
    when booking.status = 'REJECTED' and stated <> 'REJECTED' then 'conflict'
    when sync.is_departure(booking.status, stated) and not sync.is_released(booking.id, now())
      and sync.remaining_cancel_budget(connection.organization_id, 'headout') < 1 then 'held'
    else 'applied' end;
  -- An older event needs no second opinion, unless it is of the very same second.
  refetch := apply_event.outcome in ('stub_created', 'applied', 'conflict')
    or apply_event.outcome = 'stale' and p_event_timestamp = state.last_event_timestamp;
  apply_event.new_status := case when apply_event.outcome in ('stub_created', 'applied')
    then stated else booking.status end;

  insert into sync.deliveries (connection_id, function, dedupe_key, event_type, external_id,
    event_timestamp, headers, body, status, next_attempt_at, finished_at)
  values (connection.id, 'headout-webhook', key, p_event_type, p_external_id, p_event_timestamp,
    coalesce(p_headers, '{}'), p_body,
    case when refetch then 'pending' else apply_event.outcome end,
    case when refetch then now() end, case when refetch then null else now() end)
  returning id into apply_event.delivery_id;

  if apply_event.outcome = 'stub_created' then
    insert into public.bookings (organization_id, source, external_id, status, source_status,
      status_changed_at, confirmed_at, completed_at, cancelled_at, rejected_at, is_stub)
    select connection.organization_id, 'headout', p_external_id, stated, p_event_type, now(),
      n.confirmed_at, n.completed_at, n.cancelled_at, n.rejected_at, true
    from jsonb_populate_record(null::public.bookings, sync.status_patch(null, stated, now(), p_event_type = 'COMPLETED')) n
    returning id into apply_event.booking_id;
    change := jsonb_build_object('bookings.status', jsonb_build_array(null, stated),
      'bookings.source_status', jsonb_build_array(null, p_event_type));
  elsif apply_event.outcome = 'applied' then
    changed := jsonb_populate_record(booking, jsonb_build_object('source_status', p_event_type)
      || sync.status_patch(booking.status, stated, now(), p_event_type = 'COMPLETED'));
    update public.bookings b set status = changed.status, source_status = changed.source_status,
      status_changed_at = changed.status_changed_at, confirmed_at = changed.confirmed_at,
      completed_at = changed.completed_at, cancelled_at = changed.cancelled_at,
      rejected_at = changed.rejected_at, updated_at = now()
    where b.id = booking.id and booking is distinct from changed;
    select coalesce(jsonb_object_agg('bookings.' || f.key, f.value), '{}') into change
    from jsonb_each(sync.changed_fields(to_jsonb(booking), to_jsonb(changed))) f;
    update sync.held_changes h set
      dismissed_at = case when h.released_at is null then now() end,
      settled_at = case when h.released_at is not null then now() end,
      by = coalesce(h.by, 'system')
    where h.booking_id = booking.id and h.dismissed_at is null
      and (h.released_at is null or h.settled_at is null);
    update sync.held_changes h set settled_at = now()
    where h.booking_id = booking.id and h.dismissed_at is not null and h.settled_at is null
      and h.by <> 'system' and h.kind <> stated::text;
  elsif apply_event.outcome = 'held' then
    perform sync.hold_change(connection.organization_id, booking.id, stated,
      jsonb_build_object('external_id', p_external_id, 'event', p_body, 'content_hash', key, 'fetched_at', now()),
      apply_event.delivery_id, null);
  end if;

  if apply_event.outcome in ('applied', 'stub_created', 'conflict') then
    insert into public.booking_history (organization_id, booking_id, actor, delivery_id, verdict, changes)
    values (connection.organization_id, apply_event.booking_id, 'webhook', apply_event.delivery_id,
      apply_event.outcome, coalesce(change, '{}'));
    perform from public.project_bookings(array[apply_event.booking_id]);
  end if;

  if apply_event.outcome <> 'stale' then
    -- Dated at arrival, so that a page read before cannot undo it; the next fetch is compared with
    -- the rows, not with a hash. What the brake stopped has been said all the same: an event of before
    -- is older than it.
    update sync.source_states s set
      last_event_timestamp = p_event_timestamp,
      last_event_status = p_event_type,
      content_hash = null,
      fetched_at = case when apply_event.outcome in ('applied', 'stub_created') then greatest(now(), s.fetched_at) else s.fetched_at end,
      updated_at = now()
    where s.organization_id = connection.organization_id and s.source = 'headout' and s.external_id = p_external_id;
  end if;

  if refetch then
    select l.lease_token into apply_event.lease_token
    from sync.enter_lane(apply_event.delivery_id, connection, true) l;
  end if;

  update sync.deliveries d set result = jsonb_build_object(
    'outcome', apply_event.outcome, 'booking_id', apply_event.booking_id,
    'old_status', apply_event.old_status, 'new_status', apply_event.new_status, 'processed_at', now())
  where d.id = apply_event.delivery_id;
end;
$$;

revoke all on function sync.compare_revisions(jsonb, jsonb), sync.is_released(bigint, timestamptz),
  sync.is_dropped(bigint, public.booking_status, jsonb) from public, anon, authenticated;
grant execute on function sync.compare_revisions(jsonb, jsonb), sync.is_released(bigint, timestamptz),
  sync.is_dropped(bigint, public.booking_status, jsonb) to service_role;
