-- The brake (rule: cancelling takes a positive statement). Counted is every departure of a booking from
-- CONFIRMED within the last hour, whichever path brought it. Beyond the connection's cancel_budget a
-- departure is held for a person:
--   - released, the next read that begins within a day passes the brake;
--   - dismissed, the change stays dropped until the source states something newer or something else;
--   - a later statement that was applied ends the hold.
-- What is held has been stated, and is ordered like any other statement.
--
-- That a confirmed booking is deleted at its source is held as well, however few there are: the mark
-- stands at once, the booking stays confirmed until a person releases the deletion.

create function sync.remaining_cancel_budget(organization_id uuid, source public.booking_source)
returns integer
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  budget integer;
begin
  -- Locked, so that two workers cannot both spend the last of it.
  select c.cancel_budget into budget from sync.connections c
  where c.organization_id = remaining_cancel_budget.organization_id
    and c.source = remaining_cancel_budget.source
  for no key update;
  return greatest(0, budget - (
    select count(*)::integer
    from public.booking_history h
    where h.organization_id = remaining_cancel_budget.organization_id
      and h.at > now() - interval '60 minutes'
      and (h.changes -> 'bookings.status' ->> 0) = 'CONFIRMED'
      -- Anybody who can send an event can invent a booking: one that no read has shown spends nothing.
      and exists (select from public.bookings b
        where b.id = h.booking_id and b.source = remaining_cancel_budget.source and not b.is_stub)
  ));
end;
$$;

comment on function sync.remaining_cancel_budget(uuid, public.booking_source) is
  'Departures from CONFIRMED that a connection may still make in this rolling hour; locks the connection.';

create function sync.is_released(booking_id bigint, read_at timestamptz) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (select from sync.held_changes h
    where h.booking_id = is_released.booking_id and h.class = 'status'
      and h.released_at is not null and h.settled_at is null
      and h.released_at <= is_released.read_at and h.released_at > now() - interval '1 day')
$$;

comment on function sync.is_released(bigint, timestamptz) is
  'Whether a person has released this booking within a day, before this read began, and no read has used it yet.';

create function sync.deletion_is_new(booking_id bigint) returns boolean
language sql stable
set search_path = ''
as $$
  select not exists (select from sync.held_changes h
    where h.booking_id = deletion_is_new.booking_id and h.kind = 'deleted' and h.dismissed_at is not null
      and h.settled_at is null and h.by <> 'system')
$$;

comment on function sync.deletion_is_new(bigint) is
  'Whether no person has dismissed the deletion of this booking, or its source has listed it again since.';

create function sync.is_dropped(booking_id bigint, new_status public.booking_status, snapshot jsonb) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (select from sync.held_changes h
    where h.booking_id = is_dropped.booking_id and h.dismissed_at is not null and h.settled_at is null
      and h.by <> 'system' and h.kind = is_dropped.new_status::text
      and sync.compare_snapshots(is_dropped.snapshot, h.snapshot) <= 0)
$$;

comment on function sync.is_dropped(bigint, public.booking_status, jsonb) is
  'Whether a person has dismissed this very change of status, and the source has stated nothing newer and nothing else since.';

create function sync.hold_change(
  organization_id uuid, booking_id bigint, kind text, snapshot jsonb, delivery_id uuid, run_id uuid
) returns boolean
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  written boolean;
begin
  insert into sync.held_changes as h (organization_id, booking_id, kind, delivery_id, run_id, snapshot, reason)
  values (hold_change.organization_id, hold_change.booking_id, hold_change.kind,
    hold_change.delivery_id, hold_change.run_id, hold_change.snapshot,
    case hold_change.kind when 'deleted' then 'The source says that it has deleted the booking; that waits for a person.'
      else format('More bookings left CONFIRMED within an hour than the connection allows; %s waits for a person.',
        hold_change.kind) end)
  on conflict (booking_id, class) where released_at is null and dismissed_at is null
  do update set kind = excluded.kind, snapshot = excluded.snapshot, delivery_id = excluded.delivery_id,
    run_id = excluded.run_id, held_at = now()
  where (h.kind <> excluded.kind
      or h.snapshot ->> 'content_hash' is distinct from excluded.snapshot ->> 'content_hash')
    -- rule: older never overwrites newer
    and case sync.compare_snapshots(excluded.snapshot, h.snapshot)
      when 1 then true
      when -1 then false
      else coalesce((excluded.snapshot ->> 'fetched_at')::timestamptz >= (h.snapshot ->> 'fetched_at')::timestamptz, true) end
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

comment on function sync.hold_change(uuid, bigint, text, jsonb, uuid, uuid) is
  'Opens the hold of one booking, or replaces an older one; the same statement writes nothing. True if anything was written.';

create function sync.keep_status(planned sync.planned_snapshot) returns sync.planned_snapshot
language plpgsql immutable
set search_path = ''
as $$
begin
  planned.snapshot := planned.snapshot #- '{booking,status}' #- '{booking,source_status}';
  planned.new_status := planned.old_status;
  return planned;
end;
$$;

comment on function sync.keep_status(sync.planned_snapshot) is
  'The same snapshot without its status; the rest of the statement still applies.';

create function sync.hold_deletions(page sync.page, plan sync.planned_snapshot[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform sync.hold_change(page.organization_id, p.booking_id, 'deleted',
    p.snapshot || jsonb_build_object('fetched_at', p.fetched_at), d.id, page.run_id)
  from unnest(plan) p
  left join unnest(page.deliveries) d on d.external_id = p.external_id
  where p.verdict = 'apply' and p.old_status = 'CONFIRMED' and p.snapshot ? 'deleted'
    and sync.deletion_is_new(p.booking_id);
  perform sync.note_unsettled(array(
    select p.booking_id from unnest(plan) p where p.verdict = 'apply' and p.snapshot ? 'deleted'));
  perform from sync.review(array(
    select p.booking_id from unnest(plan) p where p.verdict = 'apply' and p.snapshot ? 'deleted'));
end;
$$;

comment on function sync.hold_deletions(sync.page, sync.planned_snapshot[]) is
  'Holds the deletions of confirmed bookings in a page, unless a person has dismissed them.';

create function sync.apply_brake(page sync.page, plan sync.planned_snapshot[]) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
declare
  -- Departures that no person has released, in the order of the page.
  counted integer[];
  allowed integer;
begin
  if exists (select from unnest(plan) p where p.verdict = 'apply' and p.snapshot ? 'deleted') then
    perform sync.hold_deletions(page, plan);
  end if;
  if not exists (select from unnest(plan) p
                 where p.verdict = 'apply' and sync.is_departure(p.old_status, p.new_status)) then
    return plan;
  end if;

  plan := array(
    select case when p.verdict = 'apply' and sync.is_departure(p.old_status, p.new_status)
        and sync.is_dropped(p.booking_id, p.new_status, p.snapshot)
      then sync.keep_status(p) else p end
    from unnest(plan) p order by p.ord);
  counted := array(
    select p.ord from unnest(plan) p
    where p.verdict = 'apply' and sync.is_departure(p.old_status, p.new_status)
      and not sync.is_released(p.booking_id, p.fetched_at)
    order by p.ord);
  -- A release counts too, but is never held for it.
  allowed := greatest(0, sync.remaining_cancel_budget(page.organization_id, page.source) - (
    select count(*)::integer from unnest(plan) p
    where p.verdict = 'apply' and sync.is_departure(p.old_status, p.new_status) and p.ord <> all (counted)));
  plan := array(
    select case when p.ord = any (counted[allowed + 1:]) then sync.with_verdict(p, 'held') else p end
    from unnest(plan) p order by p.ord);

  perform sync.hold_change(page.organization_id, p.booking_id, p.new_status::text,
    p.snapshot || jsonb_build_object('fetched_at', p.fetched_at), d.id, page.run_id)
  from unnest(plan) p
  left join unnest(page.deliveries) d on d.external_id = p.external_id
  where p.verdict = 'held';
  perform from sync.review(array(select p.booking_id from unnest(plan) p where p.verdict = 'held'));
  return plan;
end;
$$;

comment on function sync.apply_brake(sync.page, sync.planned_snapshot[]) is
  'The plan of a page with what the brake stops: departures beyond the budget become held, and one that a person has dismissed keeps its status.';

-- The guards look at one index: most pages end no hold.
create function sync.end_holds(organization_id uuid, plan sync.planned_snapshot[]) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  ended bigint[];
begin
  -- An applied statement ends the hold of an older one, and uses up a release.
  if exists (select from sync.held_changes h
             where h.organization_id = end_holds.organization_id and h.class in ('status', 'deleted')
               and h.dismissed_at is null and (h.released_at is null or h.settled_at is null)) then
    with over as (
      update sync.held_changes h set
        dismissed_at = case when h.released_at is null then now() end,
        settled_at = case when h.released_at is not null then now() end,
        by = coalesce(h.by, 'system')
      from unnest(plan) p
      where h.booking_id = p.booking_id and h.organization_id = end_holds.organization_id
        and (h.class = 'status' or h.class = 'deleted' and not p.snapshot ? 'deleted')
        and h.dismissed_at is null and (h.released_at is null or h.settled_at is null)
        and p.verdict in ('apply', 'unchanged', 'revision') and p.withstood is not true
        and coalesce(h.released_at, h.held_at) < coalesce(p.fetched_at, now())
        -- A list that lags says nothing about what was stated after it.
        and sync.revision_order(p.source_version, p.source_updated_at,
          (h.snapshot ->> 'source_version')::bigint, (h.snapshot ->> 'source_updated_at')::timestamptz) >= 0
      returning h.booking_id
    )
    select array_agg(distinct o.booking_id) into ended from over o;
    perform from sync.review(coalesce(ended, '{}'));
  end if;

  -- A dismissed change is over once the source states something else.
  if exists (select from sync.held_changes h
             where h.organization_id = end_holds.organization_id and h.dismissed_at is not null
               and h.settled_at is null and h.by <> 'system') then
    update sync.held_changes h set settled_at = now()
    from unnest(plan) p
    where h.organization_id = end_holds.organization_id and h.booking_id = p.booking_id
      and h.dismissed_at is not null and h.settled_at is null and h.by <> 'system'
      and p.verdict in ('apply', 'revision') and p.withstood is not true and h.dismissed_at < coalesce(p.fetched_at, now())
      and case h.kind when 'deleted' then not p.snapshot ? 'deleted'
        else p.snapshot #>> '{booking,status}' <> h.kind end
      and sync.revision_order(p.source_version, p.source_updated_at,
        (h.snapshot ->> 'source_version')::bigint, (h.snapshot ->> 'source_updated_at')::timestamptz) >= 0;
  end if;
end;
$$;

comment on function sync.end_holds(uuid, sync.planned_snapshot[]) is
  'Ends the holds, the releases and the dismissals that the statements of a page have overtaken.';
