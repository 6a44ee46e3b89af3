-- Changes that the brake stopped. A person releases or dismisses them, or a later statement ends them.
-- Rules: cancelling takes a positive statement.

create table sync.held_changes (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  booking_id bigint not null,
  kind text not null,
  class text not null generated always as (
    case when kind in ('OFFER', 'PENDING', 'CONFIRMED', 'CANCELLED', 'REJECTED') then 'status' else kind end) stored,
  delivery_id uuid,
  run_id uuid,
  snapshot jsonb not null,
  held_at timestamptz not null default now(),
  released_at timestamptz,
  settled_at timestamptz,
  dismissed_at timestamptz,
  by text,
  reason text not null,
  constraint held_changes_end_check check (released_at is null or dismissed_at is null),
  constraint held_changes_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

-- A booking has at most one open hold of each class; a newer statement replaces the older one.
create unique index held_changes_open_key on sync.held_changes (booking_id, class)
  where released_at is null and dismissed_at is null;

-- Released and not settled: the next fresh read passes the brake.
create index held_changes_released_idx on sync.held_changes (booking_id)
  where released_at is not null and settled_at is null and class = 'status';

create index held_changes_organization_idx on sync.held_changes (organization_id, held_at);

-- Dismissed by a person and not settled: the same statement is dropped when it comes again.
create index held_changes_dropped_idx on sync.held_changes (organization_id, booking_id)
  where dismissed_at is not null and settled_at is null and by <> 'system';

comment on table sync.held_changes is 'Changes that the brake stopped until a person releases or dismisses them.';
comment on column sync.held_changes.kind is 'What was stopped: the status that the booking would have got, deleted, or the collection whose rows would have gone missing (products, files, rig, event, rigdown).';
comment on column sync.held_changes.class is 'status, deleted or a collection: one open hold of each.';
comment on column sync.held_changes.snapshot is 'The statement that was stopped.';
comment on column sync.held_changes.released_at is 'When a person released it; a fresh read then decides.';
comment on column sync.held_changes.settled_at is
  'Released: when the fresh read was applied. Dismissed by a person: when the source said something else.';
comment on column sync.held_changes.by is 'Who released or dismissed it; system if a later statement did.';
comment on column sync.held_changes.reason is 'Why it was held, in words.';
