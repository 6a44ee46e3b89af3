-- The calendar and the warehouse: rows that confirmed bookings drive. sync.project_events writes them,
-- apart from the columns whose owner is planner. When a booking is no longer CONFIRMED its rows become
-- inactive; nothing is deleted. A row whose times a person decided stays when the source drops its day.
-- Rules: one writer per table; a person's work is never overwritten.

create table public.calendar_events (
  id bigint generated always as identity primary key,
  organization_id uuid not null references public.organizations (id),
  booking_id bigint,
  event_type text not null
    constraint calendar_events_event_type_check
    check (event_type in ('rig', 'event', 'rigdown', 'activity', 'todo')),
  day date not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  derived_starts_at timestamptz,
  derived_ends_at timestamptz,
  title text not null,
  delivery_address text,
  resource_id text,
  times_locked boolean not null default false,
  adjusted_at timestamptz,
  has_source_changes boolean not null default false,
  times_are_default boolean not null default false,
  day_dropped boolean not null default false,
  active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- Checked at the end of a statement: rows of one phase may swap days in one update.
  constraint calendar_events_booking_type_day_key unique (booking_id, event_type, day)
    deferrable initially immediate,
  constraint calendar_events_ends_after_start_check check (ends_at > starts_at),
  constraint calendar_events_own_check
    check (booking_id is not null or length(title) <= 1000 and length(delivery_address) <= 1000),
  constraint calendar_events_booking_check
    check ((booking_id is null) = (event_type in ('activity', 'todo'))),
  constraint calendar_events_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

create index calendar_events_organization_starts_idx on public.calendar_events (organization_id, starts_at);

comment on table public.calendar_events is 'The planners'' calendar: one row for each booking day, and the activities and todos that planners add.';
comment on column public.calendar_events.id is 'Internal key; stays when the day moves.';
comment on column public.calendar_events.organization_id is 'The organization.';
comment on column public.calendar_events.booking_id is 'The booking; null for activities and todos.';
comment on column public.calendar_events.event_type is 'rig, event, rigdown: derived. activity, todo: made by planners.';
comment on column public.calendar_events.day is 'Owner: derived. The booking day that the row stands for.';
comment on column public.calendar_events.starts_at is 'Owner: derived until a planner adjusts it.';
comment on column public.calendar_events.ends_at is 'Owner: derived until a planner adjusts it.';
comment on column public.calendar_events.derived_starts_at is 'Owner: derived. What follows from the days of the booking; differs from starts_at if a person decided otherwise.';
comment on column public.calendar_events.derived_ends_at is 'Owner: derived. What follows from the days of the booking; differs from ends_at if a person decided otherwise.';
comment on column public.calendar_events.title is 'Owner: derived.';
comment on column public.calendar_events.delivery_address is 'Owner: derived.';
comment on column public.calendar_events.resource_id is 'Owner: planner. Team or vehicle.';
comment on column public.calendar_events.times_locked is 'Owner: planner. The times stay, even if nobody adjusted them.';
comment on column public.calendar_events.adjusted_at is 'Owner: planner. When a person set the times; they stay from then on.';
comment on column public.calendar_events.has_source_changes is 'Owner: derived. The source moved the event after a person had adjusted it.';
comment on column public.calendar_events.times_are_default is 'Owner: derived. The derived start or end is the rule''s, since the booking says none.';
comment on column public.calendar_events.day_dropped is 'Owner: derived. The source has dropped the day of this row, and a person had decided its times: it stays, and moves nowhere, until the day is listed again.';
comment on column public.calendar_events.active is 'Owner: derived. False while the booking is not confirmed, or the day is gone and nobody had decided the times of the row.';
comment on column public.calendar_events.created_at is 'When the row was made.';
comment on column public.calendar_events.updated_at is 'When the row last changed.';

create table public.warehouse_events (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  booking_id bigint not null,
  event_type text not null
    constraint warehouse_events_event_type_check
    check (event_type in ('packing', 'delivery', 'event', 'return', 'inventory', 'unpacking')),
  basis_day date not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  derived_starts_at timestamptz,
  derived_ends_at timestamptz,
  title text not null,
  delivery_address text,
  adjusted_at timestamptz,
  has_source_changes boolean not null default false,
  day_dropped boolean not null default false,
  active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint warehouse_events_booking_type_basis_key unique (booking_id, event_type, basis_day)
    deferrable initially immediate,
  constraint warehouse_events_ends_after_start_check check (ends_at > starts_at),
  constraint warehouse_events_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

create index warehouse_events_organization_starts_idx on public.warehouse_events (organization_id, starts_at);

comment on table public.warehouse_events is 'What the warehouse does for a booking, derived from its days.';
comment on column public.warehouse_events.id is 'Internal key; stays when the day moves.';
comment on column public.warehouse_events.organization_id is 'The booking''s organization.';
comment on column public.warehouse_events.booking_id is 'The booking.';
comment on column public.warehouse_events.event_type is 'Owner: derived. packing, delivery, event, return, inventory or unpacking.';
comment on column public.warehouse_events.basis_day is 'Owner: derived. The booking day that the row is derived from.';
comment on column public.warehouse_events.starts_at is 'Owner: derived until a planner adjusts it.';
comment on column public.warehouse_events.ends_at is 'Owner: derived until a planner adjusts it.';
comment on column public.warehouse_events.derived_starts_at is 'Owner: derived. What follows from the days of the booking; differs from starts_at if a person decided otherwise.';
comment on column public.warehouse_events.derived_ends_at is 'Owner: derived. What follows from the days of the booking; differs from ends_at if a person decided otherwise.';
comment on column public.warehouse_events.title is 'Owner: derived.';
comment on column public.warehouse_events.delivery_address is 'Owner: derived.';
comment on column public.warehouse_events.adjusted_at is 'Owner: planner. When a person set the times; they stay from then on.';
comment on column public.warehouse_events.has_source_changes is 'Owner: derived. The source moved the event after a person had adjusted it.';
comment on column public.warehouse_events.day_dropped is 'Owner: derived. The source has dropped the day of this row, and a person had decided its times: it stays, and moves nowhere, until the day is listed again.';
comment on column public.warehouse_events.active is 'Owner: derived. False while the booking is not confirmed, or the day is gone and nobody had decided the times of the row.';
comment on column public.warehouse_events.created_at is 'When the row was made.';
comment on column public.warehouse_events.updated_at is 'When the row last changed.';
