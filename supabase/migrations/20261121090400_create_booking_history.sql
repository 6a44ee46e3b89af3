-- Purpose: who changed what of a booking, when, by which delivery or run (invariant 17).
-- delivery_id and run_id have no foreign key on purpose: deliveries and runs are pruned, history stays.

create table public.booking_history (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  booking_id bigint not null,
  at timestamptz not null default now(),
  actor text not null
    constraint booking_history_actor_check check (actor in ('webhook', 'import', 'operator', 'planner')),
  actor_id text,
  delivery_id uuid,
  run_id uuid,
  verdict text not null,
  changes jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint booking_history_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

create index booking_history_booking_id_idx on public.booking_history (booking_id, id);

-- The brake counts departures from CONFIRMED of the last hour; few rows ever are one.
create index booking_history_departures_idx on public.booking_history (organization_id, at)
  where (changes -> 'bookings.status' ->> 0) = 'CONFIRMED';

comment on table public.booking_history is 'Every change of a booking, with the value before and after. Written once, never updated.';
comment on column public.booking_history.id is 'Internal key; ascending in order of writing.';
comment on column public.booking_history.organization_id is 'The booking''s organization.';
comment on column public.booking_history.booking_id is 'The booking.';
comment on column public.booking_history.at is 'When the change was committed, our clock.';
comment on column public.booking_history.actor is 'webhook: a delivery caused it. import: a run or a direct call. operator: a release or replay. planner: a person.';
comment on column public.booking_history.actor_id is 'Which person, if one did: a user id, or the name an operator gave.';
comment on column public.booking_history.delivery_id is 'The delivery that caused it, if one did.';
comment on column public.booking_history.run_id is 'The run that caused it, if one did.';
comment on column public.booking_history.verdict is 'What applying the statement did: created, updated, applied, held, conflict, …';
comment on column public.booking_history.changes is
  '{ "table.field": [old, new] }; of children "table[external_id].field". A child that appeared is one entry "table[external_id].*": [null, {its fields}].';
comment on column public.booking_history.created_at is 'When the row was made.';
comment on column public.booking_history.updated_at is 'When the row was made; history is never changed.';
