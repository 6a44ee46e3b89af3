-- Bookings, their source collections (days, products, attachments) and their history.
-- Each column names its owner: source (only the import writes it), planner (people write it, the import
-- never does), derived (the projection writes it).
-- Children point to (id, organization_id) of their parent, so one foreign key proves both.
-- A sync deletes nothing here: what a source no longer lists gets source_missing_since.
-- Rules: identity is organization, source and external id; absence is not a statement; every change can
-- be explained.

create table public.bookings (
  id bigint generated always as identity primary key,
  organization_id uuid not null references public.organizations (id),
  source public.booking_source not null,
  external_id text not null,
  booking_number text,
  title text,
  client_name text,
  status public.booking_status not null default 'PENDING',
  source_status text,
  status_changed_at timestamptz not null default now(),
  confirmed_at timestamptz,
  completed_at timestamptz,
  cancelled_at timestamptz,
  rejected_at timestamptz,
  delivery_address text,
  delivery_city text,
  delivery_postal_code text,
  latitude double precision,
  longitude double precision,
  contact_name text,
  contact_phone text,
  contact_email text,
  source_missing_since timestamptz,
  carry_more_than_10m boolean,
  ground_nails_allowed boolean,
  exact_time_needed boolean,
  exact_time_info text,
  rental_only boolean not null default false,
  source_notes text,
  planner_notes text,
  economics jsonb,
  price_amount numeric,
  price_currency text,
  partner_reference text,
  map_drawing_url text,
  is_stub boolean not null default false,
  review_reasons text[] not null default '{}',
  needs_review boolean not null generated always as (cardinality(review_reasons) > 0) stored,
  extra jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint bookings_organization_source_external_key unique (organization_id, source, external_id),
  constraint bookings_id_organization_key unique (id, organization_id),
  constraint bookings_planner_notes_check check (length(planner_notes) <= 10000),
  constraint bookings_external_id_check check (length(external_id) between 1 and 200)
);

comment on table public.bookings is
  'A booking as its source last stated it, with what planners added. Identified by (organization, source, external id), never by a name or a number.';
comment on column public.bookings.id is 'Internal key.';
comment on column public.bookings.organization_id is 'The tenant; never changes.';
comment on column public.bookings.source is 'Which system the booking comes from.';
comment on column public.bookings.external_id is 'Owner: source. The booking''s id there, as text (Headout''s integers as their digits).';
comment on column public.bookings.booking_number is 'Owner: source. Number for people, such as 2605-37; may return under another id.';
comment on column public.bookings.title is 'Owner: source.';
comment on column public.bookings.client_name is 'Owner: source.';
comment on column public.bookings.status is 'Owner: source. Our status; changed in one place, sync.status_patch.';
comment on column public.bookings.source_status is 'Owner: source. The word of the source, verbatim.';
comment on column public.bookings.status_changed_at is 'Owner: source. When status last changed here.';
comment on column public.bookings.confirmed_at is 'Owner: source. When we learned of the current confirmation; null unless confirmed.';
comment on column public.bookings.completed_at is 'Owner: source. When Headout reported COMPLETED; null unless confirmed.';
comment on column public.bookings.cancelled_at is 'Owner: source. When we learned of the current cancellation; null unless cancelled.';
comment on column public.bookings.rejected_at is 'Owner: source. When we learned of the current rejection; null unless rejected.';
comment on column public.bookings.delivery_address is 'Owner: source.';
comment on column public.bookings.delivery_city is 'Owner: source.';
comment on column public.bookings.delivery_postal_code is 'Owner: source.';
comment on column public.bookings.latitude is 'Owner: source. Degrees, WGS 84.';
comment on column public.bookings.longitude is 'Owner: source. Degrees, WGS 84.';
comment on column public.bookings.contact_name is 'Owner: source. Contact on site.';
comment on column public.bookings.contact_phone is 'Owner: source.';
comment on column public.bookings.contact_email is 'Owner: source.';
comment on column public.bookings.source_missing_since is 'Owner: source. Since when the source has said in words that the booking is deleted.';
comment on column public.bookings.carry_more_than_10m is 'Owner: source. Null: not stated.';
comment on column public.bookings.ground_nails_allowed is 'Owner: source. Null: not stated.';
comment on column public.bookings.exact_time_needed is 'Owner: source. Null: not stated.';
comment on column public.bookings.exact_time_info is 'Owner: source.';
comment on column public.bookings.rental_only is 'Owner: source. Goods are handed over without our crew; the calendar then uses other titles.';
comment on column public.bookings.source_notes is 'Owner: source. The source''s internal notes.';
comment on column public.bookings.planner_notes is 'Owner: planner. Never written by an import.';
comment on column public.bookings.economics is 'Owner: source. Totals as sent; SEK without VAT for EventFlow.';
comment on column public.bookings.price_amount is 'Owner: source. Amount in price_currency.';
comment on column public.bookings.price_currency is 'Owner: source. ISO 4217.';
comment on column public.bookings.partner_reference is 'Owner: source. Our reference at Headout.';
comment on column public.bookings.map_drawing_url is 'Owner: source.';
comment on column public.bookings.is_stub is 'Owner: source. True while the booking is known only from an event; the first read completes it.';
comment on column public.bookings.review_reasons is 'Owner: derived; a planner takes reasons away. held, disagreeing, emptied, cancelled, moved_under_team, locked_row_dropped.';
comment on column public.bookings.needs_review is 'Owner: derived. A person should look at the booking: review_reasons says why.';
comment on column public.bookings.extra is 'Owner: source. Fields that the source sends and we do not map, verbatim (rule: unknown fields are kept).';
comment on column public.bookings.created_at is 'When the row was made.';
comment on column public.bookings.updated_at is 'When the row last changed.';

create table public.booking_dates (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  booking_id bigint not null,
  phase public.booking_phase not null,
  day date not null,
  start_time time,
  end_time time,
  source_doubted_since timestamptz,
  source_missing_since timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint booking_dates_booking_phase_day_key unique (booking_id, phase, day),
  constraint booking_dates_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

comment on table public.booking_dates is 'The days of a booking, one row per phase and day.';
comment on column public.booking_dates.id is 'Internal key.';
comment on column public.booking_dates.organization_id is 'The booking''s organization.';
comment on column public.booking_dates.booking_id is 'The booking.';
comment on column public.booking_dates.phase is 'Owner: source.';
comment on column public.booking_dates.day is 'Owner: source. Local calendar day.';
comment on column public.booking_dates.start_time is 'Owner: source. Local wall clock; null: not stated.';
comment on column public.booking_dates.end_time is 'Owner: source. Local wall clock; at or before start_time means the next day.';
comment on column public.booking_dates.source_doubted_since is 'Owner: source. Since when the source has not listed it, while that is not believed yet: it is still in force (rule: absence is not a statement).';
comment on column public.booking_dates.source_missing_since is 'Owner: source. Since when the source has not listed it, once that is believed: it is out of force.';
comment on column public.booking_dates.created_at is 'When the row was made.';
comment on column public.booking_dates.updated_at is 'When the row last changed.';

create table public.booking_products (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  booking_id bigint not null,
  external_id text not null,
  parent_external_id text,
  parent_id bigint references public.booking_products (id) on delete set null,
  name text,
  quantity numeric not null default 1,
  unit_price numeric,
  total_price numeric,
  discount numeric,
  vat_rate numeric not null default 25,
  sku text,
  notes text,
  sort_index double precision,
  is_package_component boolean not null default false,
  tags text[] not null default '{}',
  inventory_item_type_id text,
  inventory_package_id text,
  costs jsonb,
  source_doubted_since timestamptz,
  source_missing_since timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint booking_products_booking_external_key unique (booking_id, external_id),
  constraint booking_products_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

create index booking_products_parent_id_idx on public.booking_products (parent_id) where parent_id is not null;

comment on table public.booking_products is 'The product rows of a booking: a tree of products, accessories and package components.';
comment on column public.booking_products.id is 'Internal key.';
comment on column public.booking_products.organization_id is 'The booking''s organization.';
comment on column public.booking_products.booking_id is 'The booking.';
comment on column public.booking_products.external_id is 'Owner: source. The order row''s id, unique within its booking.';
comment on column public.booking_products.parent_external_id is 'Owner: source. External id of the parent row, kept even if that row is not known yet.';
comment on column public.booking_products.parent_id is 'Owner: source. The parent row, once known.';
comment on column public.booking_products.name is 'Owner: source.';
comment on column public.booking_products.quantity is 'Owner: source. Pieces; for a package component, pieces per unit of its parent. 0 means none, not unknown.';
comment on column public.booking_products.unit_price is 'Owner: source. SEK without VAT for EventFlow. 0 means free, not unknown.';
comment on column public.booking_products.total_price is 'Owner: source.';
comment on column public.booking_products.discount is 'Owner: source. As sent.';
comment on column public.booking_products.vat_rate is 'Owner: source. Percent.';
comment on column public.booking_products.sku is 'Owner: source. Article number.';
comment on column public.booking_products.notes is 'Owner: source.';
comment on column public.booking_products.sort_index is 'Owner: source. Order in the list.';
comment on column public.booking_products.is_package_component is 'Owner: source. Part of a package: packed in its own quantity times that of its parent.';
comment on column public.booking_products.tags is 'Owner: source.';
comment on column public.booking_products.inventory_item_type_id is 'Owner: source. Item type in the source''s inventory.';
comment on column public.booking_products.inventory_package_id is 'Owner: source. Package in the source''s inventory.';
comment on column public.booking_products.costs is 'Owner: source. Cost fields as sent.';
comment on column public.booking_products.source_doubted_since is 'Owner: source. Since when the source has not listed it, while that is not believed yet: it is still in force (rule: absence is not a statement).';
comment on column public.booking_products.source_missing_since is 'Owner: source. Since when the source has not listed it, once that is believed: it is out of force.';
comment on column public.booking_products.created_at is 'When the row was made.';
comment on column public.booking_products.updated_at is 'When the row last changed.';

create table public.booking_attachments (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  booking_id bigint not null,
  url text not null,
  url_key text not null,
  listed_under text,
  file_name text,
  file_type text,
  origin text not null default 'import'
    constraint booking_attachments_origin_check check (origin in ('import', 'user')),
  source_doubted_since timestamptz,
  source_missing_since timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- What a person adds is opened by others with a click.
  constraint booking_attachments_user_url_check
    check (origin = 'import' or url ~* '^https?://' and length(url) <= 8192 and length(file_name) <= 1000),
  constraint booking_attachments_booking_url_key unique (booking_id, url_key),
  constraint booking_attachments_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

-- Which files in Storage are named by a row: its sweep asks.
create index booking_attachments_stored_idx on public.booking_attachments (url) where url_key like 'storage:%';
create index bookings_stored_map_idx on public.bookings (map_drawing_url) where map_drawing_url not like 'http%';

comment on table public.booking_attachments is 'Files of a booking: links from the source, and files that people add (origin user), which no sync touches.';
comment on column public.booking_attachments.id is 'Internal key.';
comment on column public.booking_attachments.organization_id is 'The booking''s organization.';
comment on column public.booking_attachments.booking_id is 'The booking.';
comment on column public.booking_attachments.url is 'Owner: source. The link as last read, with its query; of a file whose content the source sent its path in the bucket booking-files.';
comment on column public.booking_attachments.url_key is 'Owner: source. What identifies the file: the link without what changes on every read (sync.url_key); storage:{sha256}; or of Headout voucher and ticket:{publicId}:{type}.';
comment on column public.booking_attachments.listed_under is 'Owner: source. The list of the source that the file was last in; its absence counts only if that list was readable.';
comment on column public.booking_attachments.file_name is 'Owner: source.';
comment on column public.booking_attachments.file_type is 'Owner: source.';
comment on column public.booking_attachments.origin is 'import: the sync made it. user: a person did.';
comment on column public.booking_attachments.source_doubted_since is 'Owner: source. Since when the source has not listed it, while that is not believed yet: it is still in force (rule: absence is not a statement).';
comment on column public.booking_attachments.source_missing_since is 'Owner: source. Since when the source has not listed it, once that is believed: it is out of force.';
comment on column public.booking_attachments.created_at is 'When the row was made.';
comment on column public.booking_attachments.updated_at is 'When the row last changed.';

-- delivery_id and run_id have no foreign keys: deliveries and runs are pruned, history stays.

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

-- The brake counts departures from CONFIRMED in the last hour; few rows are one.
create index booking_history_departures_idx on public.booking_history (organization_id, at)
  where (changes -> 'bookings.status' ->> 0) = 'CONFIRMED';

comment on table public.booking_history is 'Every change of a booking, with the value before and after. Written once, never updated.';
comment on column public.booking_history.id is 'Internal key; ascending in order of writing.';
comment on column public.booking_history.organization_id is 'The booking''s organization.';
comment on column public.booking_history.booking_id is 'The booking.';
comment on column public.booking_history.at is 'When the transaction of the change began, by our clock.';
comment on column public.booking_history.actor is 'webhook: a delivery caused it. import: a run or a direct call. operator: a release or replay. planner: a person.';
comment on column public.booking_history.actor_id is 'Which person, if a person did it: a user id, or the name that an operator gave.';
comment on column public.booking_history.delivery_id is 'The delivery that caused it, if any.';
comment on column public.booking_history.run_id is 'The run that caused it, if any.';
comment on column public.booking_history.verdict is 'What happened: created, updated, applied, stub_created, conflict, held, released, dismissed, marked_missing, disagrees, absence_accepted, absence_dismissed, review.';
comment on column public.booking_history.changes is
  '{ "table.field": [old, new] }; for children "table[external_id].field". A new child is one entry "table[external_id].*": [null, {its fields}].';
comment on column public.booking_history.created_at is 'When the row was made.';
comment on column public.booking_history.updated_at is 'When the row was made; history is never changed.';
