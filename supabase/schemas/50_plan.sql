-- What each snapshot of a page is: new, newer, the same, older, or not to be believed. Reads and locks;
-- writes nothing but the empty state of a new booking.
--
-- Which statement wins (rules: older never overwrites newer · a fetch is dated when it was read):
-- equal content is unchanged whatever its revision. Otherwise the revision decides where both sides
-- have one (sync.revision_order), and else which read began later. With force neither the hash nor the
-- revision counts, and with compares the hash does not: a repair compares with the rows, and still undoes
-- nothing newer than its read. While
-- something of a booking is unsettled, equal content ends no single read of it: the second read that
-- lacks a product is equal to the first.
--
-- Source states are looked up row by row on purpose (lateral, offset 0): on a fresh database, without
-- statistics, the planner would read every state of the organization for every snapshot.

-- The structure that the writers rely on. Finer checks are the decoder's (zod); what slips through both
-- fails as a constraint or a cast, and then only that snapshot is refused.
create function sync.snapshot_error(snapshot jsonb) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  select jsonb_build_object('code', 'invalid_snapshot', 'field', e.field, 'message', e.message)
  from (
    select case
      when jsonb_typeof(snapshot) <> 'object' then array['', 'is not an object']
      when jsonb_typeof(snapshot -> 'external_id') is distinct from 'string'
        or length(snapshot ->> 'external_id') not between 1 and 200
        then array['external_id', 'must be 1 to 200 characters']
      when jsonb_typeof(snapshot -> 'content_hash') is distinct from 'string'
        then array['content_hash', 'must be a string']
      when jsonb_typeof(snapshot -> 'fetched_at') is distinct from 'string'
        then array['fetched_at', 'must be an instant']
      when jsonb_typeof(snapshot -> 'booking') is distinct from 'object'
        then array['booking', 'must be an object']
      when jsonb_typeof(snapshot #> '{booking,status}') is distinct from null
        and not coalesce(snapshot #>> '{booking,status}' = any (enum_range(null::public.booking_status)::text[]), false)
        then array['booking.status', 'is not a status of ours']
      when snapshot -> 'dates' is not null
        and jsonb_typeof(snapshot #> '{dates,items}') is distinct from 'array'
        then array['dates.items', 'must be a list']
      when snapshot -> 'products' is not null
        and jsonb_typeof(snapshot #> '{products,items}') is distinct from 'array'
        then array['products.items', 'must be a list']
      when snapshot -> 'attachments' is not null
        and jsonb_typeof(snapshot #> '{attachments,items}') is distinct from 'array'
        then array['attachments.items', 'must be a list']
    end as found
  ) as f (found)
  cross join lateral (select found[1], found[2]) as e (field, message)
  where found is not null
$$;

comment on function sync.snapshot_error(jsonb) is 'What is wrong with the structure of a snapshot: { code, field, message }; null if nothing.';

-- One pass over the page. Most of a re-import ends here: the same content under no other revision, so
-- there is nothing to lock and nothing to write.
create function sync.read_page(page sync.page, snapshots jsonb) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
begin
  return (
    select array_agg(h::sync.planned_snapshot order by h.ord)
    from (
      select c.ord as ord, c.external_id as external_id,
        case when c.verdict is null then c.snapshot end as snapshot,
        c.content_hash as content_hash, c.fetched_at as fetched_at,
        c.source_updated_at as source_updated_at, c.source_version as source_version,
        c.verdict as verdict, null::jsonb as error, c.booking_id as booking_id, null::boolean as is_new,
        null::public.booking_status as old_status, null::public.booking_status as new_status,
        c.unsettled as unsettled, null::boolean as newer, null::boolean as contradicts,
        null::boolean as withstood, null::timestamptz as contradicted_at,
        c.read_at + c.refresh_after / 2 < c.fetched_at as ages,
        -- Once for each content: where texts differ at each read, nothing is gained by noting them.
        case when c.raw_content_hash is distinct from c.content_hash then c.snapshot ->> 'raw_hash' end as raw_hash
      from (
        select r.*, b.id as booking_id, s.unsettled, s.read_at, s.refresh_after, s.raw_content_hash,
          case
            when s.content_hash = r.content_hash and not page.force and not page.compares
              and not (s.unsettled and page.run_id is null)
              and coalesce(r.source_version = s.source_version, r.source_version is null)
              and coalesce(r.source_updated_at = s.source_updated_at, r.source_updated_at is null) then 'unchanged'
          end as verdict
        from (
          select e.ord::integer as ord, e.snapshot, e.snapshot ->> 'external_id' as external_id,
            e.snapshot ->> 'content_hash' as content_hash,
            -- No later than our clock and no earlier than the claim: an isolate's clock may be wrong, and
            -- a read cannot have begun in the future or before the work was handed out.
            least(now(), greatest((e.snapshot ->> 'fetched_at')::timestamptz, d.claimed_at)) as fetched_at,
            (e.snapshot ->> 'source_updated_at')::timestamptz as source_updated_at,
            (e.snapshot ->> 'source_version')::bigint as source_version
          from jsonb_array_elements(read_page.snapshots) with ordinality as e (snapshot, ord)
          left join unnest(page.deliveries) d on d.external_id = e.snapshot ->> 'external_id'
        ) r
        left join lateral (
          select t.content_hash, t.source_version, t.source_updated_at, t.unsettled, t.read_at, t.refresh_after, t.raw_content_hash
          from sync.source_states t
          where t.organization_id = page.organization_id and t.source = page.source
            and t.external_id = r.external_id
          offset 0
        ) s on true
        left join lateral (
          select k.id from public.bookings k
          where k.organization_id = page.organization_id and k.source = page.source
            and k.external_id = r.external_id
          offset 0
        ) b on true
      ) c
    ) h
  );
end;
$$;

comment on function sync.read_page(sync.page, jsonb) is
  'The plan of a page as far as it shows without a lock: what is unchanged. The rest has no verdict yet.';

create function sync.drop_repeated(plan sync.planned_snapshot[]) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
begin
  if (select count(*) = count(distinct p.external_id) from unnest(plan) p where p.external_id is not null) then
    return plan;
  end if;
  return array(
    select case when p.verdict is null and exists (
        select from unnest(plan) o
        where o.external_id = p.external_id and o.ord <> p.ord
          and (sync.revision_order(o.source_version, o.source_updated_at, p.source_version, p.source_updated_at),
            o.fetched_at, o.ord) > (0, p.fetched_at, p.ord))
      then sync.with_verdict(p, 'stale') else p end
    from unnest(plan) p order by p.ord);
end;
$$;

comment on function sync.drop_repeated(sync.planned_snapshot[]) is
  'Of two snapshots of one booking in a page the newer wins; the other is stale.';


create function sync.decide(
  planned sync.planned_snapshot, state sync.source_states, booking public.bookings, page sync.page,
  connection sync.connections
) returns sync.planned_snapshot
language plpgsql
set search_path = ''
as $$
declare
  revision constant integer := sync.revision_order(planned.source_version, planned.source_updated_at,
    state.source_version, state.source_updated_at);
  -- A first revision is news too, unless it was read before what is known.
  newer constant boolean := revision > 0
    or (state.source_version is null and planned.source_version is not null
        or state.source_updated_at is null and planned.source_updated_at is not null)
      and planned.fetched_at >= coalesce(state.fetched_at, '-infinity');
  stated constant jsonb := planned.snapshot -> 'booking';
begin
  planned.unsettled := state.unsettled;
  planned.newer := newer;
  planned.booking_id := booking.id;
  planned.is_new := booking.id is null;
  planned.old_status := booking.status;
  planned.new_status := coalesce((stated ->> 'status')::public.booking_status, booking.status, 'PENDING');
  planned.verdict := case
    when not page.force and not page.compares and state.content_hash = planned.content_hash and not (state.unsettled and page.run_id is null)
      then case when newer then 'revision' else 'unchanged' end
    when not page.force and revision < 0 then 'stale'
    when (page.force or not newer) and planned.fetched_at < state.fetched_at then 'stale'
    -- A tombstone of a booking that we never had makes no row, but what was stated before it is older
    -- from now on. A cancellation of which only the status is known is a tombstone.
    when booking.id is null and (planned.snapshot ? 'deleted' or stated ->> 'status' = 'CANCELLED')
      and stated - array['status', 'source_status'] = '{}'
      and not planned.snapshot ?| array['dates', 'products', 'attachments'] then 'revision'
    -- Over before the connection's first day, and never stored: left to history.
    when booking.id is null and connection.not_before > (
      select max((i.item ->> 'day')::date)
      from jsonb_array_elements(planned.snapshot #> '{dates,items}') i (item)) then 'skipped'
    else 'apply' end;
  -- Drawn here, so that children and projections can name their booking at once.
  if planned.is_new and planned.verdict = 'apply' then
    planned.booking_id := nextval('public.bookings_id_seq');
  end if;
  if state.last_event_at is not null then
    planned := sync.weigh_event(planned, state, page, connection);
  end if;
  return planned;
end;
$$;

comment on function sync.decide(sync.planned_snapshot, sync.source_states, public.bookings, sync.page, sync.connections) is
  'The verdict on one snapshot, against the locked state of its booking.';

create function sync.read_status(planned sync.planned_snapshot, word text, means text) returns sync.planned_snapshot
language plpgsql immutable
set search_path = ''
as $$
begin
  planned.snapshot := case
    when read_status.means is null then planned.snapshot || jsonb_build_object('warnings',
      coalesce(planned.snapshot -> 'warnings', '[]') || jsonb_build_array(jsonb_build_object('field', 'status',
        'code', 'unknown_status', 'message', format('"%s" is not a status that we know; ours stays as it is', read_status.word))))
    when read_status.means = 'unchanged' then planned.snapshot
    when read_status.means = 'deleted' then planned.snapshot || '{"deleted": true}'
    else jsonb_set(planned.snapshot, '{booking,status}', to_jsonb(read_status.means)) end;
  return planned;
end;
$$;

comment on function sync.read_status(sync.planned_snapshot, text, text) is
  'The same snapshot with the status that its word means, or with a warning if nobody has said what that is.';

create function sync.plan_page(page sync.page, snapshots jsonb) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
declare
  plan sync.planned_snapshot[] := sync.read_page(page, snapshots);
  open_ids text[];
begin
  if page.deliveries is null and not exists (select from unnest(plan) p where p.verdict is null) then
    return plan;
  end if;
  plan := sync.drop_repeated(plan);
  plan := array(
    select case when e.error is null then p else sync.with_verdict(p, 'invalid', e.error) end
    from unnest(plan) p
    cross join lateral (select case when p.verdict is null then sync.snapshot_error(p.snapshot) end offset 0) e (error)
    order by p.ord);

  -- With them those whose delivery will be settled, even if nothing of them is to be written.
  open_ids := array(select p.external_id from unnest(plan) p where p.verdict is null);
  perform sync.lock_states(page.organization_id, page.source, open_ids || array(
    select p.external_id from unnest(plan) p join unnest(page.deliveries) d on d.external_id = p.external_id
  ), open_ids);
  return sync.decide_page(page, plan);
end;
$$;

comment on function sync.plan_page(sync.page, jsonb) is
  'Decides what each snapshot of a page is, and locks the bookings that are to be written.';

create function sync.decide_page(page sync.page, plan sync.planned_snapshot[]) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  connection constant sync.connections := (select c from sync.connections c
    where c.organization_id = page.organization_id and c.source = page.source);
begin
  return array(
    with words as materialized (
      select w.word, sync.meaning_of(page.organization_id, page.source, w.word) as means
      from (
        select distinct k.snapshot #>> '{booking,source_status}' as word from unnest(plan) k
        where k.verdict is null and not k.snapshot -> 'booking' ? 'status'
      ) w
    )
    select case when p.verdict is null then
      sync.decide(case when w.word is null then p else sync.read_status(p, w.word, w.means) end, s.state, b.booking, page, connection) else p end
    from unnest(plan) p
    left join words w on p.verdict is null and not p.snapshot -> 'booking' ? 'status'
      and w.word = p.snapshot #>> '{booking,source_status}'
    left join lateral (
      select t as state from sync.source_states t
      where t.organization_id = page.organization_id and t.source = page.source and t.external_id = p.external_id
      offset 0
    ) s on true
    left join lateral (
      select k as booking from public.bookings k
      where k.organization_id = page.organization_id and k.source = page.source and k.external_id = p.external_id
      offset 0
    ) b on true
    order by p.ord);
end;
$$;

comment on function sync.decide_page(sync.page, sync.planned_snapshot[]) is
  'The plan with a verdict on each snapshot. A statement of its own, so that it sees what was committed while we waited for the locks.';

create function sync.lock_page(organization_id uuid, source public.booking_source, snapshots jsonb) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  ids constant text[] := array(
    select e.snapshot ->> 'external_id' from jsonb_array_elements(lock_page.snapshots) e (snapshot)
    where sync.snapshot_error(e.snapshot) is null);
begin
  perform sync.lock_states(lock_page.organization_id, lock_page.source, ids, ids);
  perform from sync.connections c
  where c.organization_id = lock_page.organization_id and c.source = lock_page.source
  for no key update;
end;
$$;

comment on function sync.lock_page(uuid, public.booking_source, jsonb) is
  'Locks the bookings of a page in one order, and then their connection, for a caller that does more than one thing with the page.';
