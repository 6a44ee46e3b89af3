-- What a person should look at, booking by booking, and why. sync.review (63) derives it.
-- Rules: people are told.

create table sync.review_causes (
  booking_id bigint not null,
  organization_id uuid not null,
  reason text not null constraint review_causes_reason_check
    check (reason in ('moved_under_team', 'held', 'disagreeing', 'emptied', 'cancelled', 'locked_row_dropped')),
  cause text not null,
  since timestamptz not null default now(),
  acknowledged_at timestamptz,
  acknowledged_by text,
  primary key (booking_id, reason, cause),
  constraint review_causes_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

comment on table sync.review_causes is 'Why a booking is to be reviewed: one row for each thing that happened to it.';
comment on column sync.review_causes.reason is 'As in bookings.review_reasons.';
comment on column sync.review_causes.cause is 'What happened: a hold, a delivery, a collection, a moved or dropped row, a change of status. The same cause never asks twice.';
comment on column sync.review_causes.acknowledged_at is 'When a person took the reason away; it comes back only with another cause.';
comment on column sync.review_causes.acknowledged_by is 'Who did.';
