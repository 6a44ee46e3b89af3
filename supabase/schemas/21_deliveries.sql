-- The inbox: every authentic request as received, and what became of it. The body and the headers of a
-- finished delivery are pruned after 90 days, which leaves a hash of the body; the row after a year.
-- Rules: stored before acknowledged; same event, one effect; work is bounded and resumes.

create table sync.deliveries (
  id uuid primary key default gen_random_uuid(),
  connection_id bigint references sync.connections (id),
  function text not null,
  dedupe_key text not null,
  duplicate_of uuid references sync.deliveries (id) on delete set null,
  replay_of uuid references sync.deliveries (id) on delete set null,
  event_type text,
  external_id text,
  event_timestamp text,
  received_at timestamptz not null default now(),
  headers jsonb not null default '{}',
  body jsonb,
  status text not null default 'pending'
    constraint deliveries_status_check
    check (status in ('pending', 'processing', 'succeeded', 'duplicate', 'stale', 'held', 'invalid', 'dead')),
  seq bigint,
  attempts integer not null default 0,
  next_attempt_at timestamptz,
  claimed_at timestamptz,
  claimed_seq bigint,
  leased_until timestamptz,
  lease_token uuid,
  last_error jsonb,
  result jsonb,
  finished_at timestamptz,
  body_hash text,
  waits integer not null default 0,
  constraint deliveries_queue_check check ((status in ('pending', 'processing')) = (finished_at is null)),
  constraint deliveries_lease_check check ((status = 'processing') = (lease_token is not null))
);

-- One delivery for each event; repetitions are stored as its duplicates (rule: same event, one effect).
create unique index deliveries_dedupe_key on sync.deliveries (dedupe_key) where status <> 'duplicate';

-- One lane per booking: never two workers on one booking.
create unique index deliveries_lane_key on sync.deliveries (connection_id, external_id) where status = 'processing';

-- Of a booking one confirming read waits at a time.
create unique index deliveries_confirm_key on sync.deliveries (connection_id, external_id)
  where function = 'confirm' and status = 'pending';

create index deliveries_due_idx on sync.deliveries (connection_id, next_attempt_at) where status = 'pending';

create index deliveries_lease_idx on sync.deliveries (leased_until) where status = 'processing';

create index deliveries_booking_idx on sync.deliveries (connection_id, external_id, received_at);

create index deliveries_received_at_idx on sync.deliveries (connection_id, received_at);

create index deliveries_dead_idx on sync.deliveries (connection_id) where status = 'dead';

create index deliveries_duplicate_of_idx on sync.deliveries (duplicate_of) where duplicate_of is not null;

create index deliveries_replay_of_idx on sync.deliveries (replay_of) where replay_of is not null;

-- Rows that still have a body; pruned rows leave the index.
create index deliveries_body_idx on sync.deliveries (received_at) where body is not null and finished_at is not null;

create index deliveries_homeless_idx on sync.deliveries (received_at) where connection_id is null;

comment on table sync.deliveries is 'The inbox: every authentic HTTP request as received, and what became of it.';
comment on column sync.deliveries.connection_id is 'The connection; null if the body did not name an existing organization.';
comment on column sync.deliveries.function is 'The Edge Function that received it.';
comment on column sync.deliveries.dedupe_key is 'What makes two deliveries the same event; the id of the delivery if the sender gives no key.';
comment on column sync.deliveries.duplicate_of is 'The delivery that this one repeats.';
comment on column sync.deliveries.replay_of is 'The delivery that an operator replayed with this one.';
comment on column sync.deliveries.event_timestamp is 'Headout''s local time as text, compared only within one booking.';
comment on column sync.deliveries.headers is 'Request headers, credentials left out.';
comment on column sync.deliveries.body is 'The body as received; text that is not JSON under the key "text". Pruned after 90 days.';
comment on column sync.deliveries.seq is 'requested_seq of its booking when it was stored: its place in the lane (rule: a webhook during a sync causes a second pass).';
comment on column sync.deliveries.attempts is 'Times claimed.';
comment on column sync.deliveries.claimed_seq is 'requested_seq when it was claimed: a read that began later covers every delivery up to it.';
comment on column sync.deliveries.claimed_at is 'When it was last claimed: no read for it began earlier.';
comment on column sync.deliveries.leased_until is 'Until when its worker may finish it; then any worker may take it over.';
comment on column sync.deliveries.lease_token is 'Proof of the lease; set only while processing.';
comment on column sync.deliveries.last_error is '{ code, message, details, at } of the last attempt that failed.';
comment on column sync.deliveries.result is 'What processing it did, as answered to the sender.';
comment on column sync.deliveries.body_hash is 'SHA-256 (hex) of the body as jsonb prints it; set when the body is pruned.';
comment on column sync.deliveries.waits is 'Attempts that ended with the source asking to wait; they do not count towards giving up.';
