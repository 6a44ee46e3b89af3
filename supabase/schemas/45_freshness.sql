-- No upcoming confirmed booking is staler than its rule. EventFlow's list of changes leaves cancellations
-- out, so a lost webhook would show at night at the earliest: what is near is read again by itself.
--
--   refresh_after   how old the last read may be (source_states; null: no rule covers the booking)
--   refresh_due_at  when it is read next, in one index
--
-- A claim puts the booking off by a quarter of its age, and any read that shows the booking by the whole
-- of it. So a claim needs no lease, a worker that dies costs a quarter, and a booking that cannot be read
-- starves no other. Never before webhooks, in a rolling minute at most freshness_reads_per_minute.
-- Rules: it heals by itself.

create table sync.freshness_rules (
  id bigint generated always as identity primary key,
  organization_id uuid references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  within_days integer not null constraint freshness_rules_within_days_check check (within_days >= 0),
  max_age interval not null constraint freshness_rules_max_age_check check (max_age >= interval '1 minute'),
  constraint freshness_rules_key unique nulls not distinct (organization_id, source, within_days)
);

comment on table sync.freshness_rules is
  'How old the last read of an upcoming confirmed booking may be. Rules of an organization take the place of the general ones of that source.';
comment on column sync.freshness_rules.organization_id is 'Null: for every organization without rules of its own.';
comment on column sync.freshness_rules.within_days is 'For bookings whose first day is at most so many days away; of several the nearest counts.';
comment on column sync.freshness_rules.max_age is 'How old the last read may be.';

insert into sync.freshness_rules (source, within_days, max_age)
select s.source, r.within_days, r.max_age
from unnest(enum_range(null::public.booking_source)) s (source)
cross join (values (3, interval '2 hours'), (14, interval '12 hours'), (60, interval '48 hours')) r (within_days, max_age);

create table sync.freshness_claims (
  connection_id bigint not null references sync.connections (id) on delete cascade,
  claimed_at timestamptz not null default clock_timestamp(),
  reads integer not null
);

create index freshness_claims_connection_idx on sync.freshness_claims (connection_id, claimed_at);

comment on table sync.freshness_claims is 'How many reads for freshness began when, for the limits of a rolling minute. Pruned by the next sweep.';
comment on column sync.freshness_claims.reads is 'Bookings handed out at that moment.';

create function sync.wanted_freshness(connection sync.connections)
returns table (external_id text, refresh_after interval)
language sql stable
set search_path = ''
as $$
  with rules as materialized (
    select r.within_days, r.max_age
    from sync.freshness_rules r
    where r.source = connection.source and (r.organization_id = connection.organization_id
      or r.organization_id is null and not exists (
        select from sync.freshness_rules o
        where o.organization_id = connection.organization_id and o.source = connection.source))
  ), today as materialized (
    select (now() at time zone o.time_zone)::date as day, (select max(r.within_days) from rules r) as horizon
    from public.organizations o where o.id = connection.organization_id
  ), upcoming as materialized (
    select d.booking_id, min(d.day) as first_day
    from public.booking_dates d
    where d.organization_id = connection.organization_id and d.source_missing_since is null
      and d.booking_id in (
        select u.booking_id from today t
        join public.booking_dates u on u.organization_id = connection.organization_id
          and u.source_missing_since is null and u.day between t.day and t.day + t.horizon)
    group by d.booking_id
  )
  select b.external_id, (
    select r.max_age from rules r
    where r.within_days >= u.first_day - t.day order by r.within_days limit 1)
  from upcoming u
  join public.bookings b on b.id = u.booking_id and b.source = connection.source and b.status = 'CONFIRMED'
  cross join today t
$$;

comment on function sync.wanted_freshness(sync.connections) is
  'The upcoming confirmed bookings of a connection that a rule covers, and how old their last read may be. A booking counts until its last day is over.';

-- States that are locked are left to the next sweep: their holder is reading or writing them.
create function sync.sweep_freshness(connection sync.connections) returns void
language plpgsql
set search_path = ''
as $$
begin
  with wanted as materialized (
    select w.* from sync.wanted_freshness(connection) w where w.refresh_after is not null
  ), changed as materialized (
    select s.external_id, w.refresh_after
    from sync.source_states s
    left join wanted w on w.external_id = s.external_id
    where s.organization_id = connection.organization_id and s.source = connection.source
      and (s.refresh_after is not null or w.external_id is not null)
      and s.refresh_after is distinct from w.refresh_after
    for update of s skip locked
  )
  update sync.source_states s set refresh_after = c.refresh_after, read_at = coalesce(s.read_at, s.fetched_at),
    refresh_due_at = coalesce(s.read_at, s.fetched_at, now()) + c.refresh_after
  from changed c
  where s.organization_id = connection.organization_id and s.source = connection.source and s.external_id = c.external_id;
  delete from sync.freshness_claims f
  where f.connection_id = connection.id and f.claimed_at < now() - interval '1 hour';
  update sync.connections c set freshness_swept_at = now() where c.id = connection.id;
end;
$$;

comment on function sync.sweep_freshness(sync.connections) is
  'Brings up to date which bookings of a connection are kept fresh, and how fresh: days change, time passes.';

create function sync.freshness_room(connection sync.connections, max_reads integer) returns bigint
language sql volatile
set search_path = ''
as $$
  select greatest(0, least(freshness_room.max_reads,
    connection.freshness_reads_per_minute - (
      select coalesce(sum(f.reads), 0) from sync.freshness_claims f
      where f.connection_id = connection.id and f.claimed_at > clock_timestamp() - interval '1 minute'),
    -- All that Headout is asked in the background shares one limit.
    case when connection.source = 'headout' then 40 - (
      select coalesce(sum(f.reads), 0) from sync.freshness_claims f
      join sync.connections c on c.id = f.connection_id and c.source = 'headout'
      where f.claimed_at > clock_timestamp() - interval '1 minute') - (
      select count(*) from sync.deliveries d
      join sync.connections c on c.id = d.connection_id and c.source = 'headout'
      where d.function = 'confirm' and d.claimed_at > clock_timestamp() - interval '1 minute'
        and d.received_at > now() - interval '2 days') end))
$$;

comment on function sync.freshness_room(sync.connections, integer) is
  'How many more reads for freshness a connection may begin in this rolling minute.';

create function public.claim_refreshes(
  max_reads integer default 8,
  only_source public.booking_source default null
) returns table (organization_id uuid, source public.booking_source, external_id text)
language plpgsql
set search_path = ''
set jit = off
as $$
#variable_conflict use_column
declare
  connection sync.connections;
  room bigint := claim_refreshes.max_reads;
  sweeps integer := 0;
  claimed integer;
begin
  -- All connections to Headout share one limit: two drains count one after the other.
  if claim_refreshes.only_source is distinct from 'eventflow' then
    perform pg_advisory_xact_lock(hashtextextended('sync.claim_refreshes headout', 0));
  end if;
  for connection in
    select c.* from sync.connections c
    where c.enabled and c.paused_at is null
      and (claim_refreshes.only_source is null or c.source = claim_refreshes.only_source)
    order by c.freshness_claimed_at nulls first, c.id
    for no key update skip locked
  loop
    exit when room < 1;
    -- A few at a time: thousands of connections must not make one drain late.
    if sweeps < 20 and coalesce(connection.freshness_swept_at < now() - interval '10 minutes', true) then
      perform sync.sweep_freshness(connection);
      sweeps := sweeps + 1;
    end if;
    continue when exists (select from sync.deliveries d where d.connection_id = connection.id and d.status = 'pending'
      and d.next_attempt_at <= now() and d.function <> 'confirm');
    continue when not exists (select from sync.source_states s where s.organization_id = connection.organization_id
      and s.source = connection.source and s.refresh_due_at <= now());
    return query
    with due as materialized (
      select s.external_id from sync.source_states s
      where s.organization_id = connection.organization_id and s.source = connection.source and s.refresh_due_at <= now()
      order by s.refresh_due_at
      limit sync.freshness_room(connection, room::integer)
      for update skip locked
    )
    update sync.source_states s set refresh_due_at = now() + s.refresh_after / 4
    from due d
    where s.organization_id = connection.organization_id and s.source = connection.source and s.external_id = d.external_id
    returning s.organization_id, s.source, s.external_id;
    get diagnostics claimed = row_count;
    if claimed > 0 then
      insert into sync.freshness_claims (connection_id, reads) values (connection.id, claimed);
      update sync.connections c set freshness_claimed_at = now() where c.id = connection.id;
      room := room - claimed;
    end if;
  end loop;
end;
$$;

comment on function public.claim_refreshes(integer, public.booking_source) is
  'Hands out bookings whose last read is older than their rule allows, the stalest first, at most freshness_reads_per_minute for each connection and none while a webhook of it is due. Each is put off by a quarter of its age; a read that shows it puts it off by the whole.';

create function sync.note_reads(page sync.page, plan sync.planned_snapshot[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Locked states of an unchanged page are not waited for: their holder has just read them, too.
  update sync.source_states s set read_at = r.read_at, refresh_due_at = r.read_at + s.refresh_after
  from (
    select k.external_id, p.read_at
    from (select p.external_id, max(p.fetched_at) as read_at from unnest(plan) p where p.ages group by p.external_id) p
    cross join lateral (
      select t.external_id from sync.source_states t
      where t.organization_id = page.organization_id and t.source = page.source and t.external_id = p.external_id
      for update skip locked
    ) k
  ) r
  where s.organization_id = page.organization_id and s.source = page.source and s.external_id = r.external_id
    and r.read_at > s.read_at;
end;
$$;

comment on function sync.note_reads(sync.page, sync.planned_snapshot[]) is
  'Notes when the bookings of a page were read, of those that are kept fresh and whose last noted read is older than half of what they are allowed.';
