-- Disagreements: a sender said one thing about a booking and the read that followed shows another.
-- Sources lag behind their own webhooks, so such a read is not the last word (54_agreement).
-- Rules: a sender's word and the read must agree in the end.

create table sync.disagreements (
  booking_id bigint primary key,
  organization_id uuid not null,
  word text not null,
  word_at timestamptz not null,
  delivery_id uuid references sync.deliveries (id) on delete set null,
  started_at timestamptz not null default now(),
  reads integer not null default 0,
  due_at timestamptz not null,
  ended_at timestamptz,
  outcome text
    constraint disagreements_outcome_check check (outcome in ('agreed', 'silent', 'overruled', 'disagrees')),
  constraint disagreements_end_check check ((ended_at is null) = (outcome is null)),
  constraint disagreements_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

create index disagreements_delivery_idx on sync.disagreements (delivery_id) where delivery_id is not null;

create index disagreements_open_idx on sync.disagreements (organization_id)
  where ended_at is null or outcome = 'disagrees';

comment on table sync.disagreements is 'A sender''s word that the read did not bear out, and the series of reads that looks for it: one for each booking.';
comment on column sync.disagreements.word is 'What the sender said: an event type of EventFlow, or a status of Headout.';
comment on column sync.disagreements.word_at is 'When it was received.';
comment on column sync.disagreements.delivery_id is 'The delivery that said it.';
comment on column sync.disagreements.started_at is 'When the series of reads began; a booking starts at most one in agreement_pause.';
comment on column sync.disagreements.reads is 'Reads of the series so far that did not bear the word out.';
comment on column sync.disagreements.due_at is 'When the next read of the series is due; only a read that began at or after it counts.';
comment on column sync.disagreements.ended_at is 'When the series ended.';
comment on column sync.disagreements.outcome is
  'agreed; silent (an "updated" that never showed a difference); overruled (a Headout event that the reads outlived); disagrees: a person has to look.';
