-- Purpose: decide, for a page of snapshots at once, what each one is: new, newer, the same, older,
-- or not to be believed. Reads and locks; writes only the empty source state of a new booking.
--
-- Order (invariants 3 and 4): a revision, where both sides have one, decides (version before
-- updated_at). Equal or unknown revisions are ordered by when the read began. Equal content is
-- unchanged whatever its revision. With force neither the hash nor the revision counts, what was read
-- last does: a repair compares with the rows, and still undoes nothing that is newer than its read.

create type sync.planned_snapshot as (
  ord integer,
  external_id text,
  verdict text,
  error jsonb,
  snapshot jsonb,
  content_hash text,
  fetched_at timestamptz,
  source_updated_at timestamptz,
  source_version bigint,
  booking_id bigint,
  is_new boolean,
  old_status public.booking_status,
  new_status public.booking_status
);

comment on type sync.planned_snapshot is
  'A snapshot with its verdict: apply, unchanged, revision (same content, newer revision), stale, held, skipped (over before the connection''s first day) or invalid.';

-- Structure that the writers rely on. Finer checks are the decoder's (zod); what slips through both
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

-- Source states are looked up row by row on purpose (lateral, offset 0): on a fresh database, without
-- statistics, the planner would else read every state of the organization for every snapshot.
create function sync.plan_snapshots(
  organization_id uuid,
  source public.booking_source,
  snapshots jsonb,
  deliveries sync.deliveries[],
  force boolean
) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  heads sync.planned_snapshot[];
  planned sync.planned_snapshot[];
  first_day date;
begin
  -- One pass over the page. Most of a re-import ends here: the same content and no newer revision,
  -- so there is nothing to lock and nothing to write.
  select array_agg(row(
      h.ord, h.external_id, h.verdict, null,
      case when h.verdict is null then h.snapshot end,
      h.content_hash, h.fetched_at, h.source_updated_at, h.source_version,
      h.booking_id, null, null, null)::sync.planned_snapshot order by h.ord)
  into heads
  from (
    select r.ord, r.external_id, r.snapshot, r.content_hash, r.fetched_at, r.source_updated_at, r.source_version,
      b.id as booking_id,
      case
        when s.content_hash = r.content_hash and not plan_snapshots.force
          and coalesce(r.source_version, -1) <= coalesce(s.source_version, -1)
          and coalesce(r.source_updated_at, '-infinity') <= coalesce(s.source_updated_at, '-infinity')
          then 'unchanged'
        -- Of two snapshots of one booking the newer wins.
        when r.external_id is not null and row_number() over (partition by r.external_id order by r.source_version desc nulls last,
          r.source_updated_at desc nulls last, r.fetched_at desc, r.ord desc) > 1 then 'stale'
      end as verdict
    from (
      select
        e.ord::integer as ord,
        e.snapshot,
        e.snapshot ->> 'external_id' as external_id,
        e.snapshot ->> 'content_hash' as content_hash,
        -- Clamped to our clock and to the claim: an isolate's clock may be wrong, and a read can
        -- have begun neither in the future nor before the work was handed out.
        least(now(), greatest((e.snapshot ->> 'fetched_at')::timestamptz, d.claimed_at)) as fetched_at,
        (e.snapshot ->> 'source_updated_at')::timestamptz as source_updated_at,
        (e.snapshot ->> 'source_version')::bigint as source_version
      from jsonb_array_elements(plan_snapshots.snapshots) with ordinality as e (snapshot, ord)
      left join unnest(plan_snapshots.deliveries) d on d.external_id = e.snapshot ->> 'external_id'
    ) r
    left join lateral (
      select t.content_hash, t.source_version, t.source_updated_at
      from sync.source_states t
      where t.organization_id = plan_snapshots.organization_id and t.source = plan_snapshots.source
        and t.external_id = r.external_id
      offset 0
    ) s on true
    left join lateral (
      select k.id from public.bookings k
      where k.organization_id = plan_snapshots.organization_id and k.source = plan_snapshots.source
        and k.external_id = r.external_id
      offset 0
    ) b on true
  ) h;

  if not exists (select from unnest(heads) h where h.verdict is null) and plan_snapshots.deliveries is null then
    return heads;
  end if;

  select array_agg(row(h.ord, h.external_id, case when x.error is not null then 'invalid' else h.verdict end,
      x.error, h.snapshot, h.content_hash, h.fetched_at, h.source_updated_at, h.source_version,
      null, null, null, null)::sync.planned_snapshot order by h.ord)
  into heads
  from unnest(heads) h
  cross join lateral (
    select case when h.verdict is null then sync.snapshot_error(h.snapshot) end offset 0
  ) x (error);

  -- Locked in one order, so that two pages with the same bookings wait and do not deadlock; with
  -- them those whose delivery will be settled, also if nothing of them is to be written.
  insert into sync.source_states (organization_id, source, external_id)
  select plan_snapshots.organization_id, plan_snapshots.source, h.external_id
  from unnest(heads) h where h.verdict is null
  order by h.external_id
  on conflict do nothing;

  perform from (
    select h.external_id from unnest(heads) h
    where h.verdict is null
      or h.external_id in (select d.external_id from unnest(plan_snapshots.deliveries) d)
    order by h.external_id
  ) h
  cross join lateral (
    select from sync.source_states s
    where s.organization_id = plan_snapshots.organization_id and s.source = plan_snapshots.source
      and s.external_id = h.external_id
    for update
  ) locked;

  select c.not_before into first_day from sync.connections c
  where c.organization_id = plan_snapshots.organization_id and c.source = plan_snapshots.source;

  -- A new statement, so it sees what was committed while we waited for the locks.
  select array_agg(row(
      h.ord, h.external_id,
      coalesce(h.verdict, case
        when o.older and not plan_snapshots.force then 'stale'
        when (plan_snapshots.force or not o.newer) and h.fetched_at < s.fetched_at then 'stale'
        when not plan_snapshots.force and s.content_hash = h.content_hash
          then case when o.newer then 'revision' else 'unchanged' end
        -- A tombstone of a booking that we never had makes no row, but what was said before it is
        -- older from now on. A booking of which only another status is known is one.
        when b.id is null and (h.snapshot ? 'deleted'
          or h.snapshot #>> '{booking,status}' = 'CANCELLED'
            and not h.snapshot ?| array['dates', 'products', 'attachments']
            and (h.snapshot -> 'booking') - array['status', 'source_status'] = '{}') then 'revision'
        -- Over before the connection's first day, and never stored: left to history.
        when b.id is null and first_day is not null and first_day > (
          select max((i.item ->> 'day')::date)
          from jsonb_array_elements(h.snapshot #> '{dates,items}') i (item)) then 'skipped'
        else 'apply' end),
      h.error, h.snapshot, h.content_hash, h.fetched_at, h.source_updated_at, h.source_version,
      b.id, b.id is null, b.status,
      coalesce((h.snapshot #>> '{booking,status}')::public.booking_status, b.status, 'PENDING')
    )::sync.planned_snapshot order by h.ord)
  into planned
  from unnest(heads) h
  left join lateral (
    select t.* from sync.source_states t
    where t.organization_id = plan_snapshots.organization_id and t.source = plan_snapshots.source
      and t.external_id = h.external_id
    offset 0
  ) s on true
  left join lateral (
    select k.id, k.status from public.bookings k
    where k.organization_id = plan_snapshots.organization_id and k.source = plan_snapshots.source
      and k.external_id = h.external_id
    offset 0
  ) b on true
  cross join lateral (
    select
      coalesce(case when h.source_version <> s.source_version then h.source_version < s.source_version
        else h.source_updated_at < s.source_updated_at end, false),
      coalesce(case when h.source_version <> s.source_version then h.source_version > s.source_version
        else h.source_updated_at > s.source_updated_at end, false)
        -- A first revision is news, if it was not read before what is known.
        or (s.source_version is null and h.source_version is not null
          or s.source_updated_at is null and h.source_updated_at is not null)
          and h.fetched_at >= coalesce(s.fetched_at, '-infinity')
  ) as o (older, newer);

  return planned;
end;
$$;

comment on function sync.plan_snapshots(uuid, public.booking_source, jsonb, sync.deliveries[], boolean) is
  'Decides what each snapshot of a page is, and locks the bookings that are to be written.';

create function sync.lock_page(organization_id uuid, source public.booking_source, snapshots jsonb) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  ids constant text[] := array(
    select distinct e.snapshot ->> 'external_id' from jsonb_array_elements(lock_page.snapshots) e (snapshot)
    where sync.snapshot_error(e.snapshot) is null order by 1);
begin
  -- As plan_snapshots does it: first all that are new, then all.
  insert into sync.source_states (organization_id, source, external_id)
  select lock_page.organization_id, lock_page.source, i.id from unnest(ids) with ordinality i (id, place)
  order by i.place
  on conflict do nothing;
  perform from unnest(ids) with ordinality i (id, place)
  cross join lateral (
    select from sync.source_states s
    where s.organization_id = lock_page.organization_id and s.source = lock_page.source and s.external_id = i.id
    for update
  ) locked
  order by i.place;
  perform from sync.connections c
  where c.organization_id = lock_page.organization_id and c.source = lock_page.source
  for no key update;
end;
$$;

comment on function sync.lock_page(uuid, public.booking_source, jsonb) is
  'Locks the bookings of a page in one order, and then their connection, for whoever does more than one thing with it; a booking that is new gets its empty state.';
