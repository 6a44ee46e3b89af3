-- Doubts: rows that the source has stopped listing without saying that it dropped them. A doubted row is
-- in force until later reads confirm the absence or a person decides (53_absences).
-- Rules: absence is not a statement.

create table sync.doubts (
  booking_id bigint not null,
  organization_id uuid not null,
  collection text not null
    constraint doubts_collection_check check (collection in ('products', 'files', 'rig', 'event', 'rigdown')),
  item_id bigint not null,
  first_seen_at timestamptz not null,
  reads integer not null default 1,
  last_read_at timestamptz not null,
  listed_version bigint,
  listed_updated_at timestamptz,
  risen boolean not null default false,
  emptied boolean not null default false,
  dismissed_at timestamptz,
  dismissed_by text,
  primary key (booking_id, collection, item_id),
  constraint doubts_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

comment on table sync.doubts is 'What the source no longer lists and what is not believed yet: one row per day, product or file.';
comment on column sync.doubts.collection is 'products, files, or the phase of a day.';
comment on column sync.doubts.item_id is 'The row of booking_dates, booking_products or booking_attachments.';
comment on column sync.doubts.first_seen_at is 'When the first read without it began.';
comment on column sync.doubts.reads is 'Reads that count: the first sighting, and single reads that began after absence_confirm_after.';
comment on column sync.doubts.last_read_at is 'When the last read without it began.';
comment on column sync.doubts.listed_version is 'The revision number under which it was last listed.';
comment on column sync.doubts.listed_updated_at is 'The revision time under which it was last listed.';
comment on column sync.doubts.risen is 'Whether the last read without it had a higher revision than that.';
comment on column sync.doubts.emptied is 'Whether the last read without it had an empty list: only a person decides that.';
comment on column sync.doubts.dismissed_at is 'When a person said that it stays; asked again only after it was listed once more.';
comment on column sync.doubts.dismissed_by is 'Who said so.';

create table sync.believed_absences (
  id bigint generated always as identity primary key,
  connection_id bigint not null references sync.connections (id) on delete cascade,
  believed_at timestamptz not null default now(),
  rows integer not null
);

create index believed_absences_connection_idx on sync.believed_absences (connection_id, believed_at);

comment on table sync.believed_absences is 'How many rows went missing, for the budget of the rolling hour. Pruned after a day.';
comment on column sync.believed_absences.rows is 'Days, products and files that one page took out of force.';
