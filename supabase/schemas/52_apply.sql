-- The heart: any number of snapshots in, a constant number of statements, one verdict each. One call is
-- one transaction: bookings, collections, projections, history, source states, holds and the delivery
-- that asked for it land together or not at all.
-- The steps: plan (50), brake (31), write (51), project (62), end holds (31), note what was stated, hold it
-- against the senders' words (54).
-- Arguments and result of apply_snapshots are the API of the database: add only with defaults.

create function sync.note_statements(page sync.page, plan sync.planned_snapshot[]) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  -- A booking that a page shows is not missing, even if nothing of it has changed. States that are
  -- locked are not waited for, since we do not hold them in order: their holder notes the same.
  if exists (select from sync.source_states s
             where s.organization_id = page.organization_id and s.source = page.source
               and s.missing_sightings > 0) then
    update sync.source_states s set missing_sightings = 0, missing_first_seen_at = null, updated_at = now()
    where s.organization_id = page.organization_id and s.source = page.source
      and s.external_id in (
        select k.external_id from sync.source_states k
        where k.organization_id = page.organization_id and k.source = page.source
          and k.missing_sightings > 0
          and k.external_id in (select p.external_id from unnest(plan) p where p.verdict = 'unchanged')
        for update skip locked
      );
  end if;

  -- An upsert finds its row by key whatever the planner believes.
  insert into sync.source_states as s (organization_id, source, external_id, source_updated_at,
    source_version, content_hash, fetched_at, raw_hash, raw_content_hash)
  select page.organization_id, page.source, p.external_id, p.source_updated_at,
    p.source_version, p.content_hash, p.fetched_at, p.raw_hash, case when p.raw_hash is not null then p.content_hash end
  from unnest(plan) p
  where p.verdict in ('apply', 'revision')
  on conflict on constraint source_states_pkey do update set
    source_updated_at = coalesce(excluded.source_updated_at, s.source_updated_at),
    source_version = coalesce(excluded.source_version, s.source_version),
    content_hash = excluded.content_hash,
    fetched_at = greatest(excluded.fetched_at, s.fetched_at),
    raw_hash = excluded.raw_hash,
    raw_content_hash = excluded.raw_content_hash,
    missing_sightings = 0,
    missing_first_seen_at = null,
    updated_at = now()
  -- An equal answer is looked at again while something is unsettled, and states nothing new.
  where page.force or page.compares or not s.unsettled
    or (s.content_hash, s.fetched_at) is distinct from (excluded.content_hash, greatest(excluded.fetched_at, s.fetched_at))
    or sync.revision_order(excluded.source_version, excluded.source_updated_at, s.source_version, s.source_updated_at) <> 0;
end;
$$;

comment on function sync.note_statements(sync.page, sync.planned_snapshot[]) is
  'Notes revision, content and moment of reading of what a page has stated.';

create function sync.note_raw_hashes(page sync.page, plan sync.planned_snapshot[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- A state that is locked is not waited for: the next page notes it.
  update sync.source_states s set raw_hash = k.raw_hash, raw_content_hash = s.content_hash
  from (
    select p.external_id, p.raw_hash, p.content_hash from unnest(plan) p
    cross join lateral (
      select from sync.source_states t
      where t.organization_id = page.organization_id and t.source = page.source and t.external_id = p.external_id
      for update skip locked
    ) locked
    where p.verdict = 'unchanged' and p.raw_hash is not null
  ) k
  where s.organization_id = page.organization_id and s.source = page.source and s.external_id = k.external_id
    and s.content_hash = k.content_hash;
end;
$$;

comment on function sync.note_raw_hashes(sync.page, sync.planned_snapshot[]) is
  'Notes from what text unchanged bookings of a page were decoded, so that the next page need not decode it.';

create function public.pass_unchanged(
  organization_id uuid, source public.booking_source, raw_hashes jsonb, fetched_at timestamptz
) returns table (raw_hash text)
language plpgsql
set search_path = ''
set enable_nestloop = off
set jit = off
as $$
#variable_conflict use_column
declare
  page sync.page;
  plan sync.planned_snapshot[];
begin
  page.organization_id := pass_unchanged.organization_id;
  page.source := pass_unchanged.source;
  plan := array(
    select jsonb_populate_record(null::sync.planned_snapshot, jsonb_build_object('external_id', k.external_id,
      'verdict', 'unchanged', 'content_hash', s.content_hash, 'fetched_at', k.read_at, 'raw_hash', s.raw_hash,
      'ages', s.read_at + s.refresh_after / 2 < k.read_at))
    from (
      select e.key as external_id, e.value as raw_hash, least(now(), pass_unchanged.fetched_at) as read_at
      from jsonb_each_text(pass_unchanged.raw_hashes) e
    ) k
    cross join lateral (
      select t.* from sync.source_states t
      where t.organization_id = page.organization_id and t.source = page.source and t.external_id = k.external_id
      offset 0
    ) s
    where s.raw_hash = k.raw_hash and s.raw_content_hash = s.content_hash);
  if cardinality(plan) > 0 then
    perform sync.note_statements(page, plan);
    if exists (select from unnest(plan) p where p.ages) then
      perform sync.note_reads(page, plan);
    end if;
  end if;
  return query select p.raw_hash from unnest(plan) p;
end;
$$;

comment on function public.pass_unchanged(uuid, public.booking_source, jsonb, timestamptz) is
  'Those bookings of a page, { external_id: hash of its text }, whose text is the one that their stored content was decoded from: they are unchanged and need no decoding. Notes that they were seen.';

create function sync.summarize_changes(row_changes sync.row_change[], detailed boolean)
returns table (booking_id bigint, changes jsonb)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  if summarize_changes.detailed then
    return query
    select r.booking_id, jsonb_agg(jsonb_build_object(
      'table', r.table_name, 'key', r.key, 'operation', r.operation, 'fields', r.fields))
    from unnest(row_changes) r
    group by r.booking_id;
  else
    return query
    select n.booking_id, jsonb_object_agg(n.table_name, jsonb_build_object(
      'created', n.created, 'updated', n.updated, 'marked_missing', n.marked_missing))
    from (
      select r.booking_id, r.table_name,
        count(*) filter (where r.operation = 'created') as created,
        count(*) filter (where r.operation = 'updated') as updated,
        count(*) filter (where r.operation = 'marked_missing') as marked_missing
      from unnest(row_changes) r
      group by r.booking_id, r.table_name
    ) n
    group by n.booking_id;
  end if;
end;
$$;

comment on function sync.summarize_changes(sync.row_change[], boolean) is
  'The rows written for each booking: { table: { created, updated, marked_missing } }, or every row with its fields if detailed.';

create function sync.page_verdicts(plan sync.planned_snapshot[], row_changes sync.row_change[], detailed boolean)
returns sync.snapshot_verdict[]
language plpgsql
set search_path = ''
as $$
begin
  return (
    select array_agg(v::sync.snapshot_verdict order by v.ord)
    from (
      select p.ord as ord, p.external_id as external_id,
        case
          when p.verdict = 'apply' and p.is_new then 'created'
          when p.verdict = 'apply' and c.booking_id is not null then 'updated'
          when p.verdict in ('apply', 'revision') then 'unchanged'
          else p.verdict end as verdict,
        p.booking_id as booking_id,
        coalesce(c.changes, case when detailed then '[]'::jsonb else '{}'::jsonb end) as changes,
        p.error as error, p.snapshot -> 'warnings' as warnings
      from unnest(plan) p
      left join sync.summarize_changes(row_changes, detailed) c
        on c.booking_id = p.booking_id and p.verdict = 'apply'
    ) v
  );
end;
$$;

comment on function sync.page_verdicts(sync.planned_snapshot[], sync.row_change[], boolean) is
  'One verdict for each snapshot of a page, with the rows that it wrote.';

create function sync.apply_page(page sync.page, snapshots jsonb) returns sync.snapshot_verdict[]
language plpgsql
set search_path = ''
as $$
declare
  plan sync.planned_snapshot[] := sync.plan_page(page, snapshots);
  to_write sync.planned_snapshot[];
  row_changes sync.row_change[];
  has_reads boolean;
  has_raw_hashes boolean;
  has_missing_files boolean;
  has_contradictions boolean;
begin
  if exists (select from unnest(plan) p where p.verdict = 'apply') then
    plan := sync.apply_brake(page, plan);
    to_write := array(select p from unnest(plan) p where p.verdict = 'apply' order by p.ord);
    row_changes := sync.write_page(page, to_write);
    perform sync.note_observations(page, to_write);
  end if;
  perform sync.end_holds(page.organization_id, plan);
  perform sync.note_statements(page, plan);
  -- Reading the plan costs as much as one of these steps, so one pass tells which of them have work.
  select bool_or(p.ages), bool_or(p.verdict = 'unchanged' and p.raw_hash is not null),
    bool_or(p.unsettled or p.snapshot ? 'missing_files'), bool_or(p.unsettled or p.contradicts is not null)
  into has_reads, has_raw_hashes, has_missing_files, has_contradictions
  from unnest(plan) p;
  if has_raw_hashes then
    perform sync.note_raw_hashes(page, plan);
  end if;
  if has_reads then
    perform sync.note_reads(page, plan);
  end if;
  if page.deliveries is not null or has_contradictions then
    perform sync.note_agreement(page, plan, row_changes);
  end if;
  if has_missing_files then
    perform sync.note_missing_files(page, plan);
  end if;
  return sync.page_verdicts(plan, row_changes, page.detailed);
end;
$$;

comment on function sync.apply_page(sync.page, jsonb) is
  'Applies a page of snapshots; a bad value among them fails the whole page (see sync.apply_page_or_halves).';

-- Each field is tried alone: only for a snapshot that has failed.
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

comment on function sync.find_bad_field(jsonb) is
  'The path of the first field that its column cannot hold; null if a constraint or the snapshot as a whole is at fault.';

create function sync.part_of_page(snapshots jsonb, from_place integer, to_place integer) returns jsonb
language sql immutable
set search_path = ''
as $$
  select jsonb_agg(e.item order by e.place)
  from jsonb_array_elements(snapshots) with ordinality e (item, place)
  where e.place between from_place and to_place
$$;

comment on function sync.part_of_page(jsonb, integer, integer) is 'Some snapshots of a page; places count from 1.';

-- A value that only a cast or a constraint finds wrong fails the page. Then the page is halved until the
-- bad snapshot stands alone and is refused by name; the others land. Good pages pay nothing.
create function sync.apply_page_or_halves(page sync.page, snapshots jsonb) returns sync.snapshot_verdict[]
language plpgsql
set search_path = ''
as $$
declare
  size constant integer := jsonb_array_length(snapshots);
  half constant integer := size / 2;
  refused sync.snapshot_verdict;
  message text;
  field text;
  state text;
begin
  return sync.apply_page(page, snapshots);
exception when data_exception or integrity_constraint_violation or program_limit_exceeded then
  get stacked diagnostics message = message_text, field = constraint_name, state = returned_sqlstate;
  if size = 1 then
    refused.ord := 1;
    refused.external_id := left(snapshots #>> '{0,external_id}', 200);
    refused.verdict := 'invalid';
    refused.changes := '{}';
    refused.error := jsonb_build_object('code', 'unstorable_snapshot',
      'field', coalesce(sync.find_bad_field(snapshots -> 0), nullif(field, '')),
      'message', left(message, 500), 'sqlstate', state);
    return array[refused];
  end if;
  -- Both halves are locked together: halves of two pages are in no order.
  perform sync.lock_page(page.organization_id, page.source, snapshots);
  return sync.apply_page_or_halves(page, sync.part_of_page(snapshots, 1, half))
    || sync.shift_verdicts(sync.apply_page_or_halves(page, sync.part_of_page(snapshots, half + 1, size)), half);
end;
$$;

comment on function sync.apply_page_or_halves(sync.page, jsonb) is
  'Applies a page; if a value in it cannot be stored, refuses just the snapshot that has it (rule: one booking stops nothing).';

create function sync.shift_verdicts(verdicts sync.snapshot_verdict[], places integer) returns sync.snapshot_verdict[]
language plpgsql immutable
set search_path = ''
as $$
begin
  for i in 1 .. cardinality(verdicts) loop
    verdicts[i].ord := verdicts[i].ord + places;
  end loop;
  return verdicts;
end;
$$;

comment on function sync.shift_verdicts(sync.snapshot_verdict[], integer) is 'The verdicts on the later half of a page, with their places in the whole.';

create function sync.preview_page(page sync.page, snapshots jsonb) returns sync.snapshot_verdict[]
language plpgsql
set search_path = ''
as $$
declare
  verdicts sync.snapshot_verdict[];
begin
  begin
    verdicts := sync.apply_page_or_halves(page, snapshots);
    raise exception 'undo' using errcode = 'BSDRY';
  exception when sqlstate 'BSDRY' then
    null; -- Everything is undone but the verdicts.
  end;
  return verdicts;
end;
$$;

comment on function sync.preview_page(sync.page, jsonb) is 'What applying a page would do: it is applied and rolled back.';

create type sync.held_leases as (deliveries sync.deliveries[], lost text[]);

comment on type sync.held_leases is 'The deliveries that a caller may finish, and the bookings of those whose lease it has lost.';

create function sync.hold_leases(work jsonb, connection_id bigint) returns sync.held_leases
language plpgsql
set search_path = ''
as $$
declare
  leases sync.held_leases;
begin
  -- A delivery of another connection is not the caller's, whatever lease it names.
  select array_agg(l.held) filter (where (l.held).connection_id = hold_leases.connection_id),
    array_agg(coalesce((l.held).external_id, d.external_id))
      filter (where (l.held).connection_id is distinct from hold_leases.connection_id)
  into leases.deliveries, leases.lost
  from (
    select (e.item ->> 'delivery_id')::uuid as id, (e.item ->> 'lease_token')::uuid as token
    from jsonb_array_elements(work) e (item)
    order by 1
  ) w
  cross join lateral (select sync.hold_lease(w.id, w.token) as held offset 0) l
  left join lateral sync.delivery_now(w.id) d on (l.held).id is null;
  return leases;
end;
$$;

comment on function sync.hold_leases(jsonb, bigint) is
  'Locks the deliveries of [{ delivery_id, lease_token }] of a connection whose lease the caller still has.';

create function sync.settle_page(deliveries sync.deliveries[], verdicts sync.snapshot_verdict[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform sync.settle_delivery(d,
    case v.verdict when 'stale' then 'stale' when 'held' then 'held' when 'invalid' then 'dead' else 'succeeded' end,
    jsonb_strip_nulls(jsonb_build_object('outcome', v.verdict, 'booking_id', v.booking_id, 'changes', v.changes,
      'warnings', v.warnings)),
    v.error)
  from unnest(deliveries) d
  join (
    select distinct on (v.external_id) v.*
    from unnest(verdicts) v
    order by v.external_id, v.verdict = 'stale', v.ord desc
  ) v on v.external_id = d.external_id;
end;
$$;

comment on function sync.settle_page(sync.deliveries[], sync.snapshot_verdict[]) is
  'Ends the deliveries of a page, each by the verdict on its booking.';

-- To within ten seconds, so it need not wait for a lock on the connection: its holder may wait for us.
create function sync.note_success(connection_id bigint) returns void
language plpgsql
set search_path = ''
as $$
begin
  update sync.connections c set last_success_at = now()
  where c.id in (
    select k.id from sync.connections k
    where k.id = note_success.connection_id
      and (k.last_success_at is null or k.last_success_at < now() - interval '10 seconds')
    for no key update skip locked
  );
end;
$$;

comment on function sync.note_success(bigint) is 'Notes on a connection that a statement has changed something, to within ten seconds.';

create function public.apply_snapshots(
  organization_id uuid,
  source public.booking_source,
  snapshots jsonb,
  delivery_id uuid default null,
  lease_token uuid default null,
  run_id uuid default null,
  force boolean default false,
  dry_run boolean default false,
  deliveries jsonb default '[]',
  compares boolean default false
) returns table (external_id text, verdict text, booking_id bigint, changes jsonb, error jsonb, warnings jsonb)
language plpgsql
set search_path = ''
-- On a database without statistics (a first import) the planner expects one row everywhere and
-- would join pages by nested loops, or sort them for merges where a hash is enough; and it would compile
-- plans for longer than they run.
set enable_nestloop = off
set enable_mergejoin = off
set jit = off
as $$
#variable_conflict use_column
declare
  connection sync.connections;
  leases sync.held_leases;
  refusal text;
  page sync.page;
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
    leases := sync.hold_leases(apply_snapshots.deliveries || case when apply_snapshots.delivery_id is null then '[]'
      else jsonb_build_array(jsonb_build_object('delivery_id', apply_snapshots.delivery_id, 'lease_token', apply_snapshots.lease_token)) end, connection.id);
    -- A worker that lost its lease can finish nothing, and apply nothing in its name.
    refusal := case when leases.lost is not null and leases.deliveries is null then 'lease_lost' end;
    if leases.lost is not null then
      accepted := coalesce((
        select jsonb_agg(e.snapshot order by e.ord)
        from jsonb_array_elements(apply_snapshots.snapshots) with ordinality e (snapshot, ord)
        where coalesce(e.snapshot ->> 'external_id' <> all (leases.lost), true)), '[]');
    end if;
  end if;
  if refusal is not null then
    return query select left(e.snapshot ->> 'external_id', 200), refusal, null::bigint, '{}'::jsonb, null::jsonb, null::jsonb
      from jsonb_array_elements(apply_snapshots.snapshots) as e (snapshot);
    return;
  end if;

  page.organization_id := apply_snapshots.organization_id;
  page.source := apply_snapshots.source;
  page.deliveries := leases.deliveries;
  page.run_id := apply_snapshots.run_id;
  page.force := apply_snapshots.force;
  page.compares := apply_snapshots.compares;
  page.detailed := apply_snapshots.dry_run;
  if apply_snapshots.dry_run then
    verdicts := sync.preview_page(page, accepted);
  else
    verdicts := sync.apply_page_or_halves(page, accepted);
    if exists (select from unnest(verdicts) v where v.verdict in ('created', 'updated')) then
      perform sync.note_success(connection.id);
    end if;
    perform sync.settle_page(leases.deliveries, verdicts);
  end if;
  return query
    select v.external_id, v.verdict, v.booking_id, v.changes, v.error, v.warnings from unnest(verdicts) v
    union all
    select l.external_id, 'lease_lost', null, '{}', null, null from unnest(leases.lost) l (external_id);
end;
$$;

comment on function public.apply_snapshots(uuid, public.booking_source, jsonb, uuid, uuid, uuid, boolean, boolean, jsonb, boolean) is
  'Applies any number of snapshots of one connection in one transaction, one verdict row each: created, updated, unchanged, stale, held, skipped (over before connections.not_before and never stored), invalid; or for all of them lease_lost, paused, unknown_organization. With a delivery (or several: [{ delivery_id, lease_token }]) it finishes them too. force compares with the rows and lets an older revision win; compares does only the first. dry_run rolls back and returns the exact row changes.';
