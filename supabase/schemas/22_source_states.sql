create table sync.source_states (
  organization_id uuid not null references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  external_id text not null,
  source_updated_at timestamptz,
  source_version bigint,
  content_hash text,
  fetched_at timestamptz,
  last_event_timestamp text,
  last_event_status text,
  requested_seq bigint not null default 0,
  processed_seq bigint not null default 0,
  missing_sightings integer not null default 0,
  missing_first_seen_at timestamptz,
  updated_at timestamptz not null default now(),
  primary key (organization_id, source, external_id),
  constraint source_states_seq_check check (processed_seq <= requested_seq)
);

comment on table sync.source_states is 'What we last knew of a booking at its source, also before the booking exists here.';
comment on column sync.source_states.source_updated_at is 'The source''s own revision time of the last applied statement.';
comment on column sync.source_states.source_version is 'The source''s own revision number of the last applied statement.';
comment on column sync.source_states.content_hash is 'Hash of the last applied content; null: compare with the rows.';
comment on column sync.source_states.fetched_at is 'When the read of the last applied statement began (invariant 4); for an event when it arrived.';
comment on column sync.source_states.last_event_timestamp is 'Headout''s local time of the newest event.';
comment on column sync.source_states.last_event_status is 'Headout''s status of the newest event; decides within one second.';
comment on column sync.source_states.requested_seq is 'Counts requests for a read; greater than processed_seq: a read is due (invariant 5).';
comment on column sync.source_states.processed_seq is 'The last request that a read has covered.';
comment on column sync.source_states.missing_sightings is 'Runs in a row that did not see the booking.';
comment on column sync.source_states.missing_first_seen_at is 'When it was first not seen.';

-- Few at any time: a page is compared with all of them.
create index source_states_missing_idx on sync.source_states (organization_id, source) where missing_sightings > 0;
