-- What we last knew of a booking at its source, also before the booking exists here. The row of a
-- booking is also the lock that puts everything done to it in order, and requested_seq counts the
-- reads that were asked for.

create table sync.source_states (
  organization_id uuid not null references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  external_id text not null,
  source_updated_at timestamptz,
  source_version bigint,
  content_hash text,
  raw_hash text,
  raw_content_hash text,
  fetched_at timestamptz,
  last_event_timestamp text,
  last_event_status text,
  last_event_at timestamptz,
  contradicted_at timestamptz,
  requested_seq bigint not null default 0,
  processed_seq bigint not null default 0,
  missing_sightings integer not null default 0,
  missing_first_seen_at timestamptz,
  unsettled boolean not null default false,
  read_at timestamptz,
  refresh_after interval,
  refresh_due_at timestamptz,
  updated_at timestamptz not null default now(),
  primary key (organization_id, source, external_id),
  constraint source_states_seq_check check (processed_seq <= requested_seq)
);

comment on table sync.source_states is 'What we last knew of a booking at its source, also before the booking exists here.';
comment on column sync.source_states.source_updated_at is 'The source''s own revision time of the last applied statement.';
comment on column sync.source_states.source_version is 'The source''s own revision number of the last applied statement.';
comment on column sync.source_states.content_hash is 'Hash of the last applied content; null: compare with the rows.';
comment on column sync.source_states.raw_hash is 'Hash of what a page of the source''s list had for it, and of the decoder''s version.';
comment on column sync.source_states.raw_content_hash is 'The content_hash that it was decoded to; raw_hash counts only while both are equal.';
comment on column sync.source_states.fetched_at is 'When the read of the last applied statement began (rule: a fetch is dated when it was read); for an event when it arrived.';
comment on column sync.source_states.last_event_timestamp is 'Headout''s local time of the newest event.';
comment on column sync.source_states.last_event_status is 'Headout''s status of the newest event; decides within one second.';
comment on column sync.source_states.last_event_at is 'When the newest event of Headout arrived, by our clock; null if another of the same second disagrees.';
comment on column sync.source_states.contradicted_at is 'When the first read began that contradicts the newest event and counts against it.';
comment on column sync.source_states.requested_seq is 'Counts requests for a read; greater than processed_seq: a read is due (rule: a webhook during a sync causes a second pass).';
comment on column sync.source_states.processed_seq is 'The last request that a read has covered.';
comment on column sync.source_states.missing_sightings is 'Runs in a row that did not see the booking.';
comment on column sync.source_states.unsettled is 'While something of the booking is doubted, contradicted, held or missing (a file): equal content then ends no single read of it.';
comment on column sync.source_states.read_at is 'When a read that showed the booking last began, to within half of refresh_after; kept only while a rule covers the booking.';
comment on column sync.source_states.refresh_after is 'How old the last read may be (sync.freshness_rules); null: no rule covers the booking.';
comment on column sync.source_states.refresh_due_at is 'When it is next read by itself.';
comment on column sync.source_states.missing_first_seen_at is 'When it was first not seen.';

-- Few at any time: a page is compared with all of them.
create index source_states_missing_idx on sync.source_states (organization_id, source) where missing_sightings > 0;

-- What is read next for freshness.
create index source_states_refresh_idx on sync.source_states (organization_id, source, refresh_due_at)
  where refresh_due_at is not null;

create type sync.lane as (organization_id uuid, source public.booking_source, external_id text);

comment on type sync.lane is 'A booking as the inbox sees it: its deliveries are processed one at a time.';

create function sync.lock_states(
  organization_id uuid, source public.booking_source, external_ids text[], new_ids text[]
) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  insert into sync.source_states (organization_id, source, external_id)
  select lock_states.organization_id, lock_states.source, i.id
  from unnest(lock_states.new_ids) i (id)
  order by i.id
  on conflict do nothing;

  perform from (select distinct i.id from unnest(lock_states.external_ids) i (id) order by 1) wanted
  cross join lateral (
    select from sync.source_states s
    where s.organization_id = lock_states.organization_id and s.source = lock_states.source
      and s.external_id = wanted.id
    for update
  ) locked;
end;
$$;

comment on function sync.lock_states(uuid, public.booking_source, text[], text[]) is
  'Locks the states of some bookings in one order, so that two callers wait for each other and never deadlock; new_ids get an empty state first.';

create function sync.request_reads(lanes sync.lane[])
returns table (organization_id uuid, source public.booking_source, external_id text, requested_seq bigint)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
  insert into sync.source_states as s (organization_id, source, external_id, requested_seq)
  select distinct l.organization_id, l.source, l.external_id, 1 from unnest(request_reads.lanes) l
  order by 1, 2, 3
  on conflict on constraint source_states_pkey
  do update set requested_seq = s.requested_seq + 1, updated_at = now()
  returning s.organization_id, s.source, s.external_id, s.requested_seq;
end;
$$;

comment on function sync.request_reads(sync.lane[]) is
  'Counts one more request to read each booking, and locks its state. A read that begins later answers every request up to the number returned (rule: a webhook during a sync causes a second pass).';
