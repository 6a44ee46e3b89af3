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

-- Same event twice is one delivery and its duplicates (invariant 2).
create unique index deliveries_dedupe_key on sync.deliveries (dedupe_key) where status <> 'duplicate';

-- One lane per booking: never two workers on one (invariant 5).
create unique index deliveries_lane_key on sync.deliveries (connection_id, external_id) where status = 'processing';

create index deliveries_due_idx on sync.deliveries (connection_id, next_attempt_at) where status = 'pending';

create index deliveries_lease_idx on sync.deliveries (leased_until) where status = 'processing';

create index deliveries_booking_idx on sync.deliveries (connection_id, external_id, received_at);

create index deliveries_received_at_idx on sync.deliveries (connection_id, received_at);

create index deliveries_dead_idx on sync.deliveries (connection_id) where status = 'dead';

create index deliveries_duplicate_of_idx on sync.deliveries (duplicate_of) where duplicate_of is not null;

create index deliveries_replay_of_idx on sync.deliveries (replay_of) where replay_of is not null;

comment on table sync.deliveries is 'The inbox: every authentic HTTP request as received, and what became of it.';
comment on column sync.deliveries.connection_id is 'The connection; null if the body named no organization that exists.';
comment on column sync.deliveries.function is 'The Edge Function that received it.';
comment on column sync.deliveries.dedupe_key is 'What makes two deliveries the same event; the delivery''s own id if the sender gives nothing.';
comment on column sync.deliveries.duplicate_of is 'The delivery that this one repeats.';
comment on column sync.deliveries.replay_of is 'The delivery that an operator had processed again.';
comment on column sync.deliveries.event_timestamp is 'Headout''s local time as text, compared only within one booking.';
comment on column sync.deliveries.headers is 'Request headers, credentials left out.';
comment on column sync.deliveries.body is 'The body as received; text that is not JSON under the key "text". Pruned after 90 days.';
comment on column sync.deliveries.seq is 'requested_seq of its booking when it was stored: its place in the lane.';
comment on column sync.deliveries.attempts is 'Times claimed.';
comment on column sync.deliveries.claimed_seq is 'requested_seq when it was claimed: a read that began after covers every delivery up to it.';
comment on column sync.deliveries.claimed_at is 'When it was last claimed: no read for it began earlier.';
comment on column sync.deliveries.leased_until is 'Until when its worker may finish it; then anybody may take it over.';
comment on column sync.deliveries.lease_token is 'Proof of the lease; set only while processing.';
comment on column sync.deliveries.last_error is '{ code, message, details, at } of the last attempt that failed.';
comment on column sync.deliveries.result is 'What processing it did, as answered to the sender.';

-- Purpose: retention. The body and the headers of a finished delivery go after 90 days and leave the
-- body's hash; the row goes after a year, as do runs with what they found. Source states, holds and
-- history stay: order and explanation need them.
-- Set-based, one bounded batch per call, past rows that somebody works on.

comment on column sync.deliveries.body_hash is 'SHA-256 (hex) of the body as jsonb prints it, once the body has been pruned.';

-- Only what still has a body: pruned rows leave the index.
create index deliveries_body_idx on sync.deliveries (received_at) where body is not null and finished_at is not null;

create index deliveries_homeless_idx on sync.deliveries (received_at) where connection_id is null;

-- Purpose: four ways in which a delivery could end wrongly.
-- A Headout event that was applied was called stale when the read that checked it was.
-- A source that asks to wait (Retry-After) costs no attempt for a day: with a short one all nine were
-- used up in seconds and the delivery was dead. What it asks for holds for all of the booking, and no
-- failure brings forward what was put off.
-- A booking is marked missing only if it has not been heard of since it was asked for, also if another
-- delivery of it brought the answer; and its hash goes, so that the next answer that has it says so.
-- Compatible: one column with a default; same arguments and results.

comment on column sync.deliveries.waits is 'Attempts that ended with the source asking to wait; not counted among those after which it is given up.';
