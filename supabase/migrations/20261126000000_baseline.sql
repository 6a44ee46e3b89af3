-- The files of supabase/schemas in their order, in one migration.
-- Written by `deno task db:migration --baseline`; frozen from the first release on.

-- schemas/00_types.sql

-- The schema sync and the words that all files share: sources, statuses, phases, row changes, URL keys.
-- Runs on Postgres 15 and later without extensions. The API does not expose sync: its tables are private,
-- and the functions in public are the interface.

create schema sync;

comment on schema sync is
  'Machinery of the booking sync: inbox, source states, runs, rules. Private; the functions in public are its interface.';

create type public.booking_source as enum ('eventflow', 'headout');

create type public.booking_status as enum ('OFFER', 'PENDING', 'CONFIRMED', 'CANCELLED', 'REJECTED');

create type public.booking_phase as enum ('rig', 'event', 'rigdown');

comment on type public.booking_source is 'The outside system that a booking comes from. A third source is one more value.';
comment on type public.booking_status is
  'Our status of a booking. Only CONFIRMED bookings have active projections.';
comment on type public.booking_phase is 'Part of an event rental: rig (build), event, rigdown (dismantle).';

create function sync.touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

comment on function sync.touch_updated_at() is 'Trigger: sets updated_at on a row that a person changed.';

create type sync.row_change as (
  booking_id bigint,
  table_name text,
  key text,
  operation text,
  fields jsonb
);

comment on type sync.row_change is
  'One row that was written: operation created, updated or marked_missing; fields { name: [old, new] }, "*" for a whole new row. Answers, dry runs and booking_history are made of these.';

create function sync.changed_fields(old_row jsonb, new_row jsonb) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  select coalesce(jsonb_object_agg(n.key, jsonb_build_array(old_row -> n.key, n.value)), '{}')
  from jsonb_each(new_row) n
  where old_row ? n.key and n.value is distinct from old_row -> n.key
    and n.key not in ('id', 'organization_id', 'booking_id', 'created_at', 'updated_at', 'parent_id')
$$;

comment on function sync.changed_fields(jsonb, jsonb) is
  'The fields in which two rows (to_jsonb) differ, as { name: [old, new] }. Compares all columns, so none is forgotten (incident: changed times unnoticed).';

-- Without a query nothing is to be dropped: nearly always.
create function sync.url_key(url text, with_cache boolean default false) returns text
language plpgsql immutable parallel safe
set search_path = ''
as $$
declare
  plain constant text := split_part(url, '#', 1);
  dropped constant text := '^(x-amz-.*|x-goog-.*|token|key|expires|signature|key-pair-id|policy|sig|se|sp|sv|sr|st|spr'
    || case when with_cache then '' else '|t|v|cb|_' end || ')$';
  kept text;
begin
  if strpos(plain, '?') = 0 then
    return plain;
  end if;
  select string_agg(p.part, '&' order by p.place) into kept
  from regexp_split_to_table(substr(plain, strpos(plain, '?') + 1), '&') with ordinality p (part, place)
  where p.part <> '' and split_part(p.part, '=', 1) !~* dropped;
  return split_part(plain, '?', 1) || coalesce('?' || kept, '');
end;
$$;

comment on function sync.url_key(text, boolean) is
  'The identity of a URL: without fragment and the query parameters that sign it, which change on every read (incident: attachments multiplied by tokens), and without those that get past caches unless with_cache. The same rule as urlKey() in the functions.';

-- Taking URLs apart is the dear part of it, so equal ones are not.
create function sync.is_same_url(url text, other text) returns boolean
language plpgsql immutable parallel safe
set search_path = ''
as $$
begin
  return case when url = other then true
    when url is null or other is null then false
    else sync.url_key(url) = sync.url_key(other) end;
end;
$$;

comment on function sync.is_same_url(text, text) is 'Whether two URLs are of one file (sync.url_key); false if one of them is missing.';

create function sync.describe_instant(at timestamptz) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select to_char(describe_instant.at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
$$;

comment on function sync.describe_instant(timestamptz) is 'A moment as "2026-05-01 08:30:00 UTC".';

-- schemas/10_organizations.sql

-- Tenants and their members. Every domain table names its organization, and a row never changes it.
-- Rules: identity is organization, source and external id (there is no default organization); local times
-- use the organization's zone.
-- Needs auth.uid(), which Supabase has and the local bootstrap makes.

create table public.organizations (
  id uuid primary key default gen_random_uuid(),
  name text not null constraint organizations_name_check check (name <> ''),
  time_zone text not null default 'Europe/Stockholm',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

comment on table public.organizations is 'A tenant: one rental company with its own connections, rules and time zone.';
comment on column public.organizations.id is 'A uuid, because outsiders see it (webhook bodies).';
comment on column public.organizations.name is 'Owner: operator.';
comment on column public.organizations.time_zone is
  'Owner: operator. IANA zone of the wall-clock times of bookings (rule: local times use the organization''s zone).';
comment on column public.organizations.created_at is 'When the row was made.';
comment on column public.organizations.updated_at is 'When the row last changed.';

-- A zone that Postgres does not know would make every projection of the organization fail.
create function sync.check_time_zone() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.time_zone <> 'UTC' and (
    new.time_zone !~ '^(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)/'
    or not exists (select from pg_catalog.pg_timezone_names z where z.name = new.time_zone)) then
    raise exception 'Cannot set time_zone: % is not a place in the IANA time zone database', new.time_zone
      using errcode = '22023', hint = 'Use a name such as Europe/Stockholm, or UTC.';
  end if;
  return new;
end;
$$;

comment on function sync.check_time_zone() is 'Trigger: refuses a time zone that is no place: UTC+2 and Etc/GMT-2 mean the opposite of what people think, EST5EDT what nobody remembers.';

-- Looking a zone up reads all of them, so the default is not.
create trigger organizations_check_time_zone
  before insert or update of time_zone on public.organizations
  for each row when (new.time_zone <> 'Europe/Stockholm') execute function sync.check_time_zone();

create table public.organization_members (
  organization_id uuid not null references public.organizations (id) on delete cascade,
  user_id uuid not null,
  role text not null default 'member'
    constraint organization_members_role_check check (role in ('owner', 'planner', 'packer', 'member')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (organization_id, user_id)
);

create index organization_members_user_id_idx on public.organization_members (user_id);

comment on table public.organization_members is 'Which signed-in users belong to which organization.';
comment on column public.organization_members.organization_id is 'The organization.';
comment on column public.organization_members.user_id is 'The user, as auth.uid() gives it.';
comment on column public.organization_members.role is 'Owner: operator. What the member does; all members read the same.';
comment on column public.organization_members.created_at is 'When the row was made.';
comment on column public.organization_members.updated_at is 'When the row last changed.';

-- schemas/11_bookings.sql

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

-- schemas/12_events.sql

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

-- schemas/13_packing.sql

-- Packing lists: a project for each confirmed booking, its tasks and items, and the changes that a person
-- has to decide. 61_project_packing.sql writes them, apart from the columns whose owner is planner.
-- Rules: one writer per table; a person's work is never overwritten.

create table public.packing_projects (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  booking_id bigint not null,
  name text not null,
  client_name text,
  starts_on date,
  ends_on date,
  delivery_address text,
  notes text,
  status text not null default 'planning'
    constraint packing_projects_status_check
    check (status in ('planning', 'in_progress', 'packed', 'delivered', 'returned', 'closed')),
  needs_review boolean not null default false,
  review_reason text,
  active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint packing_projects_booking_key unique (booking_id),
  constraint packing_projects_id_organization_key unique (id, organization_id),
  constraint packing_projects_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

-- Partial on purpose: without statistics the query planner would think a full index as good as the key,
-- and each foreign key check would read all projects of the organization.
create index packing_projects_organization_starts_idx on public.packing_projects (organization_id, starts_on)
  where active;

comment on table public.packing_projects is 'One packing list per booking.';
comment on column public.packing_projects.id is 'Internal key.';
comment on column public.packing_projects.organization_id is 'The booking''s organization.';
comment on column public.packing_projects.booking_id is 'The booking; one project each.';
comment on column public.packing_projects.name is 'Owner: derived.';
comment on column public.packing_projects.client_name is 'Owner: derived.';
comment on column public.packing_projects.starts_on is 'Owner: derived. First rig day.';
comment on column public.packing_projects.ends_on is 'Owner: derived. Last rigdown day.';
comment on column public.packing_projects.delivery_address is 'Owner: derived.';
comment on column public.packing_projects.notes is 'Owner: derived. The source''s notes for the packers.';
comment on column public.packing_projects.status is 'Owner: planner. Any status but planning freezes the items (see sync.packing_states).';
comment on column public.packing_projects.needs_review is 'Owner: derived. Changes of the booking wait for a decision.';
comment on column public.packing_projects.review_reason is 'Owner: derived. Why it needs review, in words.';
comment on column public.packing_projects.active is 'Owner: derived. False while the booking is not confirmed.';
comment on column public.packing_projects.created_at is 'When the row was made.';
comment on column public.packing_projects.updated_at is 'When the row last changed.';

create table public.packing_tasks (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  packing_project_id bigint not null,
  kind text not null
    constraint packing_tasks_kind_check
    check (kind in ('pack', 'packed', 'delivered', 'inventoried', 'unpacked')),
  title text not null,
  due_on date,
  derived_due_on date,
  sort_order integer not null default 0,
  completed_at timestamptz,
  adjusted_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint packing_tasks_project_kind_key unique (packing_project_id, kind),
  constraint packing_tasks_project_fkey foreign key (packing_project_id, organization_id)
    references public.packing_projects (id, organization_id)
);

comment on table public.packing_tasks is 'The steps of a packing project.';
comment on column public.packing_tasks.id is 'Internal key.';
comment on column public.packing_tasks.organization_id is 'The project''s organization.';
comment on column public.packing_tasks.packing_project_id is 'The project.';
comment on column public.packing_tasks.kind is 'Owner: derived.';
comment on column public.packing_tasks.title is 'Owner: derived.';
comment on column public.packing_tasks.due_on is 'Owner: derived until completed or adjusted.';
comment on column public.packing_tasks.derived_due_on is 'Owner: derived. What follows from the days of the booking; differs from due_on if a person decided otherwise.';
comment on column public.packing_tasks.sort_order is 'Owner: derived.';
comment on column public.packing_tasks.completed_at is 'Owner: planner.';
comment on column public.packing_tasks.adjusted_at is 'Owner: planner. When a person set the due date; it stays from then on.';
comment on column public.packing_tasks.created_at is 'When the row was made.';
comment on column public.packing_tasks.updated_at is 'When the row last changed.';

create table public.packing_items (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  packing_project_id bigint not null,
  booking_product_id bigint references public.booking_products (id) on delete restrict,
  manual_name text,
  quantity_to_pack numeric not null default 1,
  quantity_packed numeric not null default 0,
  quantity_returned numeric not null default 0,
  packed_at timestamptz,
  excluded boolean not null default false,
  notes text,
  active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint packing_items_project_product_key unique (packing_project_id, booking_product_id),
  constraint packing_items_kind_check check ((booking_product_id is null) <> (manual_name is null)),
  -- NaN is greater than any number.
  constraint packing_items_quantities_check
    check (quantity_packed between 0 and 1e9 and quantity_returned between 0 and 1e9),
  constraint packing_items_manual_check
    check (manual_name is null or length(manual_name) between 1 and 500 and quantity_to_pack between 0 and 1e9),
  constraint packing_items_notes_check check (length(notes) <= 10000),
  constraint packing_items_project_fkey foreign key (packing_project_id, organization_id)
    references public.packing_projects (id, organization_id)
);

create index packing_items_booking_product_id_idx on public.packing_items (booking_product_id);

comment on table public.packing_items is 'What to pack: one row for each product row that is packed, and manual items that packers add.';
comment on column public.packing_items.id is 'Internal key.';
comment on column public.packing_items.organization_id is 'The project''s organization.';
comment on column public.packing_items.packing_project_id is 'The project.';
comment on column public.packing_items.booking_product_id is 'The product row; null for a manual item.';
comment on column public.packing_items.manual_name is 'Owner: planner. Name of a manual item, which no sync touches.';
comment on column public.packing_items.quantity_to_pack is 'Owner: derived (planner for a manual item). Pieces; for a component its quantity times that of its parent.';
comment on column public.packing_items.quantity_packed is 'Owner: planner. Pieces.';
comment on column public.packing_items.quantity_returned is 'Owner: planner. Pieces.';
comment on column public.packing_items.packed_at is 'Owner: planner.';
comment on column public.packing_items.excluded is 'Owner: planner. Not to be packed for this booking.';
comment on column public.packing_items.notes is 'Owner: planner.';
comment on column public.packing_items.active is 'Owner: derived. False if the product is no longer packed.';
comment on column public.packing_items.created_at is 'When the row was made.';
comment on column public.packing_items.updated_at is 'When the row last changed.';

create table public.packing_change_requests (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  packing_project_id bigint not null,
  booking_product_id bigint not null references public.booking_products (id),
  change_type text not null
    constraint packing_change_requests_change_type_check
    check (change_type in ('item_added', 'item_removed', 'quantity_changed')),
  old_quantity numeric,
  new_quantity numeric,
  urgency text not null default 'normal'
    constraint packing_change_requests_urgency_check check (urgency in ('normal', 'short_notice')),
  status text not null default 'pending'
    constraint packing_change_requests_status_check check (status in ('pending', 'accepted', 'dismissed')),
  resolved_at timestamptz,
  resolved_by text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint packing_change_requests_project_fkey foreign key (packing_project_id, organization_id)
    references public.packing_projects (id, organization_id)
);

create unique index packing_change_requests_pending_key on public.packing_change_requests
  (packing_project_id, booking_product_id, change_type) where status = 'pending';

create index packing_change_requests_booking_product_id_idx on public.packing_change_requests (booking_product_id);

comment on table public.packing_change_requests is 'Changes of a booking that a person has to decide because the packing project is frozen.';
comment on column public.packing_change_requests.id is 'Internal key.';
comment on column public.packing_change_requests.organization_id is 'The project''s organization.';
comment on column public.packing_change_requests.packing_project_id is 'The project.';
comment on column public.packing_change_requests.booking_product_id is 'The product row that changed.';
comment on column public.packing_change_requests.change_type is 'Owner: derived.';
comment on column public.packing_change_requests.old_quantity is 'Owner: derived. What the packing list says; null for an added item.';
comment on column public.packing_change_requests.new_quantity is 'Owner: derived. What the booking says; null for a removed item.';
comment on column public.packing_change_requests.urgency is 'Owner: derived. short_notice: the project starts in less than 14 days (see sync.packing_states).';
comment on column public.packing_change_requests.status is 'Owner: planner; the system dismisses a request whose cause is gone.';
comment on column public.packing_change_requests.resolved_at is 'Owner: planner. When it was decided.';
comment on column public.packing_change_requests.resolved_by is 'Owner: planner. Who decided: a user id, or system.';
comment on column public.packing_change_requests.created_at is 'When the row was made.';
comment on column public.packing_change_requests.updated_at is 'When the row last changed.';

-- schemas/20_connections.sql

-- Connections: one organization's link to one source, with its cursor and its brake.
-- Rules: pausing costs nothing; the cursor moves only past what is applied.

create table sync.connections (
  id bigint generated always as identity primary key,
  organization_id uuid not null references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  enabled boolean not null default true,
  paused_at timestamptz,
  pause_reason text,
  cursor timestamptz,
  cancel_budget integer not null default 20 constraint connections_cancel_budget_check check (cancel_budget >= 0),
  absence_budget integer not null default 500 constraint connections_absence_budget_check check (absence_budget >= 0),
  absence_confirm_after interval not null default '2 minutes',
  absence_confirm_slow interval not null default '15 minutes',
  agreement_waits interval[] not null default '{10 seconds,1 minute,5 minutes}'
    constraint connections_agreement_waits_check check (cardinality(agreement_waits) > 0),
  agreement_pause interval not null default '1 minute',
  event_stands_for interval not null default '1 minute',
  contradictions_apart interval not null default '10 seconds',
  freshness_reads_per_minute integer not null default 20
    constraint connections_freshness_reads_check check (freshness_reads_per_minute >= 0),
  freshness_swept_at timestamptz,
  freshness_claimed_at timestamptz,
  not_before date,
  project_statuses public.booking_status[] not null default '{CONFIRMED}'
    constraint connections_project_statuses_check
    check ('CONFIRMED' = any (project_statuses) and project_statuses <@ '{CONFIRMED,PENDING}'),
  last_delivery_at timestamptz,
  last_success_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint connections_organization_source_key unique (organization_id, source)
);

comment on table sync.connections is 'One organization''s link to one source.';
comment on column sync.connections.enabled is 'Owner: operator. False: not set up yet; deliveries are kept and wait.';
comment on column sync.connections.paused_at is 'Owner: pause_connection. While it is set nothing is claimed (rule: pausing costs nothing).';
comment on column sync.connections.pause_reason is 'Owner: pause_connection.';
comment on column sync.connections.cursor is 'Owner: finish_run. Proven synced up to here: our clock when the last complete run began, less an overlap (rule: the cursor moves only past what is applied).';
comment on column sync.connections.cancel_budget is 'Owner: operator. Departures from CONFIRMED that pass in a rolling hour; the brake holds the rest (rule: cancelling takes a positive statement).';
comment on column sync.connections.absence_budget is 'Owner: operator. Days, products and files that may go missing in a rolling hour; the brake holds the rest.';
comment on column sync.connections.absence_confirm_after is 'Owner: operator. How long after the first sighting of an absence a read may confirm it.';
comment on column sync.connections.absence_confirm_slow is 'Owner: operator. The same for the last of three reads of days whose revision did not rise.';
comment on column sync.connections.agreement_waits is 'Owner: operator. How long to wait before each further read while a sender''s word and the read differ.';
comment on column sync.connections.agreement_pause is 'Owner: operator. A booking starts at most one such series of reads in this time.';
comment on column sync.connections.event_stands_for is 'Owner: operator. How long an event of Headout stands against any read.';
comment on column sync.connections.contradictions_apart is 'Owner: operator. How far apart two single reads must begin to outweigh an event of Headout after that.';
comment on column sync.connections.freshness_reads_per_minute is 'Owner: operator. Reads for freshness in a rolling minute at most; 0: none.';
comment on column sync.connections.freshness_swept_at is 'When it was last decided which bookings are kept fresh.';
comment on column sync.connections.freshness_claimed_at is 'When reads for freshness were last handed out; connections take turns.';
comment on column sync.connections.not_before is 'Owner: operator. Bookings whose last day is before this, and that are not stored yet, are skipped.';
comment on column sync.connections.project_statuses is 'Owner: operator. Bookings with these statuses have calendar, warehouse and packing rows: CONFIRMED, and PENDING if wanted. After a change call project_bookings.';
comment on column sync.connections.last_delivery_at is 'When a delivery last arrived, to within ten seconds.';
comment on column sync.connections.last_success_at is 'When a statement of this source last changed something, to within ten seconds.';

create function sync.create_connections() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into sync.connections (organization_id, source)
  select new.id, s.source from unnest(enum_range(null::public.booking_source)) as s (source)
  on conflict do nothing;
  return null;
end;
$$;

comment on function sync.create_connections() is
  'Trigger: a new organization gets a connection to every source. Definer: the people who create organizations cannot write to sync.';

create trigger organizations_create_connections
  after insert on public.organizations
  for each row execute function sync.create_connections();

-- Headout cannot name an organization.
create function sync.resolve_connection(organization_id uuid, source public.booking_source)
returns sync.connections
language sql stable
set search_path = ''
as $$
  select c.* from sync.connections c
  where c.source = resolve_connection.source
    and case when resolve_connection.organization_id is not null
      then c.organization_id = resolve_connection.organization_id
      else c.source = 'headout' and c.enabled and 1 = (
        select count(*) from sync.connections o where o.source = 'headout' and o.enabled)
    end
$$;

comment on function sync.resolve_connection(uuid, public.booking_source) is
  'The connection that a delivery belongs to. For Headout without an organization it is the enabled Headout connection, if there is exactly one. Otherwise nulls.';

-- schemas/21_deliveries.sql

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

-- schemas/22_source_states.sql

-- What we last knew of a booking at its source, also before the booking exists here. The row of a
-- booking is also the lock that puts everything done to it in order, and requested_seq counts the
-- reads that were asked for.

create table sync.source_states (
  organization_id uuid not null references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  external_id text not null,
  source_updated_at timestamptz,
  source_version bigint,
  content_hash text,
  raw_hash text,
  raw_content_hash text,
  fetched_at timestamptz,
  last_event_timestamp text,
  last_event_status text,
  last_event_at timestamptz,
  contradicted_at timestamptz,
  requested_seq bigint not null default 0,
  processed_seq bigint not null default 0,
  missing_sightings integer not null default 0,
  missing_first_seen_at timestamptz,
  unsettled boolean not null default false,
  read_at timestamptz,
  refresh_after interval,
  refresh_due_at timestamptz,
  updated_at timestamptz not null default now(),
  primary key (organization_id, source, external_id),
  constraint source_states_seq_check check (processed_seq <= requested_seq)
);

comment on table sync.source_states is 'What we last knew of a booking at its source, also before the booking exists here.';
comment on column sync.source_states.source_updated_at is 'The source''s own revision time of the last applied statement.';
comment on column sync.source_states.source_version is 'The source''s own revision number of the last applied statement.';
comment on column sync.source_states.content_hash is 'Hash of the last applied content; null: compare with the rows.';
comment on column sync.source_states.raw_hash is 'Hash of what a page of the source''s list had for it, and of the decoder''s version.';
comment on column sync.source_states.raw_content_hash is 'The content_hash that it was decoded to; raw_hash counts only while both are equal.';
comment on column sync.source_states.fetched_at is 'When the read of the last applied statement began (rule: a fetch is dated when it was read); for an event when it arrived.';
comment on column sync.source_states.last_event_timestamp is 'Headout''s local time of the newest event.';
comment on column sync.source_states.last_event_status is 'Headout''s status of the newest event; decides within one second.';
comment on column sync.source_states.last_event_at is 'When the newest event of Headout arrived, by our clock; null if another of the same second disagrees.';
comment on column sync.source_states.contradicted_at is 'When the first read began that contradicts the newest event and counts against it.';
comment on column sync.source_states.requested_seq is 'Counts requests for a read; greater than processed_seq: a read is due (rule: a webhook during a sync causes a second pass).';
comment on column sync.source_states.processed_seq is 'The last request that a read has covered.';
comment on column sync.source_states.missing_sightings is 'Runs in a row that did not see the booking.';
comment on column sync.source_states.unsettled is 'While something of the booking is doubted, contradicted, held or missing (a file): equal content then ends no single read of it.';
comment on column sync.source_states.read_at is 'When a read that showed the booking last began, to within half of refresh_after; kept only while a rule covers the booking.';
comment on column sync.source_states.refresh_after is 'How old the last read may be (sync.freshness_rules); null: no rule covers the booking.';
comment on column sync.source_states.refresh_due_at is 'When it is next read by itself.';
comment on column sync.source_states.missing_first_seen_at is 'When it was first not seen.';

-- Few at any time: a page is compared with all of them.
create index source_states_missing_idx on sync.source_states (organization_id, source) where missing_sightings > 0;

-- What is read next for freshness.
create index source_states_refresh_idx on sync.source_states (organization_id, source, refresh_due_at)
  where refresh_due_at is not null;

create type sync.lane as (organization_id uuid, source public.booking_source, external_id text);

comment on type sync.lane is 'A booking as the inbox sees it: its deliveries are processed one at a time.';

create function sync.lock_states(
  organization_id uuid, source public.booking_source, external_ids text[], new_ids text[]
) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  insert into sync.source_states (organization_id, source, external_id)
  select lock_states.organization_id, lock_states.source, i.id
  from unnest(lock_states.new_ids) i (id)
  order by i.id
  on conflict do nothing;

  perform from (select distinct i.id from unnest(lock_states.external_ids) i (id) order by 1) wanted
  cross join lateral (
    select from sync.source_states s
    where s.organization_id = lock_states.organization_id and s.source = lock_states.source
      and s.external_id = wanted.id
    for update
  ) locked;
end;
$$;

comment on function sync.lock_states(uuid, public.booking_source, text[], text[]) is
  'Locks the states of some bookings in one order, so that two callers wait for each other and never deadlock; new_ids get an empty state first.';

create function sync.request_reads(lanes sync.lane[])
returns table (organization_id uuid, source public.booking_source, external_id text, requested_seq bigint)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
  insert into sync.source_states as s (organization_id, source, external_id, requested_seq)
  select distinct l.organization_id, l.source, l.external_id, 1 from unnest(request_reads.lanes) l
  order by 1, 2, 3
  on conflict on constraint source_states_pkey
  do update set requested_seq = s.requested_seq + 1, updated_at = now()
  returning s.organization_id, s.source, s.external_id, s.requested_seq;
end;
$$;

comment on function sync.request_reads(sync.lane[]) is
  'Counts one more request to read each booking, and locks its state. A read that begins later answers every request up to the number returned (rule: a webhook during a sync causes a second pass).';

-- schemas/23_runs.sql

-- Runs: passes over a source that save how far they got. What they do stands in 70_runs.sql.
-- Rules: work is bounded and resumes.

create table sync.runs (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  mode text not null constraint runs_mode_check check (mode in ('incremental', 'full', 'reconcile')),
  status text not null default 'running'
    constraint runs_status_check check (status in ('running', 'stopped', 'completed', 'failed')),
  parameters jsonb not null default '{}',
  checkpoint jsonb not null default '{}',
  counters jsonb not null default '{}',
  error jsonb,
  lease_token uuid,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  finished_at timestamptz
);

create unique index runs_open_key on sync.runs (organization_id, source, mode) where status in ('running', 'stopped');

create index runs_open_idx on sync.runs (heartbeat_at) where status in ('running', 'stopped');

create index runs_organization_started_idx on sync.runs (organization_id, source, started_at desc);

comment on table sync.runs is 'One pass over a source: incremental, full or reconcile. A connection has at most one open run of each mode.';
comment on column sync.runs.parameters is 'What was asked for: since, start_date, end_date, repair (absent: what the source states is applied; false: only reported; true: older revisions too, and what is absent is read).';
comment on column sync.runs.checkpoint is 'How far it got; the run resumes here.';
comment on column sync.runs.counters is 'Pages, bookings, verdicts, bytes, times; they grow with each checkpoint.';
comment on column sync.runs.heartbeat_at is 'Last sign of life; after 60 s without one another worker may resume the run (see sync.is_at_work).';

create table sync.sightings (
  run_id uuid not null references sync.runs (id) on delete cascade,
  external_id text not null,
  primary key (run_id, external_id)
);

comment on table sync.sightings is 'Which bookings a reconcile run has seen; deleted when the run ends.';

-- schemas/24_held_changes.sql

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

-- schemas/25_rules.sql

-- Which calendar, warehouse and packing rows a booking drives, on which day and under which title. An
-- organization changes its rules here without a deploy.

create table sync.projection_rules (
  id bigint generated always as identity primary key,
  organization_id uuid references public.organizations (id) on delete cascade,
  source public.booking_source,
  projection text not null
    constraint projection_rules_projection_check
    check (projection in ('calendar', 'warehouse', 'packing_project', 'packing_task')),
  kind text not null,
  anchor public.booking_phase,
  which text constraint projection_rules_which_check check (which in ('first', 'each', 'last')),
  day_offset integer not null default 0,
  start_time time,
  duration interval constraint projection_rules_duration_check check (duration > interval '0'),
  title_template text,
  rental_only_title_template text,
  sort_order integer not null default 0,
  enabled boolean not null default true,
  constraint projection_rules_key unique nulls not distinct (organization_id, source, projection, kind)
);

comment on table sync.projection_rules is
  'How calendar, warehouse and packing rows are derived. A rule of an organization replaces the general one; a rule for its source replaces both.';
comment on column sync.projection_rules.organization_id is 'Null: for every organization.';
comment on column sync.projection_rules.source is 'Null: for every source.';
comment on column sync.projection_rules.anchor is 'The phase from whose days the row is derived.';
comment on column sync.projection_rules.which is 'first, each or last day of that phase.';
comment on column sync.projection_rules.day_offset is 'Days after (before, if negative) that day.';
comment on column sync.projection_rules.start_time is 'Local wall clock.';
comment on column sync.projection_rules.duration is 'Wall clock: 08:00 plus 4 h is 12:00 on any day.';
comment on column sync.projection_rules.title_template is 'Text with {title}, {client} and {day}.';
comment on column sync.projection_rules.rental_only_title_template is 'The template for rental-only bookings; null: title_template.';

insert into sync.projection_rules
  (projection, kind, anchor, which, day_offset, start_time, duration, title_template,
   rental_only_title_template, sort_order)
values
  ('calendar', 'rig', 'rig', 'each', 0, '08:00', '4 hours', '{title} – {client}', 'Leverans UT – {title} – {client}', 1),
  ('calendar', 'event', 'event', 'each', 0, '08:00', '3 hours', '{title} – {client}', null, 2),
  ('calendar', 'rigdown', 'rigdown', 'each', 0, '08:00', '4 hours', '{title} – {client}', 'Retur IN – {title} – {client}', 3),
  ('warehouse', 'packing', 'rig', 'first', -4, '08:00', '3 hours', 'Packning - {client}', null, 1),
  ('warehouse', 'delivery', 'rig', 'first', 0, '07:00', '2 hours', 'Utleverans - {client}', null, 2),
  ('warehouse', 'event', 'event', 'first', 0, '09:00', '8 hours', 'Event - {client}', null, 3),
  ('warehouse', 'return', 'rigdown', 'each', 0, '17:00', '2 hours', 'Återleverans - {client}', null, 4),
  ('warehouse', 'inventory', 'rigdown', 'each', 1, '08:00', '2 hours', 'Inventering - {client}', null, 5),
  ('warehouse', 'unpacking', 'rigdown', 'each', 1, '10:00', '2 hours', 'Uppackning - {client}', null, 6),
  ('packing_project', 'project', 'event', 'first', 0, null, null, '{client} - {day}', null, 0),
  ('packing_task', 'pack', 'rig', 'first', -4, null, null, 'Packning', null, 1),
  ('packing_task', 'packed', 'rig', 'first', -1, null, null, 'Utrustning packad', null, 2),
  ('packing_task', 'delivered', 'rig', 'first', 0, null, null, 'Utleverans klarmarkerad', null, 3),
  ('packing_task', 'inventoried', 'rigdown', 'last', 1, null, null, 'Inventering efter event', null, 4),
  ('packing_task', 'unpacked', 'rigdown', 'last', 2, null, null, 'Uppackning klar', null, 5);

-- A Headout booking drives one calendar row, the event, and nothing else.
insert into sync.projection_rules
  (source, projection, kind, anchor, which, day_offset, start_time, duration, title_template, sort_order, enabled)
select 'headout', r.projection, r.kind, r.anchor, r.which, r.day_offset, r.start_time, r.duration,
  r.title_template, r.sort_order, r.projection = 'calendar' and r.kind = 'event'
from sync.projection_rules r
where r.source is null and r.organization_id is null;

create function sync.effective_rules(booking_ids bigint[], projection text)
returns table (
  booking_organization_id uuid, booking_source public.booking_source, kind text,
  anchor public.booking_phase, which text, day_offset integer, start_time time, duration interval,
  title_template text, rental_only_title_template text, sort_order integer,
  project_statuses public.booking_status[]
)
language sql stable
set search_path = ''
as $$
  select e.organization_id, e.source, (e.rule).kind, (e.rule).anchor, (e.rule).which,
    (e.rule).day_offset, (e.rule).start_time, (e.rule).duration, (e.rule).title_template,
    (e.rule).rental_only_title_template, (e.rule).sort_order, e.project_statuses
  from (
    select distinct on (o.organization_id, o.source, r.kind) o.organization_id, o.source, r as rule, c.project_statuses
    from (
      select distinct b.organization_id, b.source from public.bookings b
      where b.id = any (effective_rules.booking_ids)
    ) o
    join sync.connections c on c.organization_id = o.organization_id and c.source = o.source
    join sync.projection_rules r on r.projection = effective_rules.projection
      and (r.organization_id is null or r.organization_id = o.organization_id)
      and (r.source is null or r.source = o.source)
    order by o.organization_id, o.source, r.kind, r.source nulls last, r.organization_id nulls last
  ) e
  where (e.rule).enabled
$$;

comment on function sync.effective_rules(bigint[], text) is 'The enabled rules for the organizations and sources of some bookings: of each kind the most specific one, and the statuses that project.';

-- In plpgsql, which keeps its plan: titles are a twentieth of a first import.
create function sync.fill_title(template text, title text, client text, day text) returns text
language plpgsql immutable parallel safe
set search_path = ''
as $$
declare
  -- Placeholders become single characters first, so that a client called "{title}" stays one.
  filled constant text := replace(replace(replace(
      replace(replace(replace(template, '{day}', chr(1)), '{client}', chr(2)), '{title}', chr(3)),
    chr(1), coalesce(day, '')), chr(2), coalesce(client, '')), chr(3), coalesce(title, ''));
begin
  -- A missing client leaves no dash at the end, and a missing title no two in a row.
  return btrim(case when coalesce(title, '') = '' then regexp_replace(filled, '(\s*[–-]\s*){2,}', ' – ')
    else filled end, ' –-');
end;
$$;

comment on function sync.fill_title(text, text, text, text) is 'A title from its template, with {title}, {client} and {day} filled in.';

-- schemas/26_pages.sql

-- The words in which the functions of a page speak to each other: the page, what is planned for each
-- of its snapshots, what was written, and the verdict on each snapshot.

create type sync.page as (
  organization_id uuid,
  source public.booking_source,
  deliveries sync.deliveries[],
  run_id uuid,
  force boolean,
  compares boolean,
  detailed boolean
);

comment on type sync.page is
  'What all snapshots of one call have in common: the connection, the deliveries whose leases are held, the run, whether to compare with the rows instead of hash and revision (force) or instead of the hash alone (compares), and whether to report every changed field (detailed).';

create type sync.planned_snapshot as (
  ord integer,
  external_id text,
  snapshot jsonb,
  content_hash text,
  fetched_at timestamptz,
  source_updated_at timestamptz,
  source_version bigint,
  verdict text,
  error jsonb,
  booking_id bigint,
  is_new boolean,
  old_status public.booking_status,
  new_status public.booking_status,
  unsettled boolean,
  newer boolean,
  contradicts boolean,
  withstood boolean,
  contradicted_at timestamptz,
  ages boolean,
  raw_hash text
);

comment on type sync.planned_snapshot is
  'A snapshot with its verdict: apply, unchanged, revision (same content, newer revision), stale, held, skipped (over before the connection''s first day) or invalid. contradicts: its status is not that of the newest event of the booking (null: there is none, or nothing to compare); withstood: and the event stands against it; contradicted_at: since when such reads count; ages: the booking is kept fresh, and its last noted read is old enough to be noted again; raw_hash: of the text that it was decoded from, if that is to be noted.';

create function sync.with_verdict(planned sync.planned_snapshot, verdict text, error jsonb default null)
returns sync.planned_snapshot
language plpgsql immutable
set search_path = ''
as $$
begin
  planned.verdict := with_verdict.verdict;
  planned.error := with_verdict.error;
  return planned;
end;
$$;

comment on function sync.with_verdict(sync.planned_snapshot, text, jsonb) is 'The same snapshot with another verdict.';

create type sync.snapshot_verdict as (
  ord integer,
  external_id text,
  verdict text,
  booking_id bigint,
  changes jsonb,
  error jsonb,
  warnings jsonb
);

comment on type sync.snapshot_verdict is 'What applying one snapshot did, and what of it could not be used as it was sent.';

-- schemas/27_doubts.sql

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

-- schemas/28_disagreements.sql

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

-- schemas/29_review.sql

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

-- schemas/30_status.sql

-- The status of a booking, for both sources and every path, and the order of two statements about it.
-- Any status may follow any other when the source states it. Two changes are special:
--   - leaving CONFIRMED is counted and, beyond the budget, held (31_brake);
--   - leaving REJECTED by an event is a conflict that only a read may decide (43_headout_event).

create function sync.is_departure(old_status public.booking_status, new_status public.booking_status)
returns boolean
language sql immutable parallel safe
set search_path = ''
as $$
  select coalesce(old_status = 'CONFIRMED' and new_status <> 'CONFIRMED', false)
$$;

comment on function sync.is_departure(public.booking_status, public.booking_status) is
  'Whether a change of status leaves CONFIRMED and so counts against the brake.';

-- Empty if the status does not change, so that equal content writes nothing. Each timestamp says when
-- we learned of the present status; history keeps the earlier ones.
create function sync.status_patch(
  old_status public.booking_status,
  new_status public.booking_status,
  at timestamptz,
  completed boolean default false
) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  select case when old_status is not distinct from new_status then '{}'::jsonb
    else jsonb_build_object(
      'status', new_status,
      'status_changed_at', at,
      'confirmed_at', case when new_status = 'CONFIRMED' then at end,
      'completed_at', case when new_status = 'CONFIRMED' and completed then at end,
      'cancelled_at', case when new_status = 'CANCELLED' then at end,
      'rejected_at', case when new_status = 'REJECTED' then at end)
    end
$$;

comment on function sync.status_patch(public.booking_status, public.booking_status, timestamptz, boolean) is
  'Columns of bookings that change when the status goes from old to new at an instant.';

-- Version before updated_at: the first of the two that both sides state and that differs decides.
create function sync.revision_order(
  version bigint, updated_at timestamptz, other_version bigint, other_updated_at timestamptz
) returns integer
language sql immutable parallel safe
set search_path = ''
as $$
  select case
    when version > other_version then 1
    when version < other_version then -1
    when updated_at > other_updated_at then 1
    when updated_at < other_updated_at then -1
    else 0 end
$$;

comment on function sync.revision_order(bigint, timestamptz, bigint, timestamptz) is
  'Which of two revisions of a booking wins: 1 the first, -1 the other, 0 if the revisions cannot tell; then the later read wins (rule: older never overwrites newer).';

create function sync.compare_snapshots(snapshot jsonb, other jsonb) returns integer
language sql immutable parallel safe
set search_path = ''
as $$
  select sync.revision_order(
    (snapshot ->> 'source_version')::bigint, (snapshot ->> 'source_updated_at')::timestamptz,
    (other ->> 'source_version')::bigint, (other ->> 'source_updated_at')::timestamptz)
$$;

comment on function sync.compare_snapshots(jsonb, jsonb) is 'sync.revision_order of two snapshots.';

-- schemas/31_brake.sql

-- The brake (rule: cancelling takes a positive statement). Counted is every departure of a booking from
-- CONFIRMED within the last hour, whichever path brought it. Beyond the connection's cancel_budget a
-- departure is held for a person:
--   - released, the next read that begins within a day passes the brake;
--   - dismissed, the change stays dropped until the source states something newer or something else;
--   - a later statement that was applied ends the hold.
-- What is held has been stated, and is ordered like any other statement.
--
-- That a confirmed booking is deleted at its source is held as well, however few there are: the mark
-- stands at once, the booking stays confirmed until a person releases the deletion.

create function sync.remaining_cancel_budget(organization_id uuid, source public.booking_source)
returns integer
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  budget integer;
begin
  -- Locked, so that two workers cannot both spend the last of it.
  select c.cancel_budget into budget from sync.connections c
  where c.organization_id = remaining_cancel_budget.organization_id
    and c.source = remaining_cancel_budget.source
  for no key update;
  return greatest(0, budget - (
    select count(*)::integer
    from public.booking_history h
    where h.organization_id = remaining_cancel_budget.organization_id
      and h.at > now() - interval '60 minutes'
      and (h.changes -> 'bookings.status' ->> 0) = 'CONFIRMED'
      -- Anybody who can send an event can invent a booking: one that no read has shown spends nothing.
      and exists (select from public.bookings b
        where b.id = h.booking_id and b.source = remaining_cancel_budget.source and not b.is_stub)
  ));
end;
$$;

comment on function sync.remaining_cancel_budget(uuid, public.booking_source) is
  'Departures from CONFIRMED that a connection may still make in this rolling hour; locks the connection.';

create function sync.is_released(booking_id bigint, read_at timestamptz) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (select from sync.held_changes h
    where h.booking_id = is_released.booking_id and h.class = 'status'
      and h.released_at is not null and h.settled_at is null
      and h.released_at <= is_released.read_at and h.released_at > now() - interval '1 day')
$$;

comment on function sync.is_released(bigint, timestamptz) is
  'Whether a person has released this booking within a day, before this read began, and no read has used it yet.';

create function sync.deletion_is_new(booking_id bigint) returns boolean
language sql stable
set search_path = ''
as $$
  select not exists (select from sync.held_changes h
    where h.booking_id = deletion_is_new.booking_id and h.kind = 'deleted' and h.dismissed_at is not null
      and h.settled_at is null and h.by <> 'system')
$$;

comment on function sync.deletion_is_new(bigint) is
  'Whether no person has dismissed the deletion of this booking, or its source has listed it again since.';

create function sync.is_dropped(booking_id bigint, new_status public.booking_status, snapshot jsonb) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (select from sync.held_changes h
    where h.booking_id = is_dropped.booking_id and h.dismissed_at is not null and h.settled_at is null
      and h.by <> 'system' and h.kind = is_dropped.new_status::text
      and sync.compare_snapshots(is_dropped.snapshot, h.snapshot) <= 0)
$$;

comment on function sync.is_dropped(bigint, public.booking_status, jsonb) is
  'Whether a person has dismissed this very change of status, and the source has stated nothing newer and nothing else since.';

create function sync.hold_change(
  organization_id uuid, booking_id bigint, kind text, snapshot jsonb, delivery_id uuid, run_id uuid
) returns boolean
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  written boolean;
begin
  insert into sync.held_changes as h (organization_id, booking_id, kind, delivery_id, run_id, snapshot, reason)
  values (hold_change.organization_id, hold_change.booking_id, hold_change.kind,
    hold_change.delivery_id, hold_change.run_id, hold_change.snapshot,
    case hold_change.kind when 'deleted' then 'The source says that it has deleted the booking; that waits for a person.'
      else format('More bookings left CONFIRMED within an hour than the connection allows; %s waits for a person.',
        hold_change.kind) end)
  on conflict (booking_id, class) where released_at is null and dismissed_at is null
  do update set kind = excluded.kind, snapshot = excluded.snapshot, delivery_id = excluded.delivery_id,
    run_id = excluded.run_id, held_at = now()
  where (h.kind <> excluded.kind
      or h.snapshot ->> 'content_hash' is distinct from excluded.snapshot ->> 'content_hash')
    -- rule: older never overwrites newer
    and case sync.compare_snapshots(excluded.snapshot, h.snapshot)
      when 1 then true
      when -1 then false
      else coalesce((excluded.snapshot ->> 'fetched_at')::timestamptz >= (h.snapshot ->> 'fetched_at')::timestamptz, true) end
  returning true into written;
  if written is null then
    return false;
  end if;
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, run_id, verdict)
  values (hold_change.organization_id, hold_change.booking_id,
    case when hold_change.delivery_id is null then 'import' else 'webhook' end,
    hold_change.delivery_id, hold_change.run_id, 'held');
  return true;
end;
$$;

comment on function sync.hold_change(uuid, bigint, text, jsonb, uuid, uuid) is
  'Opens the hold of one booking, or replaces an older one; the same statement writes nothing. True if anything was written.';

create function sync.keep_status(planned sync.planned_snapshot) returns sync.planned_snapshot
language plpgsql immutable
set search_path = ''
as $$
begin
  planned.snapshot := planned.snapshot #- '{booking,status}' #- '{booking,source_status}';
  planned.new_status := planned.old_status;
  return planned;
end;
$$;

comment on function sync.keep_status(sync.planned_snapshot) is
  'The same snapshot without its status; the rest of the statement still applies.';

create function sync.hold_deletions(page sync.page, plan sync.planned_snapshot[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform sync.hold_change(page.organization_id, p.booking_id, 'deleted',
    p.snapshot || jsonb_build_object('fetched_at', p.fetched_at), d.id, page.run_id)
  from unnest(plan) p
  left join unnest(page.deliveries) d on d.external_id = p.external_id
  where p.verdict = 'apply' and p.old_status = 'CONFIRMED' and p.snapshot ? 'deleted'
    and sync.deletion_is_new(p.booking_id);
  perform sync.note_unsettled(array(
    select p.booking_id from unnest(plan) p where p.verdict = 'apply' and p.snapshot ? 'deleted'));
  perform from sync.review(array(
    select p.booking_id from unnest(plan) p where p.verdict = 'apply' and p.snapshot ? 'deleted'));
end;
$$;

comment on function sync.hold_deletions(sync.page, sync.planned_snapshot[]) is
  'Holds the deletions of confirmed bookings in a page, unless a person has dismissed them.';

create function sync.apply_brake(page sync.page, plan sync.planned_snapshot[]) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
declare
  -- Departures that no person has released, in the order of the page.
  counted integer[];
  allowed integer;
begin
  if exists (select from unnest(plan) p where p.verdict = 'apply' and p.snapshot ? 'deleted') then
    perform sync.hold_deletions(page, plan);
  end if;
  if not exists (select from unnest(plan) p
                 where p.verdict = 'apply' and sync.is_departure(p.old_status, p.new_status)) then
    return plan;
  end if;

  plan := array(
    select case when p.verdict = 'apply' and sync.is_departure(p.old_status, p.new_status)
        and sync.is_dropped(p.booking_id, p.new_status, p.snapshot)
      then sync.keep_status(p) else p end
    from unnest(plan) p order by p.ord);
  counted := array(
    select p.ord from unnest(plan) p
    where p.verdict = 'apply' and sync.is_departure(p.old_status, p.new_status)
      and not sync.is_released(p.booking_id, p.fetched_at)
    order by p.ord);
  -- A release counts too, but is never held for it.
  allowed := greatest(0, sync.remaining_cancel_budget(page.organization_id, page.source) - (
    select count(*)::integer from unnest(plan) p
    where p.verdict = 'apply' and sync.is_departure(p.old_status, p.new_status) and p.ord <> all (counted)));
  plan := array(
    select case when p.ord = any (counted[allowed + 1:]) then sync.with_verdict(p, 'held') else p end
    from unnest(plan) p order by p.ord);

  perform sync.hold_change(page.organization_id, p.booking_id, p.new_status::text,
    p.snapshot || jsonb_build_object('fetched_at', p.fetched_at), d.id, page.run_id)
  from unnest(plan) p
  left join unnest(page.deliveries) d on d.external_id = p.external_id
  where p.verdict = 'held';
  perform from sync.review(array(select p.booking_id from unnest(plan) p where p.verdict = 'held'));
  return plan;
end;
$$;

comment on function sync.apply_brake(sync.page, sync.planned_snapshot[]) is
  'The plan of a page with what the brake stops: departures beyond the budget become held, and one that a person has dismissed keeps its status.';

-- The guards look at one index: most pages end no hold.
create function sync.end_holds(organization_id uuid, plan sync.planned_snapshot[]) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  ended bigint[];
begin
  -- An applied statement ends the hold of an older one, and uses up a release.
  if exists (select from sync.held_changes h
             where h.organization_id = end_holds.organization_id and h.class in ('status', 'deleted')
               and h.dismissed_at is null and (h.released_at is null or h.settled_at is null)) then
    with over as (
      update sync.held_changes h set
        dismissed_at = case when h.released_at is null then now() end,
        settled_at = case when h.released_at is not null then now() end,
        by = coalesce(h.by, 'system')
      from unnest(plan) p
      where h.booking_id = p.booking_id and h.organization_id = end_holds.organization_id
        and (h.class = 'status' or h.class = 'deleted' and not p.snapshot ? 'deleted')
        and h.dismissed_at is null and (h.released_at is null or h.settled_at is null)
        and p.verdict in ('apply', 'unchanged', 'revision') and p.withstood is not true
        and coalesce(h.released_at, h.held_at) < coalesce(p.fetched_at, now())
        -- A list that lags says nothing about what was stated after it.
        and sync.revision_order(p.source_version, p.source_updated_at,
          (h.snapshot ->> 'source_version')::bigint, (h.snapshot ->> 'source_updated_at')::timestamptz) >= 0
      returning h.booking_id
    )
    select array_agg(distinct o.booking_id) into ended from over o;
    perform from sync.review(coalesce(ended, '{}'));
  end if;

  -- A dismissed change is over once the source states something else.
  if exists (select from sync.held_changes h
             where h.organization_id = end_holds.organization_id and h.dismissed_at is not null
               and h.settled_at is null and h.by <> 'system') then
    update sync.held_changes h set settled_at = now()
    from unnest(plan) p
    where h.organization_id = end_holds.organization_id and h.booking_id = p.booking_id
      and h.dismissed_at is not null and h.settled_at is null and h.by <> 'system'
      and p.verdict in ('apply', 'revision') and p.withstood is not true and h.dismissed_at < coalesce(p.fetched_at, now())
      and case h.kind when 'deleted' then not p.snapshot ? 'deleted'
        else p.snapshot #>> '{booking,status}' <> h.kind end
      and sync.revision_order(p.source_version, p.source_updated_at,
        (h.snapshot ->> 'source_version')::bigint, (h.snapshot ->> 'source_updated_at')::timestamptz) >= 0;
  end if;
end;
$$;

comment on function sync.end_holds(uuid, sync.planned_snapshot[]) is
  'Ends the holds, the releases and the dismissals that the statements of a page have overtaken.';

-- schemas/33_status_words.sql

-- What the status words of a source mean. They are data: an operator maps a new one with
-- map_status_word, and the bookings it concerns follow without another read. An organization's own
-- words come before the general ones.
--
-- A snapshot that names no status but a word (source_status) gets the word's meaning here, when it is
-- decided on (50_plan). A word that nobody has mapped leaves the status as it is, and is watched.
-- Rules: every word of the source is read; absence is not a statement.

create table sync.status_words (
  id bigint generated always as identity primary key,
  organization_id uuid references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  word text not null,
  means text not null constraint status_words_means_check
    check (means in ('OFFER', 'PENDING', 'CONFIRMED', 'CANCELLED', 'REJECTED', 'deleted', 'unchanged')),
  by text,
  created_at timestamptz not null default now(),
  constraint status_words_key unique nulls not distinct (organization_id, source, word)
);

comment on table sync.status_words is 'What the status words of a source mean.';
comment on column sync.status_words.organization_id is 'Null: for every organization that has not mapped the word itself.';
comment on column sync.status_words.word is 'The word as sync.normalize_word writes it.';
comment on column sync.status_words.means is 'A status of ours; deleted: the source has deleted the booking; unchanged: it says nothing about the status.';
comment on column sync.status_words.by is 'Who mapped it; null: it came with the system.';

-- The letters with marks first: in a database with the locale C upper() knows only those without.
create function sync.normalize_word(word text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select btrim(regexp_replace(regexp_replace(
    upper(translate(normalize(normalize_word.word, nfc), 'åäöéüÅÄÖÉÜ', 'aaoeuAAOEU')), '[-_\s]+', ' ', 'g'), '[[:punct:]\s]+$', ''))
$$;

comment on function sync.normalize_word(text) is
  'A word in the form in which words are compared: upper case, å, ä and ö without dots, hyphens, underscores and spaces alike, without punctuation at the end.';

insert into sync.status_words (source, word, means)
select 'eventflow', sync.normalize_word(w.word), m.means
from (values
  ('CONFIRMED', array['bekräftad', 'bekräftat', 'confirmed', 'completed', 'slutförd', 'avslutad', 'genomförd', 'fakturerad',
    'invoiced', 'delivered', 'levererad', 'returned', 'återlämnad']),
  ('CANCELLED', array['avbokad', 'avbokat', 'cancelled', 'canceled', 'annullerad', 'inställd', 'makulerad']),
  ('OFFER', array['draft', 'utkast', 'offer', 'offert', 'quote']),
  ('PENDING', array['pending', 'tentative', 'reserved', 'awaiting approval', 'awaitingapproval', 'preliminär', 'prel',
    'preliminärbokad', 'reserverad', 'option', 'optionerad', 'väntande', 'on hold', 'obekräftad', 'unconfirmed']),
  ('REJECTED', array['rejected', 'declined', 'avböjd', 'nekad', 'expired', 'utgången', 'lost']),
  ('deleted', array['deleted', 'borttagen']),
  ('unchanged', array['archived'])) m (means, words)
cross join unnest(m.words) w (word);

create function sync.meaning_of(organization_id uuid, source public.booking_source, word text) returns text
language sql stable
set search_path = ''
as $$
  select w.means from sync.status_words w
  where w.source = meaning_of.source and w.word = sync.normalize_word(meaning_of.word)
    and (w.organization_id is null or w.organization_id = meaning_of.organization_id)
  order by w.organization_id nulls last
  limit 1
$$;

comment on function sync.meaning_of(uuid, public.booking_source, text) is
  'What a status word means for an organization; null if nobody has mapped it.';

-- schemas/34_observations.sql

-- What was odd in the sources' answers, so that a change of their contract shows: words, fields, types
-- and content that could not be taken as they were sent. Written with the page that had it.
-- Rules: every word of the source is read.

create table sync.source_observations (
  connection_id bigint not null references sync.connections (id) on delete cascade,
  day date not null,
  kind text not null constraint source_observations_kind_check
    check (kind in ('unknown_status_word', 'unknown_field', 'changed_type', 'refused_field', 'omitted_content')),
  field text not null,
  word text not null default '',
  count bigint not null default 1,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  sample text,
  primary key (connection_id, day, kind, field, word)
);

comment on table sync.source_observations is 'What was odd in a source''s answers, by connection and day (UTC).';
comment on column sync.source_observations.kind is 'unknown_status_word, unknown_field (no column for it: kept in extra), changed_type (text where a list was expected, and the like), refused_field (left out), omitted_content (too large).';
comment on column sync.source_observations.field is 'The field; positions in lists are left out of its name.';
comment on column sync.source_observations.word is 'The status word as sync.normalize_word writes it; else empty.';
comment on column sync.source_observations.count is 'How often; of unknown fields in how many pages it was new that day, which is one.';
comment on column sync.source_observations.sample is 'One example, with e-mail addresses and runs of digits masked.';

create function sync.mask_sample(sample text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select left(regexp_replace(regexp_replace(mask_sample.sample, '[^\s@]+@[^\s@]+', '***@***', 'g'), '\d{5,}', '*****', 'g'), 200)
$$;

comment on function sync.mask_sample(text) is 'A text without e-mail addresses and without runs of five or more digits, cut at 200 characters.';

create type sync.observation as (kind text, field text, word text, count bigint, sample text);

comment on type sync.observation is 'Something odd that a page had, and how often.';

create function sync.find_observations(page sync.page, plan sync.planned_snapshot[]) returns setof sync.observation
language sql stable
set search_path = ''
as $$
  with warned as materialized (
    select w.*, p.snapshot #>> '{booking,source_status}' as word
    from unnest(plan) p
    cross join jsonb_to_recordset(p.snapshot -> 'warnings') w (field text, code text, message text)
    where p.verdict = 'apply' and p.snapshot ? 'warnings'
  )
  select 'unknown_status_word', 'status', sync.normalize_word(w.word), count(*), min(w.word)
  from warned w
  where w.code = 'unknown_status' and w.word is not null
  group by sync.normalize_word(w.word)
  union all
  select case when w.code = 'omitted_content' then 'omitted_content'
      when w.code in ('invalid_text', 'invalid_boolean', 'invalid_list', 'null_list', 'invalid_object', 'invalid_attachment',
        'invalid_product') then 'changed_type'
      else 'refused_field' end,
    regexp_replace(w.field, '\[\d+\]', '[]', 'g'), '', count(*), min(w.message)
  from warned w
  -- A file that Storage did not take says nothing about the source.
  where w.code not in ('unknown_status', 'file_not_stored')
  group by 1, 2
  union all
  select distinct 'unknown_field', f.name, '', 1, null
  from unnest(plan) p
  cross join jsonb_object_keys(p.snapshot #> '{booking,extra}') f (name)
  where p.verdict = 'apply' and p.snapshot -> 'booking' ? 'extra'
$$;

comment on function sync.find_observations(sync.page, sync.planned_snapshot[]) is 'What was odd in the snapshots of a page that are applied.';

create function sync.note_observations(page sync.page, plan sync.planned_snapshot[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into sync.source_observations as s (connection_id, day, kind, field, word, count, sample)
  select c.id, (now() at time zone 'UTC')::date, o.kind, left(o.field, 200), left(o.word, 200), o.count, sync.mask_sample(o.sample)
  from sync.find_observations(page, plan) o
  join sync.connections c on c.organization_id = page.organization_id and c.source = page.source
  -- A field that is known by now is not written again: it would be a row that every webhook waits for.
  where o.kind <> 'unknown_field' or not exists (
    select from sync.source_observations k
    where k.connection_id = c.id and k.day = (now() at time zone 'UTC')::date and k.kind = o.kind and k.field = left(o.field, 200))
  order by o.kind, o.field, o.word
  on conflict on constraint source_observations_pkey do update
  set count = s.count + excluded.count, last_seen_at = now();
end;
$$;

comment on function sync.note_observations(sync.page, sync.planned_snapshot[]) is 'Counts what was odd in the snapshots of a page.';

-- schemas/35_files.sql

-- Files whose content the source sends along: they are kept in Storage, under
-- {organization_id}/{source}/{external_id}/{sha256}.{ext}, and a booking's rows name them by that path.
-- The functions upload what is new before the booking is applied (stored_files says what is there already), and
-- take away at night what no row names.
--
-- While a file could not be stored the booking is read again by itself (53: confirming reads).
-- Rules: one booking stops nothing; nothing is destroyed on a guess.

insert into storage.buckets (id, name, public, file_size_limit)
values ('booking-files', 'booking-files', false, 20971520)
on conflict (id) do nothing;

create table sync.missing_files (
  booking_id bigint primary key,
  organization_id uuid not null,
  since timestamptz not null default now(),
  due_at timestamptz not null,
  constraint missing_files_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

comment on table sync.missing_files is 'Bookings with a file that Storage did not take, until a read finds all of them stored.';
comment on column sync.missing_files.since is 'Since when a file is missing.';
comment on column sync.missing_files.due_at is 'When the booking is read again for it.';

create function sync.is_named_file(path text) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (select from public.booking_attachments a where a.url = is_named_file.path and a.url_key like 'storage:%')
    or exists (select from public.bookings b where b.map_drawing_url = is_named_file.path and b.map_drawing_url not like 'http%')
$$;

comment on function sync.is_named_file(text) is 'Whether a row names a file in Storage: an attachment, or a map drawing.';

-- What the nightly sweep may take soon does not count as stored: it is uploaded anew, and lives on.
create function public.stored_files(paths text[]) returns table (path text)
language sql stable
set search_path = ''
as $$
  select o.name
  from unnest(stored_files.paths) p (path)
  join storage.objects o on o.bucket_id = 'booking-files' and o.name = p.path
  where greatest(o.created_at, o.updated_at) > now() - interval '6 days' or sync.is_named_file(o.name)
$$;

comment on function public.stored_files(text[]) is 'Those of some paths in the bucket booking-files that need not be uploaded.';

create function sync.sweep_files(max_files integer default 1000) returns setof text
language sql stable
set search_path = ''
as $$
  select o.name
  from storage.objects o
  where o.bucket_id = 'booking-files' and greatest(o.created_at, o.updated_at) < now() - interval '7 days'
    and not sync.is_named_file(o.name)
  order by o.created_at
  limit sweep_files.max_files
$$;

comment on function sync.sweep_files(integer) is
  'Files in the bucket booking-files that no row names and nobody has written for a week, the oldest first. The functions remove them through the Storage API: a row deleted here would leave the file behind.';

create function public.sweep_files(max_files integer default 1000) returns table (path text)
language sql stable
set search_path = ''
as $$
  select f from sync.sweep_files(sweep_files.max_files) f
$$;

comment on function public.sweep_files(integer) is 'The same for the functions: paths to remove.';

create function sync.note_missing_files(page sync.page, plan sync.planned_snapshot[]) returns void
language plpgsql
set search_path = ''
as $$
declare
  booking_ids bigint[];
begin
  with seen as materialized (
    select p.booking_id, bool_or(p.snapshot ? 'missing_files') as missing
    from unnest(plan) p
    where p.booking_id is not null and p.verdict in ('apply', 'revision', 'unchanged') and p.snapshot is not null
    group by p.booking_id
  ), gone as (
    delete from sync.missing_files m using seen s where m.booking_id = s.booking_id and not s.missing
    returning m.booking_id
  ), kept as (
    insert into sync.missing_files (booking_id, organization_id, due_at)
    select s.booking_id, page.organization_id, now() + interval '5 minutes' from seen s where s.missing
    on conflict (booking_id) do update set due_at = excluded.due_at
    returning booking_id
  )
  select array(select g.booking_id from gone g union select k.booking_id from kept k) into booking_ids;
  if cardinality(booking_ids) > 0 then
    perform sync.note_unsettled(booking_ids);
    perform sync.schedule_confirms(booking_ids, array(select d.id from unnest(page.deliveries) d));
  end if;
end;
$$;

comment on function sync.note_missing_files(sync.page, sync.planned_snapshot[]) is
  'Notes which bookings of a page lack a file that Storage did not take, and has them read again until they do not.';

-- schemas/40_receive.sql

-- The front door of the inbox. A delivery is stored before anything is acknowledged, a repeated event
-- is recognised, and the booking's lane is handed out if it is free.
-- Rules: stored before acknowledged · same event, one effect · a webhook during a sync causes a second pass.

create function sync.new_delivery(
  connection_id bigint,
  function text,
  dedupe_key text,
  external_id text,
  event_type text default null,
  event_timestamp text default null,
  headers jsonb default null,
  body jsonb default null,
  status text default 'pending',
  last_error jsonb default null
) returns sync.deliveries
language plpgsql
set search_path = ''
as $$
declare
  delivery sync.deliveries;
begin
  delivery.id := gen_random_uuid();
  delivery.connection_id := new_delivery.connection_id;
  delivery.function := new_delivery.function;
  delivery.dedupe_key := coalesce(new_delivery.dedupe_key, delivery.id::text);
  delivery.external_id := new_delivery.external_id;
  delivery.event_type := new_delivery.event_type;
  delivery.event_timestamp := new_delivery.event_timestamp;
  delivery.received_at := now();
  delivery.headers := coalesce(new_delivery.headers, '{}');
  delivery.body := new_delivery.body;
  delivery.status := new_delivery.status;
  delivery.last_error := new_delivery.last_error;
  delivery.next_attempt_at := now();
  delivery.attempts := 0;
  delivery.waits := 0;
  return delivery;
end;
$$;

comment on function sync.new_delivery(bigint, text, text, text, text, text, jsonb, jsonb, text, jsonb) is
  'A delivery that is not stored yet, due at once; without a dedupe key it is an event of its own.';

create function sync.store_delivery(delivery sync.deliveries) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  stored uuid;
begin
  insert into sync.deliveries select (delivery).*
  on conflict (dedupe_key) where status <> 'duplicate' do nothing
  returning id into stored;
  return stored;
end;
$$;

comment on function sync.store_delivery(sync.deliveries) is
  'Stores a delivery and returns its id; null if its dedupe key is taken.';

create function sync.store_duplicate(delivery sync.deliveries, original uuid) returns uuid
language plpgsql
set search_path = ''
as $$
begin
  delivery.status := 'duplicate';
  delivery.duplicate_of := original;
  delivery.next_attempt_at := null;
  delivery.finished_at := now();
  return sync.store_delivery(delivery);
end;
$$;

comment on function sync.store_duplicate(sync.deliveries, uuid) is 'Stores a delivery that repeats an earlier one.';

create function sync.delivery_now(delivery_id uuid) returns setof sync.deliveries
language sql volatile
set search_path = ''
as $$
  select * from sync.deliveries d where d.id = delivery_now.delivery_id
$$;

comment on function sync.delivery_now(uuid) is 'A delivery as it is at this moment of the statement (volatile: a fresh snapshot).';

create function sync.free_leases(delivery_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  update sync.deliveries d set status = 'pending', next_attempt_at = now(), leased_until = null,
    lease_token = null, last_error = jsonb_build_object('code', 'lease_expired',
      'message', 'The worker stopped without an answer.', 'at', now())
  where d.id = any (delivery_ids);
end;
$$;

comment on function sync.free_leases(uuid[]) is 'Puts deliveries whose worker has died back into the queue, due at once.';

create type sync.lane_entry as (lease_token uuid, reason text, next_attempt_at timestamptz);

comment on type sync.lane_entry is 'How a delivery entered its lane: leased, or waiting for a reason (paused, busy, burst).';

create function sync.enter_lane(delivery_id uuid, connection sync.connections, claim boolean) returns sync.lane_entry
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  entry sync.lane_entry;
  new_seq bigint;
  lane_external_id text;
begin
  select d.external_id into lane_external_id from sync.deliveries d where d.id = enter_lane.delivery_id;
  select r.requested_seq into new_seq
  from sync.request_reads(array[row(connection.organization_id, connection.source, lane_external_id)::sync.lane]) r;

  -- A lease that is locked belongs to a late worker who is finishing it right now, and who may be
  -- waiting for the lock that we hold.
  perform sync.free_leases(array(
    select e.id from sync.deliveries e
    where e.connection_id = connection.id and e.external_id = lane_external_id
      and e.status = 'processing' and e.leased_until < now()
    for no key update skip locked));

  entry.reason := case
    when connection.paused_at is not null or not connection.enabled then 'paused'
    when exists (select from sync.deliveries d
                 where d.connection_id = connection.id and d.external_id = lane_external_id
                   and d.status = 'processing') then 'busy'
    when not enter_lane.claim then 'burst' end;
  if entry.reason is null then
    entry.lease_token := gen_random_uuid();
    update sync.deliveries d set seq = new_seq, status = 'processing', attempts = d.attempts + 1,
      claimed_at = now(), claimed_seq = new_seq, leased_until = now() + interval '60 seconds',
      lease_token = entry.lease_token, next_attempt_at = null
    where d.id = enter_lane.delivery_id;
  else
    entry.next_attempt_at := now();
    update sync.deliveries d set seq = new_seq, next_attempt_at = now()
    where d.id = enter_lane.delivery_id;
  end if;
  perform sync.note_delivery(connection.id);
  return entry;
end;
$$;

comment on function sync.enter_lane(uuid, sync.connections, boolean) is
  'Numbers a delivery within its booking and leases it for 60 s if nobody works on that booking; else reason is paused, busy or burst (the caller has its hands full) and it is due at once.';

-- To within ten seconds, so it need not wait for a lock on the connection: its holder may wait for us.
create function sync.note_delivery(connection_id bigint) returns void
language plpgsql
set search_path = ''
as $$
begin
  update sync.connections c set last_delivery_at = now()
  where c.id in (
    select k.id from sync.connections k
    where k.id = note_delivery.connection_id
      and (k.last_delivery_at is null or k.last_delivery_at < now() - interval '10 seconds')
    for no key update skip locked
  );
end;
$$;

comment on function sync.note_delivery(bigint) is 'Notes on a connection that a delivery has arrived, to within ten seconds.';

-- A read that no valid delivery asked for is a delivery itself, so that it has a lane, attempts and an end.
create function sync.request_refetch(
  cause uuid, connection sync.connections, external_id text, event_type text default 'refetch'
) returns uuid
language plpgsql
set search_path = ''
as $$
declare
  delivery sync.deliveries := sync.new_delivery(connection.id, 'import-bookings', 'refetch:' || cause,
    request_refetch.external_id, request_refetch.event_type);
begin
  select r.requested_seq into delivery.seq from sync.request_reads(array[
    row(connection.organization_id, connection.source, request_refetch.external_id)::sync.lane]) r;
  return sync.store_delivery(delivery);
end;
$$;

comment on function sync.request_refetch(uuid, sync.connections, text, text) is
  'Queues a read of one booking on behalf of a delivery that could not be used as it was.';

create type sync.received_delivery as (
  delivery_id uuid, outcome text, organization_id uuid, lease_token uuid, reason text,
  next_attempt_at timestamptz, duplicate_of uuid
);

comment on type sync.received_delivery is 'What became of a delivery that was handed to the inbox (see receive_delivery).';

create function sync.receive(
  delivery sync.deliveries, organization_id uuid, source public.booking_source, claim boolean
) returns sync.received_delivery
language plpgsql
set search_path = ''
as $$
declare
  connection constant sync.connections := sync.resolve_connection(receive.organization_id, receive.source);
  refused constant boolean := delivery.status = 'invalid' or connection.id is null;
  received sync.received_delivery;
  entry sync.lane_entry;
begin
  if delivery.status not in ('pending', 'invalid') then
    raise exception 'Cannot receive delivery: status is %', delivery.status using errcode = '22023';
  end if;
  if connection.id is null and receive.source = 'headout' and receive.organization_id is null then
    received.outcome := 'not_configured';
    return received;
  end if;

  delivery.connection_id := connection.id;
  received.organization_id := connection.organization_id;
  if refused then
    received.outcome := case when connection.id is null then 'unknown_organization' else 'invalid' end;
    received.delivery_id := sync.store_refused(delivery);
    -- Headout never repeats what was answered 4xx: if the body names a booking, we ask about it ourselves.
    if received.outcome = 'invalid' and delivery.external_id is not null and receive.source = 'headout' then
      perform sync.request_refetch(received.delivery_id, connection, delivery.external_id);
    end if;
    return received;
  end if;

  received.delivery_id := sync.store_delivery(delivery);
  if received.delivery_id is null then
    select d.id into received.duplicate_of from sync.deliveries d
    where d.dedupe_key = delivery.dedupe_key and d.status <> 'duplicate';
    received.delivery_id := sync.store_duplicate(delivery, received.duplicate_of);
    received.outcome := 'duplicate';
    return received;
  end if;
  entry := sync.enter_lane(received.delivery_id, connection, receive.claim);
  received.lease_token := entry.lease_token;
  received.reason := entry.reason;
  received.next_attempt_at := entry.next_attempt_at;
  received.outcome := case when entry.lease_token is null then 'deferred' else 'claimed' end;
  return received;
end;
$$;

comment on function sync.receive(sync.deliveries, uuid, public.booking_source, boolean) is
  'Stores one delivery and enters it into its lane: the work of receive_delivery.';

-- Under a key of its own: the sender's corrected repetition is an event that has not been accepted.
create function sync.store_refused(delivery sync.deliveries) returns uuid
language plpgsql
set search_path = ''
as $$
begin
  delivery.dedupe_key := delivery.id::text;
  delivery.status := 'invalid';
  delivery.next_attempt_at := null;
  delivery.finished_at := now();
  if delivery.connection_id is null then
    delivery.last_error := coalesce(delivery.last_error, jsonb_build_object('code', 'unknown_organization',
      'message', 'The body names no organization that exists.'));
  end if;
  return sync.store_delivery(delivery);
end;
$$;

comment on function sync.store_refused(sync.deliveries) is
  'Keeps a delivery that cannot be processed: its body is wrong, or its organization unknown.';

create function public.receive_delivery(
  function text,
  source public.booking_source,
  organization_id uuid default null,
  external_id text default null,
  event_type text default null,
  event_timestamp text default null,
  headers jsonb default '{}',
  body jsonb default null,
  dedupe_key text default null,
  status text default 'pending',
  last_error jsonb default null,
  claim boolean default true
) returns table (
  delivery_id uuid, outcome text, organization_id uuid, lease_token uuid, reason text,
  next_attempt_at timestamptz, duplicate_of uuid, status text, result jsonb, last_error jsonb
)
language sql
set search_path = ''
as $$
  select r.delivery_id, r.outcome, r.organization_id, r.lease_token, r.reason, r.next_attempt_at,
    r.duplicate_of, d.status, d.result, d.last_error
  from sync.receive(
    sync.new_delivery(null, receive_delivery.function, receive_delivery.dedupe_key, receive_delivery.external_id,
      receive_delivery.event_type, receive_delivery.event_timestamp, receive_delivery.headers,
      receive_delivery.body, receive_delivery.status, receive_delivery.last_error),
    receive_delivery.organization_id, receive_delivery.source, receive_delivery.claim) r
  left join lateral sync.delivery_now(coalesce(r.duplicate_of, r.delivery_id)) d on true
$$;

comment on function public.receive_delivery(text, public.booking_source, uuid, text, text, text, jsonb, jsonb, text, text, jsonb, boolean) is
  'Stores one delivery. outcome: claimed (leased for 60 s, process it now), deferred (stored, reason paused, busy, or burst if claim is false), duplicate (status and result are the first one''s), invalid, unknown_organization, not_configured (Headout, no organization to be told; nothing stored).';

-- schemas/41_claim.sql

-- Handing out due work. One lane per booking, never two workers on one; connections take turns; nothing
-- of a paused one; confirming reads only when no webhook is due; a dead worker's lease ends here.
-- Rules: a webhook during a sync causes a second pass · work is bounded and resumes · pausing costs nothing.

create function sync.end_expired_leases(connection_ids bigint[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- A worker that died at the last attempt must not keep the booking's lane for ever. The booking is
  -- locked with it, in one order: ending a delivery writes both.
  perform sync.settle_delivery(d, 'dead', '{}', jsonb_build_object('code', 'lease_expired',
    'message', 'The worker stopped without an answer at the last attempt.', 'at', now()))
  from (
    select e.* from sync.deliveries e
    join sync.connections c on c.id = e.connection_id
    join sync.source_states s on s.organization_id = c.organization_id and s.source = c.source and s.external_id = e.external_id
    where e.status = 'processing' and e.leased_until < now() and e.connection_id = any (connection_ids)
      and sync.was_last_attempt(e.function, e.attempts, e.waits) and c.enabled and c.paused_at is null
    order by s.organization_id, s.source, s.external_id
    for no key update of s, e skip locked
  ) d;

  perform sync.free_leases(array(
    select e.id from sync.deliveries e
    join sync.connections c on c.id = e.connection_id
    where e.status = 'processing' and e.leased_until < now() and e.connection_id = any (connection_ids)
      and (not sync.was_last_attempt(e.function, e.attempts, e.waits) or not c.enabled or c.paused_at is not null)
    for no key update of e skip locked));
end;
$$;

comment on function sync.end_expired_leases(bigint[]) is
  'Ends the leases of dead workers: back into the queue, or dead after the last attempt. A pause ends nothing.';

create function sync.due_lanes(connection_ids bigint[], max_lanes integer, shuffled boolean) returns sync.lane[]
language plpgsql
set search_path = ''
as $$
begin
  return array(
    select row(t.organization_id, t.source, t.external_id)::sync.lane
    from (
      -- Cut before it is joined: thousands of connections have more lanes than anybody can take, but
      -- there must be enough to choose from for several workers at the same moment.
      select c.organization_id, c.source, d.external_id, d.due_at,
        row_number() over (partition by c.id order by d.due_at) as turn
      from sync.connections c
      cross join lateral (
        select exists (select from sync.deliveries w where w.connection_id = c.id and w.status = 'pending'
          and w.next_attempt_at <= now() and w.function <> 'confirm') as webhooks
      ) due
      cross join lateral (
        select n.external_id, min(n.next_attempt_at) as due_at
        from (
          select e.external_id, e.next_attempt_at from sync.deliveries e
          where e.connection_id = c.id and e.status = 'pending' and e.next_attempt_at <= now()
            -- A confirming read waits until no webhook is due.
            and (not due.webhooks or e.function <> 'confirm')
            -- What waits behind a lane at work is due as well, and would crowd out free lanes.
            and not exists (select from sync.deliveries b where b.connection_id = e.connection_id
              and b.external_id = e.external_id and b.status = 'processing')
          order by e.next_attempt_at
          limit 20 * max_lanes
        ) n
        group by n.external_id
        order by due_at
        limit 10 * max_lanes
      ) d
      where c.id = any (connection_ids) and c.enabled and c.paused_at is null
      order by turn, d.due_at
      limit 10 * max_lanes
    ) t
    join sync.source_states s on s.organization_id = t.organization_id and s.source = t.source
      and s.external_id = t.external_id
    order by case when shuffled then random() end, t.turn, t.due_at
    limit max_lanes
    for update of s skip locked
  );
end;
$$;

comment on function sync.due_lanes(bigint[], integer, boolean) is
  'Locks the free lanes that have been due longest, connections in turns; lanes that somebody has locked are skipped.';

create type sync.claimed_delivery as (
  delivery_id uuid, organization_id uuid, source public.booking_source, external_id text,
  lease_token uuid, attempts integer, function text, event_type text
);

comment on type sync.claimed_delivery is 'A delivery with its lease.';

create function sync.lease_lanes(lanes sync.lane[]) returns setof sync.claimed_delivery
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
  update sync.deliveries d set status = 'processing', attempts = d.attempts + 1, claimed_at = now(),
    claimed_seq = p.requested_seq, leased_until = now() + interval '60 seconds',
    lease_token = gen_random_uuid(), next_attempt_at = null
  from (
    select distinct on (c.id, l.external_id) e.id, l.organization_id, l.source, s.requested_seq
    from unnest(lanes) l
    join sync.connections c on c.organization_id = l.organization_id and c.source = l.source
    join sync.deliveries e on e.connection_id = c.id and e.external_id = l.external_id
      and e.status = 'pending' and e.next_attempt_at <= now()
    join sync.source_states s on s.organization_id = l.organization_id and s.source = l.source
      and s.external_id = l.external_id
    where not exists (select from sync.deliveries b where b.connection_id = c.id
      and b.external_id = l.external_id and b.status = 'processing')
    order by c.id, l.external_id, e.function = 'confirm', e.seq desc
  ) p
  where d.id = p.id
  returning d.id, p.organization_id, p.source, d.external_id, d.lease_token, d.attempts, d.function, d.event_type;
end;
$$;

comment on function sync.lease_lanes(sync.lane[]) is
  'Leases the newest due delivery of each locked lane for 60 s; it stands for the older ones, which its read will cover.';

create function public.claim_deliveries(
  max_deliveries integer default 20,
  only_source public.booking_source default null
) returns table (
  delivery_id uuid, organization_id uuid, source public.booking_source, external_id text,
  lease_token uuid, attempts integer, function text, event_type text
)
language plpgsql
set search_path = ''
-- Compiling its plan takes longer than running it.
set jit = off
as $$
#variable_conflict use_column
declare
  lanes sync.lane[];
  -- A caller that asks for one source leaves the other's leases to callers that can process them.
  connection_ids constant bigint[] := array(select c.id from sync.connections c
    where claim_deliveries.only_source is null or c.source = claim_deliveries.only_source);
begin
  perform sync.end_expired_leases(connection_ids);

  -- Workers that begin at the same moment choose the same lanes, and what the first has committed by
  -- the time the last gets its locks is no longer free: then the last chooses again, in another order.
  for round in 1..5 loop
    lanes := sync.due_lanes(connection_ids, claim_deliveries.max_deliveries, shuffled => round > 1);
    exit when lanes = '{}';
    -- A new statement: with the lanes locked, what it sees of them is final.
    return query select l.* from sync.lease_lanes(lanes) l;
    exit when found;
  end loop;
end;
$$;

comment on function public.claim_deliveries(integer, public.booking_source) is
  'Leases up to max_deliveries due deliveries of any source, or of one, for 60 s, one per booking: the newest, which stands for the older ones. Ends the leases of dead workers first.';

-- schemas/42_finish.sql

-- How a delivery ends, for apply_snapshots, finish_delivery and the drain. A worker proves its lease; one
-- that lost it can finish nothing. A failed attempt is repeated after a backoff; after the ninth the
-- delivery is dead: kept, visible, replayable. A source that asks to wait (Retry-After) costs no attempt
-- for a day.
-- Rules: work is bounded and resumes · pausing costs nothing.

create function sync.retry_delay(attempts integer) returns interval
language sql volatile
set search_path = ''
as $$
  select (array['10 seconds', '30 seconds', '2 minutes', '10 minutes', '30 minutes', '2 hours',
    '6 hours', '12 hours']::interval[])[attempts] * (0.8 + 0.4 * random())
$$;

comment on function sync.retry_delay(integer) is
  'How long to wait after the n-th failed attempt, give or take a fifth; null after the last (see sync.was_last_attempt).';

create function sync.was_last_attempt(function text, attempts integer, waits integer) returns boolean
language sql immutable parallel safe
set search_path = ''
as $$
  select function <> 'confirm' and attempts - waits > 8
$$;

comment on function sync.was_last_attempt(text, integer, integer) is
  'Whether a delivery is dead if this attempt fails: the ninth that the source has not asked to wait for. A confirming read never is: what it asks stays undecided.';

create function sync.hold_lease(delivery_id uuid, lease_token uuid) returns sync.deliveries
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  held sync.deliveries;
begin
  -- Without a token: a delivery that nobody works on, called by hand. A claim locks the booking first.
  if hold_lease.lease_token is null then
    perform from sync.deliveries d
    join sync.connections c on c.id = d.connection_id
    join sync.source_states s on s.organization_id = c.organization_id and s.source = c.source and s.external_id = d.external_id
    where d.id = hold_lease.delivery_id
    for update of s;
  end if;
  select d.* into held from sync.deliveries d
  where d.id = hold_lease.delivery_id
    and case when hold_lease.lease_token is null
      then d.status = 'pending' or d.status = 'processing' and d.leased_until < now()
      -- An expired lease is lost even if nobody has taken over yet: the next claim must not wait for us.
      else d.status = 'processing' and d.lease_token = hold_lease.lease_token and d.leased_until > now() end
  for no key update;
  return held;
end;
$$;

comment on function sync.hold_lease(uuid, uuid) is
  'The delivery, locked, if the caller may finish it; else a row of nulls.';

create function sync.settle_delivery(
  delivery sync.deliveries, status text, result jsonb, last_error jsonb
) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  covered constant bigint := coalesce(delivery.claimed_seq, delivery.seq);
begin
  -- A read that began after the claim answers every request made until then.
  update sync.deliveries d set
    -- An event that was applied stays so, though the read after it was stale.
    status = case when settle_delivery.status = 'stale' and d.result ->> 'outcome' in ('applied', 'stub_created', 'conflict')
      then 'succeeded' else settle_delivery.status end,
    -- An event's first answer stays what a duplicate is answered with; the re-fetch goes beside it.
    result = case when d.result is null then
        settle_delivery.result || case when d.id = delivery.id then '{}'::jsonb
          else jsonb_build_object('coalesced_into', delivery.id) end
      else d.result || jsonb_build_object('refetch', settle_delivery.result) end,
    last_error = coalesce(settle_delivery.last_error, case when d.id = delivery.id then null else d.last_error end),
    next_attempt_at = null, leased_until = null, lease_token = null, finished_at = now()
  where d.id = delivery.id
    or d.connection_id = delivery.connection_id and d.external_id = delivery.external_id
      and d.status = 'pending' and d.seq <= covered and d.function <> 'confirm';

  update sync.source_states s set processed_seq = covered, updated_at = now()
  from sync.connections c
  where c.id = delivery.connection_id and s.organization_id = c.organization_id and s.source = c.source
    and s.external_id = delivery.external_id and s.processed_seq < covered;
end;
$$;

comment on function sync.settle_delivery(sync.deliveries, text, jsonb, jsonb) is
  'Ends a delivery, and with it the pending ones of its booking that its read has covered.';

create function sync.mark_missing(delivery sync.deliveries) returns void
language plpgsql
set search_path = ''
as $$
declare
  connection sync.connections;
begin
  select * into connection from sync.connections c where c.id = delivery.connection_id;
  -- Unless the booking has been heard of since the read was handed out.
  update sync.source_states s set content_hash = null, updated_at = now()
  where s.organization_id = connection.organization_id and s.source = connection.source
    and s.external_id = delivery.external_id and s.missing_sightings >= 2
    and coalesce(s.fetched_at <= coalesce(delivery.claimed_at, delivery.received_at), true);
  if not found then
    return;
  end if;
  with marked as (
    update public.bookings b set source_missing_since = now(), updated_at = now()
    where b.organization_id = connection.organization_id and b.source = connection.source
      and b.external_id = delivery.external_id and b.source_missing_since is null
    returning b.id, b.organization_id
  )
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, verdict, changes)
  select m.organization_id, m.id, 'import', delivery.id, 'marked_missing',
    jsonb_build_object('bookings.source_missing_since', jsonb_build_array(null, now()))
  from marked m;
end;
$$;

comment on function sync.mark_missing(sync.deliveries) is
  'Marks a booking missing once two complete lists in a row and a read of it alone agree that it is gone; changes nothing else (rule: absence is not a statement).';

create function sync.end_delivery(delivery sync.deliveries, status text, result jsonb, last_error jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Whatever this read was asked for, "not found" also answers a pending question whether the booking is gone.
  if end_delivery.result ->> 'outcome' = 'not_found' and exists (
    select from sync.deliveries d
    where d.connection_id = delivery.connection_id and d.external_id = delivery.external_id
      and d.event_type = 'missing' and d.status in ('pending', 'processing')
      and d.seq <= coalesce(delivery.claimed_seq, delivery.seq)) then
    perform sync.mark_missing(delivery);
  end if;
  if end_delivery.result ->> 'outcome' = 'not_found' then
    perform sync.hear_not_found(delivery);
  end if;
  perform sync.settle_delivery(delivery, end_delivery.status, end_delivery.result, end_delivery.last_error);
end;
$$;

comment on function sync.end_delivery(sync.deliveries, text, jsonb, jsonb) is 'Ends a delivery with what its read came to.';

create function sync.give_back(delivery sync.deliveries, result jsonb, last_error jsonb, asked interval) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  paused constant boolean := (select c.paused_at is not null or not c.enabled
    from sync.connections c where c.id = delivery.connection_id);
  untried constant boolean := give_back.last_error is null;
  -- That the source asked is no failure of this delivery; it has a day for it.
  was_asked constant boolean := not untried and give_back.asked is not null
    and delivery.status = 'processing' and delivery.received_at > now() - interval '1 day';
  new_waits constant integer := delivery.waits + was_asked::integer;
  -- What the source asks for wins; but a failure that counts is not tried again any sooner for it.
  delay constant interval := case when was_asked then give_back.asked
    else greatest(give_back.asked, sync.retry_delay(least(greatest(delivery.attempts - new_waits, 1), 8))) end;
begin
  if paused or untried then
    update sync.deliveries d set status = 'pending', attempts = greatest(d.attempts - 1, 0),
      next_attempt_at = now() + case when paused or give_back.asked is null then interval '0' else delay end,
      leased_until = null, lease_token = null, last_error = coalesce(give_back.last_error, d.last_error)
    where d.id = delivery.id;
  elsif not was_asked and sync.was_last_attempt(delivery.function, delivery.attempts, new_waits) then
    perform sync.settle_delivery(delivery, 'dead', give_back.result, give_back.last_error);
    return;
  else
    update sync.deliveries d set status = 'pending', waits = new_waits,
      next_attempt_at = now() + delay, leased_until = null, lease_token = null, last_error = give_back.last_error
    where d.id = delivery.id;
  end if;
  -- The older ones of its booking wait with it, since the next read is theirs too; and all of them if
  -- the source asked. None is tried earlier than it was due.
  if not paused and not (untried and give_back.asked is null) then
    update sync.deliveries d set next_attempt_at = greatest(d.next_attempt_at, now() + delay)
    where d.connection_id = delivery.connection_id and d.external_id = delivery.external_id
      and d.status = 'pending' and d.id <> delivery.id
      and (d.seq < delivery.seq or give_back.asked is not null);
  end if;
end;
$$;

comment on function sync.give_back(sync.deliveries, jsonb, jsonb, interval) is
  'Puts a leased delivery back into the queue: after a failure with a backoff, or dead after the last attempt; untried (no last_error) or paused without counting the attempt. asked: how long the source asked to wait.';

create function sync.finish(
  delivery_id uuid, lease_token uuid, status text, last_error jsonb, result jsonb, retry_after_ms bigint
) returns boolean
language plpgsql
set search_path = ''
as $$
declare
  delivery sync.deliveries;
  error constant jsonb := finish.last_error || jsonb_build_object('at', now());
begin
  if finish.status not in ('succeeded', 'pending', 'dead', 'stale', 'held') then
    raise exception 'Cannot finish delivery: status is %', finish.status using errcode = '22023';
  end if;
  delivery := sync.hold_lease(finish.delivery_id, finish.lease_token);
  if delivery.id is null then
    return false;
  end if;
  -- A confirming read that showed nothing has decided nothing: it is asked again.
  if finish.status = 'pending' or delivery.function = 'confirm' then
    perform sync.give_back(delivery, coalesce(finish.result, '{}'), error,
      -- A day is the most that a source may ask for.
      case when finish.retry_after_ms > 0 then least(finish.retry_after_ms, 86400000) * interval '1 millisecond' end);
  else
    perform sync.end_delivery(delivery, finish.status, coalesce(finish.result, '{}'), error);
  end if;
  return true;
end;
$$;

comment on function sync.finish(uuid, uuid, text, jsonb, jsonb, bigint) is
  'Ends a leased delivery or gives it back; false if the lease was lost.';

create function public.finish_delivery(
  delivery_id uuid,
  status text,
  lease_token uuid default null,
  last_error jsonb default null,
  result jsonb default null,
  retry_after_ms bigint default null
) returns table (
  delivery_id uuid, finished boolean, status text, attempts integer, next_attempt_at timestamptz,
  result jsonb, last_error jsonb
)
language sql
set search_path = ''
as $$
  with done as materialized (
    select sync.finish(finish_delivery.delivery_id, finish_delivery.lease_token, finish_delivery.status,
      finish_delivery.last_error, finish_delivery.result, finish_delivery.retry_after_ms) as finished
  )
  select d.id, done.finished, d.status, d.attempts, d.next_attempt_at, d.result, d.last_error
  from done cross join lateral sync.delivery_now(finish_delivery.delivery_id) d
$$;

comment on function public.finish_delivery(uuid, text, uuid, jsonb, jsonb, bigint) is
  'Ends a leased delivery (succeeded, stale, held, dead) or gives it back (pending) to be tried again after a backoff, retry_after_ms if given; dead once the attempts are used up. Given back without a last_error it was not tried: it is due at once or after retry_after_ms, and no attempt is counted. finished is false if the lease was lost; the row shows the present state either way.';

create function sync.is_given_up(delivery_id uuid) returns boolean
language sql stable
set search_path = ''
as $$
  select not exists (select from sync.deliveries r
    where r.replay_of = is_given_up.delivery_id and r.status not in ('dead', 'invalid', 'duplicate'))
$$;

comment on function sync.is_given_up(uuid) is 'Whether no replay of a dead delivery is under way or has brought it to an end.';

-- schemas/43_headout_event.sql

-- A status event of Headout, whole: booking, timestamps, projections, history and delivery in one
-- transaction and one round trip, before the 200.
--
-- Events of one booking are ordered by their local timestamp as text, within one second by lifecycle
-- rank. Headout's API is the arbiter wherever events disagree, so the delivery stays open until a
-- re-fetch has ended it; its result keeps what the sender was told.

create function sync.headout_status(event_type text) returns public.booking_status
language sql immutable parallel safe
set search_path = ''
as $$
  select case event_type
    when 'UNCAPTURED' then 'PENDING'
    when 'PENDING' then 'PENDING'
    when 'COMPLETED' then 'CONFIRMED'
    when 'CANCELLED' then 'CANCELLED'
    when 'FAILED' then 'REJECTED'
    when 'CAPTURE_TIMEDOUT' then 'REJECTED'
  end::public.booking_status
$$;

comment on function sync.headout_status(text) is 'Our status for a status of Headout; null for an unknown one.';

create function sync.headout_rank(event_type text) returns integer
language sql immutable parallel safe
set search_path = ''
as $$
  select array_position(
    array['UNCAPTURED', 'PENDING', 'COMPLETED', 'CANCELLED', 'FAILED', 'CAPTURE_TIMEDOUT'], event_type)
$$;

comment on function sync.headout_rank(text) is
  'Place in the lifecycle; decides between two events of one booking in the same second.';

-- No zone is more than 14 hours ahead, and none more than 12 behind.
create function sync.is_future_event(event sync.deliveries) returns boolean
language sql stable
set search_path = ''
as $$
  select event.event_timestamp collate "C" > to_char(now() at time zone 'UTC' + interval '26 hours', 'YYYY-MM-DD"T"HH24:MI:SS')
$$;

comment on function sync.is_future_event(sync.deliveries) is
  'Whether the local time of an event is further ahead of our clock than any zone can be: then it puts nothing in order.';

create function sync.judge_event(
  event sync.deliveries, state sync.source_states, booking public.bookings, stated public.booking_status
) returns text
language plpgsql
set search_path = ''
as $$
begin
  return case
    when booking.id is null then 'stub_created'
    when sync.is_future_event(event) then 'conflict'
    when event.event_timestamp collate "C" < state.last_event_timestamp then 'stale'
    when event.event_timestamp = state.last_event_timestamp
      and sync.headout_rank(event.event_type) < sync.headout_rank(state.last_event_status) then 'stale'
    when booking.status = 'REJECTED' and stated <> 'REJECTED' then 'conflict'
    when sync.is_departure(booking.status, stated) and not booking.is_stub and not sync.is_released(booking.id, now())
      and sync.remaining_cancel_budget(booking.organization_id, 'headout') < 1 then 'held'
    else 'applied' end;
end;
$$;

comment on function sync.judge_event(sync.deliveries, sync.source_states, public.bookings, public.booking_status) is
  'What an event is to its booking: stub_created (unknown until now), applied, stale, conflict (a final status, or a time that cannot be; a read decides) or held.';

create function sync.create_stub(event sync.deliveries, organization_id uuid, stated public.booking_status) returns bigint
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  stub public.bookings := jsonb_populate_record(null::public.bookings,
    sync.status_patch(null, stated, now(), event.event_type = 'COMPLETED'));
  stub_id bigint;
begin
  insert into public.bookings (organization_id, source, external_id, status, source_status,
    status_changed_at, confirmed_at, completed_at, cancelled_at, rejected_at, is_stub)
  values (create_stub.organization_id, 'headout', event.external_id, stated, event.event_type, now(),
    stub.confirmed_at, stub.completed_at, stub.cancelled_at, stub.rejected_at, true)
  returning id into stub_id;
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, verdict, changes)
  values (create_stub.organization_id, stub_id, 'webhook', event.id, 'stub_created',
    jsonb_build_object('bookings.status', jsonb_build_array(null, stated),
      'bookings.source_status', jsonb_build_array(null, event.event_type)));
  return stub_id;
end;
$$;

comment on function sync.create_stub(sync.deliveries, uuid, public.booking_status) is
  'Stores a booking that is known only from an event; the first read makes it whole.';

create function sync.apply_status(event sync.deliveries, booking public.bookings, stated public.booking_status) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  changed constant public.bookings := jsonb_populate_record(booking,
    jsonb_build_object('source_status', event.event_type)
      || sync.status_patch(booking.status, stated, now(), event.event_type = 'COMPLETED'));
  statement sync.planned_snapshot;
begin
  update public.bookings b set status = changed.status, source_status = changed.source_status,
    status_changed_at = changed.status_changed_at, confirmed_at = changed.confirmed_at,
    completed_at = changed.completed_at, cancelled_at = changed.cancelled_at,
    rejected_at = changed.rejected_at, updated_at = now()
  where b.id = booking.id and booking is distinct from changed;
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, verdict, changes)
  select booking.organization_id, booking.id, 'webhook', event.id, 'applied',
    coalesce(jsonb_object_agg('bookings.' || f.key, f.value), '{}')
  from jsonb_each(sync.changed_fields(to_jsonb(booking), to_jsonb(changed))) f;

  statement.booking_id := booking.id;
  statement.verdict := 'apply';
  statement.fetched_at := now();
  statement.snapshot := jsonb_build_object('booking', jsonb_build_object('status', stated));
  perform sync.end_holds(booking.organization_id, array[statement]);
end;
$$;

comment on function sync.apply_status(sync.deliveries, public.bookings, public.booking_status) is
  'Gives a booking the status of an event, with its history, and ends the holds that this overtakes.';

-- Dated at arrival, so that a page read earlier cannot undo it. The next read is compared with the rows,
-- not with a hash. What the brake holds has been stated all the same: an earlier event is older than it.
create function sync.note_event(event sync.deliveries, outcome text, organization_id uuid) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  update sync.source_states s set
    last_event_timestamp = event.event_timestamp,
    last_event_status = event.event_type,
    last_event_at = now(),
    contradicted_at = null,
    content_hash = null,
    fetched_at = case when note_event.outcome in ('applied', 'stub_created') then greatest(now(), s.fetched_at)
      else s.fetched_at end,
    updated_at = now()
  where s.organization_id = note_event.organization_id and s.source = 'headout'
    and s.external_id = event.external_id;
end;
$$;

comment on function sync.note_event(sync.deliveries, text, uuid) is 'Makes an event the newest of its booking.';

create function sync.dispute_event(booking_id bigint) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  -- The read that decides may say what an earlier one said in vain.
  update sync.source_states s set last_event_at = null, contradicted_at = null, content_hash = null
  from public.bookings b
  where b.id = dispute_event.booking_id
    and s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id;
  -- Reads that were to bear an event out have nothing to bear out any more.
  update sync.disagreements g set ended_at = now(), outcome = 'overruled'
  where g.booking_id = dispute_event.booking_id and g.ended_at is null;
  if found then
    perform sync.note_unsettled(array[dispute_event.booking_id]);
    perform sync.schedule_confirms(array[dispute_event.booking_id], '{}');
  end if;
end;
$$;

comment on function sync.dispute_event(bigint) is
  'Two events of one second disagree: neither stands against a read, and the next one decides.';

create type sync.applied_event as (
  delivery_id uuid, outcome text, organization_id uuid, booking_id bigint, old_status text,
  new_status text, processed_at timestamptz, lease_token uuid
);

comment on type sync.applied_event is 'What applying a Headout event did (see apply_headout_event).';

create function sync.repeat_event(event sync.deliveries, first sync.deliveries, applied sync.applied_event)
returns sync.applied_event
language plpgsql
set search_path = ''
as $$
begin
  applied.delivery_id := sync.store_duplicate(event, first.id);
  applied.outcome := 'duplicate';
  applied.booking_id := (first.result ->> 'booking_id')::bigint;
  applied.old_status := first.result ->> 'old_status';
  applied.new_status := first.result ->> 'new_status';
  return applied;
end;
$$;

comment on function sync.repeat_event(sync.deliveries, sync.deliveries, sync.applied_event) is
  'Keeps an event that repeats an earlier one; the answer is that one''s.';

create function sync.apply_event(event sync.deliveries, connection sync.connections) returns sync.applied_event
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  stated constant public.booking_status := sync.headout_status(event.event_type);
  state sync.source_states;
  booking public.bookings;
  first sync.deliveries;
  applied sync.applied_event;
  refetch boolean;
begin
  applied.organization_id := connection.organization_id;
  applied.processed_at := now();
  perform sync.lock_states(connection.organization_id, 'headout', array[event.external_id], array[event.external_id]);
  select * into state from sync.source_states s
  where s.organization_id = connection.organization_id and s.source = 'headout' and s.external_id = event.external_id;

  -- The lock above makes this look safe against the same event at the same moment.
  select * into first from sync.deliveries d where d.dedupe_key = event.dedupe_key and d.status <> 'duplicate';
  if first.id is not null then
    return sync.repeat_event(event, first, applied);
  end if;

  select * into booking from public.bookings b
  where b.organization_id = connection.organization_id and b.source = 'headout' and b.external_id = event.external_id
  for update;
  applied.outcome := sync.judge_event(event, state, booking, stated);
  applied.booking_id := booking.id;
  applied.old_status := booking.status;
  applied.new_status := case when applied.outcome in ('stub_created', 'applied') then stated else booking.status end;
  -- An older event needs no second opinion, unless it is of the very same second or states another
  -- status: clocks repeat an hour each autumn.
  refetch := applied.outcome in ('stub_created', 'applied', 'conflict')
    or applied.outcome = 'stale'
      and (event.event_timestamp = state.last_event_timestamp or booking.status <> stated);

  if not refetch then
    event.status := applied.outcome;
    event.next_attempt_at := null;
    event.finished_at := now();
  end if;
  applied.delivery_id := sync.store_delivery(event);

  case applied.outcome
    when 'stub_created' then
      applied.booking_id := sync.create_stub(event, connection.organization_id, stated);
    when 'applied' then
      perform sync.apply_status(event, booking, stated);
    when 'held' then
      perform sync.hold_change(connection.organization_id, booking.id, stated::text,
        jsonb_build_object('external_id', event.external_id, 'event', event.body,
          'content_hash', event.dedupe_key, 'fetched_at', now()), event.id, null);
      perform from sync.review(array[booking.id]);
    when 'conflict' then
      insert into public.booking_history (organization_id, booking_id, actor, delivery_id, verdict)
      values (connection.organization_id, booking.id, 'webhook', event.id, 'conflict');
    else null;
  end case;
  if applied.outcome in ('applied', 'stub_created', 'conflict') then
    perform from public.project_bookings(array[applied.booking_id]);
  end if;
  if applied.outcome <> 'stale' and not sync.is_future_event(event) then
    perform sync.note_event(event, applied.outcome, connection.organization_id);
  end if;
  if event.event_timestamp = state.last_event_timestamp and event.event_type <> state.last_event_status then
    perform sync.dispute_event(applied.booking_id);
  end if;
  if refetch then
    applied.lease_token := (sync.enter_lane(event.id, connection, true)).lease_token;
  end if;
  update sync.deliveries d set result = to_jsonb(applied) - array['delivery_id', 'organization_id', 'lease_token']
  where d.id = event.id;
  return applied;
end;
$$;

comment on function sync.apply_event(sync.deliveries, sync.connections) is
  'Stores an event of Headout and applies it to its booking: the work of apply_headout_event.';

create function sync.receive_event(event sync.deliveries, organization_id uuid) returns sync.applied_event
language plpgsql
set search_path = ''
as $$
declare
  connection constant sync.connections := sync.resolve_connection(receive_event.organization_id, 'headout');
  applied sync.applied_event;
begin
  if sync.headout_status(event.event_type) is null then
    raise exception 'Cannot apply event: % is not a status of Headout', event.event_type using errcode = '22023';
  end if;
  if connection.id is null then
    applied.outcome := case when receive_event.organization_id is null then 'not_configured' else 'unknown_organization' end;
    return applied;
  end if;
  event.connection_id := connection.id;
  event.dedupe_key := concat_ws(':', 'headout', connection.id, event.external_id, event.event_type, event.event_timestamp);
  return sync.apply_event(event, connection);
end;
$$;

comment on function sync.receive_event(sync.deliveries, uuid) is
  'Finds the connection of an event of Headout and applies it; what makes it the same event twice is booking, status and timestamp.';

create function public.apply_headout_event(
  external_id text,
  event_type text,
  event_timestamp text,
  organization_id uuid default null,
  headers jsonb default '{}',
  body jsonb default null
) returns table (
  delivery_id uuid, outcome text, organization_id uuid, booking_id bigint, old_status text,
  new_status text, processed_at timestamptz, lease_token uuid
)
language sql
set search_path = ''
as $$
  select e.*
  from sync.receive_event(
    sync.new_delivery(null, 'headout-webhook', null, apply_headout_event.external_id,
      apply_headout_event.event_type, apply_headout_event.event_timestamp,
      apply_headout_event.headers, apply_headout_event.body),
    apply_headout_event.organization_id) e
$$;

comment on function public.apply_headout_event(text, text, text, uuid, jsonb, jsonb) is
  'Stores and applies one Headout status event. outcome: applied, duplicate, stale, held, conflict, stub_created, or not_configured / unknown_organization (nothing stored). A lease_token asks the caller to have the booking fetched now.';

-- schemas/45_freshness.sql

-- No upcoming confirmed booking is staler than its rule. EventFlow's list of changes leaves cancellations
-- out, so a lost webhook would show at night at the earliest: what is near is read again by itself.
--
--   refresh_after   how old the last read may be (source_states; null: no rule covers the booking)
--   refresh_due_at  when it is read next, in one index
--
-- A claim puts the booking off by a quarter of its age, and any read that shows the booking by the whole
-- of it. So a claim needs no lease, a worker that dies costs a quarter, and a booking that cannot be read
-- starves no other. Never before webhooks, in a rolling minute at most freshness_reads_per_minute.
-- Rules: it heals by itself.

create table sync.freshness_rules (
  id bigint generated always as identity primary key,
  organization_id uuid references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  within_days integer not null constraint freshness_rules_within_days_check check (within_days >= 0),
  max_age interval not null constraint freshness_rules_max_age_check check (max_age >= interval '1 minute'),
  constraint freshness_rules_key unique nulls not distinct (organization_id, source, within_days)
);

comment on table sync.freshness_rules is
  'How old the last read of an upcoming confirmed booking may be. Rules of an organization take the place of the general ones of that source.';
comment on column sync.freshness_rules.organization_id is 'Null: for every organization without rules of its own.';
comment on column sync.freshness_rules.within_days is 'For bookings whose first day is at most so many days away; of several the nearest counts.';
comment on column sync.freshness_rules.max_age is 'How old the last read may be.';

insert into sync.freshness_rules (source, within_days, max_age)
select s.source, r.within_days, r.max_age
from unnest(enum_range(null::public.booking_source)) s (source)
cross join (values (3, interval '2 hours'), (14, interval '12 hours'), (60, interval '48 hours')) r (within_days, max_age);

create table sync.freshness_claims (
  connection_id bigint not null references sync.connections (id) on delete cascade,
  claimed_at timestamptz not null default clock_timestamp(),
  reads integer not null
);

create index freshness_claims_connection_idx on sync.freshness_claims (connection_id, claimed_at);

comment on table sync.freshness_claims is 'How many reads for freshness began when, for the limits of a rolling minute. Pruned by the next sweep.';
comment on column sync.freshness_claims.reads is 'Bookings handed out at that moment.';

create function sync.wanted_freshness(connection sync.connections)
returns table (external_id text, refresh_after interval)
language sql stable
set search_path = ''
as $$
  with rules as materialized (
    select r.within_days, r.max_age
    from sync.freshness_rules r
    where r.source = connection.source and (r.organization_id = connection.organization_id
      or r.organization_id is null and not exists (
        select from sync.freshness_rules o
        where o.organization_id = connection.organization_id and o.source = connection.source))
  ), today as materialized (
    select (now() at time zone o.time_zone)::date as day, (select max(r.within_days) from rules r) as horizon
    from public.organizations o where o.id = connection.organization_id
  ), upcoming as materialized (
    select d.booking_id, min(d.day) as first_day
    from public.booking_dates d
    where d.organization_id = connection.organization_id and d.source_missing_since is null
      and d.booking_id in (
        select u.booking_id from today t
        join public.booking_dates u on u.organization_id = connection.organization_id
          and u.source_missing_since is null and u.day between t.day and t.day + t.horizon)
    group by d.booking_id
  )
  select b.external_id, (
    select r.max_age from rules r
    where r.within_days >= u.first_day - t.day order by r.within_days limit 1)
  from upcoming u
  join public.bookings b on b.id = u.booking_id and b.source = connection.source and b.status = 'CONFIRMED'
  cross join today t
$$;

comment on function sync.wanted_freshness(sync.connections) is
  'The upcoming confirmed bookings of a connection that a rule covers, and how old their last read may be. A booking counts until its last day is over.';

-- States that are locked are left to the next sweep: their holder is reading or writing them.
create function sync.sweep_freshness(connection sync.connections) returns void
language plpgsql
set search_path = ''
as $$
begin
  with wanted as materialized (
    select w.* from sync.wanted_freshness(connection) w where w.refresh_after is not null
  ), changed as materialized (
    select s.external_id, w.refresh_after
    from sync.source_states s
    left join wanted w on w.external_id = s.external_id
    where s.organization_id = connection.organization_id and s.source = connection.source
      and (s.refresh_after is not null or w.external_id is not null)
      and s.refresh_after is distinct from w.refresh_after
    for update of s skip locked
  )
  update sync.source_states s set refresh_after = c.refresh_after, read_at = coalesce(s.read_at, s.fetched_at),
    refresh_due_at = coalesce(s.read_at, s.fetched_at, now()) + c.refresh_after
  from changed c
  where s.organization_id = connection.organization_id and s.source = connection.source and s.external_id = c.external_id;
  delete from sync.freshness_claims f
  where f.connection_id = connection.id and f.claimed_at < now() - interval '1 hour';
  update sync.connections c set freshness_swept_at = now() where c.id = connection.id;
end;
$$;

comment on function sync.sweep_freshness(sync.connections) is
  'Brings up to date which bookings of a connection are kept fresh, and how fresh: days change, time passes.';

create function sync.freshness_room(connection sync.connections, max_reads integer) returns bigint
language sql volatile
set search_path = ''
as $$
  select greatest(0, least(freshness_room.max_reads,
    connection.freshness_reads_per_minute - (
      select coalesce(sum(f.reads), 0) from sync.freshness_claims f
      where f.connection_id = connection.id and f.claimed_at > clock_timestamp() - interval '1 minute'),
    -- All that Headout is asked in the background shares one limit.
    case when connection.source = 'headout' then 40 - (
      select coalesce(sum(f.reads), 0) from sync.freshness_claims f
      join sync.connections c on c.id = f.connection_id and c.source = 'headout'
      where f.claimed_at > clock_timestamp() - interval '1 minute') - (
      select count(*) from sync.deliveries d
      join sync.connections c on c.id = d.connection_id and c.source = 'headout'
      where d.function = 'confirm' and d.claimed_at > clock_timestamp() - interval '1 minute'
        and d.received_at > now() - interval '2 days') end))
$$;

comment on function sync.freshness_room(sync.connections, integer) is
  'How many more reads for freshness a connection may begin in this rolling minute.';

create function public.claim_refreshes(
  max_reads integer default 8,
  only_source public.booking_source default null
) returns table (organization_id uuid, source public.booking_source, external_id text)
language plpgsql
set search_path = ''
set jit = off
as $$
#variable_conflict use_column
declare
  connection sync.connections;
  room bigint := claim_refreshes.max_reads;
  sweeps integer := 0;
  claimed integer;
begin
  -- All connections to Headout share one limit: two drains count one after the other.
  if claim_refreshes.only_source is distinct from 'eventflow' then
    perform pg_advisory_xact_lock(hashtextextended('sync.claim_refreshes headout', 0));
  end if;
  for connection in
    select c.* from sync.connections c
    where c.enabled and c.paused_at is null
      and (claim_refreshes.only_source is null or c.source = claim_refreshes.only_source)
    order by c.freshness_claimed_at nulls first, c.id
    for no key update skip locked
  loop
    exit when room < 1;
    -- A few at a time: thousands of connections must not make one drain late.
    if sweeps < 20 and coalesce(connection.freshness_swept_at < now() - interval '10 minutes', true) then
      perform sync.sweep_freshness(connection);
      sweeps := sweeps + 1;
    end if;
    continue when exists (select from sync.deliveries d where d.connection_id = connection.id and d.status = 'pending'
      and d.next_attempt_at <= now() and d.function <> 'confirm');
    continue when not exists (select from sync.source_states s where s.organization_id = connection.organization_id
      and s.source = connection.source and s.refresh_due_at <= now());
    return query
    with due as materialized (
      select s.external_id from sync.source_states s
      where s.organization_id = connection.organization_id and s.source = connection.source and s.refresh_due_at <= now()
      order by s.refresh_due_at
      limit sync.freshness_room(connection, room::integer)
      for update skip locked
    )
    update sync.source_states s set refresh_due_at = now() + s.refresh_after / 4
    from due d
    where s.organization_id = connection.organization_id and s.source = connection.source and s.external_id = d.external_id
    returning s.organization_id, s.source, s.external_id;
    get diagnostics claimed = row_count;
    if claimed > 0 then
      insert into sync.freshness_claims (connection_id, reads) values (connection.id, claimed);
      update sync.connections c set freshness_claimed_at = now() where c.id = connection.id;
      room := room - claimed;
    end if;
  end loop;
end;
$$;

comment on function public.claim_refreshes(integer, public.booking_source) is
  'Hands out bookings whose last read is older than their rule allows, the stalest first, at most freshness_reads_per_minute for each connection and none while a webhook of it is due. Each is put off by a quarter of its age; a read that shows it puts it off by the whole.';

create function sync.note_reads(page sync.page, plan sync.planned_snapshot[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- Locked states of an unchanged page are not waited for: their holder has just read them, too.
  update sync.source_states s set read_at = r.read_at, refresh_due_at = r.read_at + s.refresh_after
  from (
    select k.external_id, p.read_at
    from (select p.external_id, max(p.fetched_at) as read_at from unnest(plan) p where p.ages group by p.external_id) p
    cross join lateral (
      select t.external_id from sync.source_states t
      where t.organization_id = page.organization_id and t.source = page.source and t.external_id = p.external_id
      for update skip locked
    ) k
  ) r
  where s.organization_id = page.organization_id and s.source = page.source and s.external_id = r.external_id
    and r.read_at > s.read_at;
end;
$$;

comment on function sync.note_reads(sync.page, sync.planned_snapshot[]) is
  'Notes when the bookings of a page were read, of those that are kept fresh and whose last noted read is older than half of what they are allowed.';

-- schemas/50_plan.sql

-- What each snapshot of a page is: new, newer, the same, older, or not to be believed. Reads and locks;
-- writes nothing but the empty state of a new booking.
--
-- Which statement wins (rules: older never overwrites newer · a fetch is dated when it was read):
-- equal content is unchanged whatever its revision. Otherwise the revision decides where both sides
-- have one (sync.revision_order), and else which read began later. With force neither the hash nor the
-- revision counts, and with compares the hash does not: a repair compares with the rows, and still undoes
-- nothing newer than its read. While
-- something of a booking is unsettled, equal content ends no single read of it: the second read that
-- lacks a product is equal to the first.
--
-- Source states are looked up row by row on purpose (lateral, offset 0): on a fresh database, without
-- statistics, the planner would read every state of the organization for every snapshot.

-- The structure that the writers rely on. Finer checks are the decoder's (zod); what slips through both
-- fails as a constraint or a cast, and then only that snapshot is refused.
create function sync.snapshot_error(snapshot jsonb) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  select jsonb_build_object('code', 'invalid_snapshot', 'field', e.field, 'message', e.message)
  from (
    select case
      when jsonb_typeof(snapshot) <> 'object' then array['', 'is not an object']
      when jsonb_typeof(snapshot -> 'external_id') is distinct from 'string'
        or length(snapshot ->> 'external_id') not between 1 and 200
        then array['external_id', 'must be 1 to 200 characters']
      when jsonb_typeof(snapshot -> 'content_hash') is distinct from 'string'
        then array['content_hash', 'must be a string']
      when jsonb_typeof(snapshot -> 'fetched_at') is distinct from 'string'
        then array['fetched_at', 'must be an instant']
      when jsonb_typeof(snapshot -> 'booking') is distinct from 'object'
        then array['booking', 'must be an object']
      when jsonb_typeof(snapshot #> '{booking,status}') is distinct from null
        and not coalesce(snapshot #>> '{booking,status}' = any (enum_range(null::public.booking_status)::text[]), false)
        then array['booking.status', 'is not a status of ours']
      when snapshot -> 'dates' is not null
        and jsonb_typeof(snapshot #> '{dates,items}') is distinct from 'array'
        then array['dates.items', 'must be a list']
      when snapshot -> 'products' is not null
        and jsonb_typeof(snapshot #> '{products,items}') is distinct from 'array'
        then array['products.items', 'must be a list']
      when snapshot -> 'attachments' is not null
        and jsonb_typeof(snapshot #> '{attachments,items}') is distinct from 'array'
        then array['attachments.items', 'must be a list']
    end as found
  ) as f (found)
  cross join lateral (select found[1], found[2]) as e (field, message)
  where found is not null
$$;

comment on function sync.snapshot_error(jsonb) is 'What is wrong with the structure of a snapshot: { code, field, message }; null if nothing.';

-- One pass over the page. Most of a re-import ends here: the same content under no other revision, so
-- there is nothing to lock and nothing to write.
create function sync.read_page(page sync.page, snapshots jsonb) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
begin
  return (
    select array_agg(h::sync.planned_snapshot order by h.ord)
    from (
      select c.ord as ord, c.external_id as external_id,
        case when c.verdict is null then c.snapshot end as snapshot,
        c.content_hash as content_hash, c.fetched_at as fetched_at,
        c.source_updated_at as source_updated_at, c.source_version as source_version,
        c.verdict as verdict, null::jsonb as error, c.booking_id as booking_id, null::boolean as is_new,
        null::public.booking_status as old_status, null::public.booking_status as new_status,
        c.unsettled as unsettled, null::boolean as newer, null::boolean as contradicts,
        null::boolean as withstood, null::timestamptz as contradicted_at,
        c.read_at + c.refresh_after / 2 < c.fetched_at as ages,
        -- Once for each content: where texts differ at each read, nothing is gained by noting them.
        case when c.raw_content_hash is distinct from c.content_hash then c.snapshot ->> 'raw_hash' end as raw_hash
      from (
        select r.*, b.id as booking_id, s.unsettled, s.read_at, s.refresh_after, s.raw_content_hash,
          case
            when s.content_hash = r.content_hash and not page.force and not page.compares
              and not (s.unsettled and page.run_id is null)
              and coalesce(r.source_version = s.source_version, r.source_version is null)
              and coalesce(r.source_updated_at = s.source_updated_at, r.source_updated_at is null) then 'unchanged'
          end as verdict
        from (
          select e.ord::integer as ord, e.snapshot, e.snapshot ->> 'external_id' as external_id,
            e.snapshot ->> 'content_hash' as content_hash,
            -- No later than our clock and no earlier than the claim: an isolate's clock may be wrong, and
            -- a read cannot have begun in the future or before the work was handed out.
            least(now(), greatest((e.snapshot ->> 'fetched_at')::timestamptz, d.claimed_at)) as fetched_at,
            (e.snapshot ->> 'source_updated_at')::timestamptz as source_updated_at,
            (e.snapshot ->> 'source_version')::bigint as source_version
          from jsonb_array_elements(read_page.snapshots) with ordinality as e (snapshot, ord)
          left join unnest(page.deliveries) d on d.external_id = e.snapshot ->> 'external_id'
        ) r
        left join lateral (
          select t.content_hash, t.source_version, t.source_updated_at, t.unsettled, t.read_at, t.refresh_after, t.raw_content_hash
          from sync.source_states t
          where t.organization_id = page.organization_id and t.source = page.source
            and t.external_id = r.external_id
          offset 0
        ) s on true
        left join lateral (
          select k.id from public.bookings k
          where k.organization_id = page.organization_id and k.source = page.source
            and k.external_id = r.external_id
          offset 0
        ) b on true
      ) c
    ) h
  );
end;
$$;

comment on function sync.read_page(sync.page, jsonb) is
  'The plan of a page as far as it shows without a lock: what is unchanged. The rest has no verdict yet.';

create function sync.drop_repeated(plan sync.planned_snapshot[]) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
begin
  if (select count(*) = count(distinct p.external_id) from unnest(plan) p where p.external_id is not null) then
    return plan;
  end if;
  return array(
    select case when p.verdict is null and exists (
        select from unnest(plan) o
        where o.external_id = p.external_id and o.ord <> p.ord
          and (sync.revision_order(o.source_version, o.source_updated_at, p.source_version, p.source_updated_at),
            o.fetched_at, o.ord) > (0, p.fetched_at, p.ord))
      then sync.with_verdict(p, 'stale') else p end
    from unnest(plan) p order by p.ord);
end;
$$;

comment on function sync.drop_repeated(sync.planned_snapshot[]) is
  'Of two snapshots of one booking in a page the newer wins; the other is stale.';


create function sync.decide(
  planned sync.planned_snapshot, state sync.source_states, booking public.bookings, page sync.page,
  connection sync.connections
) returns sync.planned_snapshot
language plpgsql
set search_path = ''
as $$
declare
  revision constant integer := sync.revision_order(planned.source_version, planned.source_updated_at,
    state.source_version, state.source_updated_at);
  -- A first revision is news too, unless it was read before what is known.
  newer constant boolean := revision > 0
    or (state.source_version is null and planned.source_version is not null
        or state.source_updated_at is null and planned.source_updated_at is not null)
      and planned.fetched_at >= coalesce(state.fetched_at, '-infinity');
  stated constant jsonb := planned.snapshot -> 'booking';
begin
  planned.unsettled := state.unsettled;
  planned.newer := newer;
  planned.booking_id := booking.id;
  planned.is_new := booking.id is null;
  planned.old_status := booking.status;
  planned.new_status := coalesce((stated ->> 'status')::public.booking_status, booking.status, 'PENDING');
  planned.verdict := case
    when not page.force and not page.compares and state.content_hash = planned.content_hash and not (state.unsettled and page.run_id is null)
      then case when newer then 'revision' else 'unchanged' end
    when not page.force and revision < 0 then 'stale'
    when (page.force or not newer) and planned.fetched_at < state.fetched_at then 'stale'
    -- A tombstone of a booking that we never had makes no row, but what was stated before it is older
    -- from now on. A cancellation of which only the status is known is a tombstone.
    when booking.id is null and (planned.snapshot ? 'deleted' or stated ->> 'status' = 'CANCELLED')
      and stated - array['status', 'source_status'] = '{}'
      and not planned.snapshot ?| array['dates', 'products', 'attachments'] then 'revision'
    -- Over before the connection's first day, and never stored: left to history.
    when booking.id is null and connection.not_before > (
      select max((i.item ->> 'day')::date)
      from jsonb_array_elements(planned.snapshot #> '{dates,items}') i (item)) then 'skipped'
    else 'apply' end;
  -- Drawn here, so that children and projections can name their booking at once.
  if planned.is_new and planned.verdict = 'apply' then
    planned.booking_id := nextval('public.bookings_id_seq');
  end if;
  if state.last_event_at is not null then
    planned := sync.weigh_event(planned, state, page, connection);
  end if;
  return planned;
end;
$$;

comment on function sync.decide(sync.planned_snapshot, sync.source_states, public.bookings, sync.page, sync.connections) is
  'The verdict on one snapshot, against the locked state of its booking.';

create function sync.read_status(planned sync.planned_snapshot, word text, means text) returns sync.planned_snapshot
language plpgsql immutable
set search_path = ''
as $$
begin
  planned.snapshot := case
    when read_status.means is null then planned.snapshot || jsonb_build_object('warnings',
      coalesce(planned.snapshot -> 'warnings', '[]') || jsonb_build_array(jsonb_build_object('field', 'status',
        'code', 'unknown_status', 'message', format('"%s" is not a status that we know; ours stays as it is', read_status.word))))
    when read_status.means = 'unchanged' then planned.snapshot
    when read_status.means = 'deleted' then planned.snapshot || '{"deleted": true}'
    else jsonb_set(planned.snapshot, '{booking,status}', to_jsonb(read_status.means)) end;
  return planned;
end;
$$;

comment on function sync.read_status(sync.planned_snapshot, text, text) is
  'The same snapshot with the status that its word means, or with a warning if nobody has said what that is.';

create function sync.plan_page(page sync.page, snapshots jsonb) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
declare
  plan sync.planned_snapshot[] := sync.read_page(page, snapshots);
  open_ids text[];
begin
  if page.deliveries is null and not exists (select from unnest(plan) p where p.verdict is null) then
    return plan;
  end if;
  plan := sync.drop_repeated(plan);
  plan := array(
    select case when e.error is null then p else sync.with_verdict(p, 'invalid', e.error) end
    from unnest(plan) p
    cross join lateral (select case when p.verdict is null then sync.snapshot_error(p.snapshot) end offset 0) e (error)
    order by p.ord);

  -- With them those whose delivery will be settled, even if nothing of them is to be written.
  open_ids := array(select p.external_id from unnest(plan) p where p.verdict is null);
  perform sync.lock_states(page.organization_id, page.source, open_ids || array(
    select p.external_id from unnest(plan) p join unnest(page.deliveries) d on d.external_id = p.external_id
  ), open_ids);
  return sync.decide_page(page, plan);
end;
$$;

comment on function sync.plan_page(sync.page, jsonb) is
  'Decides what each snapshot of a page is, and locks the bookings that are to be written.';

create function sync.decide_page(page sync.page, plan sync.planned_snapshot[]) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  connection constant sync.connections := (select c from sync.connections c
    where c.organization_id = page.organization_id and c.source = page.source);
begin
  return array(
    with words as materialized (
      select w.word, sync.meaning_of(page.organization_id, page.source, w.word) as means
      from (
        select distinct k.snapshot #>> '{booking,source_status}' as word from unnest(plan) k
        where k.verdict is null and not k.snapshot -> 'booking' ? 'status'
      ) w
    )
    select case when p.verdict is null then
      sync.decide(case when w.word is null then p else sync.read_status(p, w.word, w.means) end, s.state, b.booking, page, connection) else p end
    from unnest(plan) p
    left join words w on p.verdict is null and not p.snapshot -> 'booking' ? 'status'
      and w.word = p.snapshot #>> '{booking,source_status}'
    left join lateral (
      select t as state from sync.source_states t
      where t.organization_id = page.organization_id and t.source = page.source and t.external_id = p.external_id
      offset 0
    ) s on true
    left join lateral (
      select k as booking from public.bookings k
      where k.organization_id = page.organization_id and k.source = page.source and k.external_id = p.external_id
      offset 0
    ) b on true
    order by p.ord);
end;
$$;

comment on function sync.decide_page(sync.page, sync.planned_snapshot[]) is
  'The plan with a verdict on each snapshot. A statement of its own, so that it sees what was committed while we waited for the locks.';

create function sync.lock_page(organization_id uuid, source public.booking_source, snapshots jsonb) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  ids constant text[] := array(
    select e.snapshot ->> 'external_id' from jsonb_array_elements(lock_page.snapshots) e (snapshot)
    where sync.snapshot_error(e.snapshot) is null);
begin
  perform sync.lock_states(lock_page.organization_id, lock_page.source, ids, ids);
  perform from sync.connections c
  where c.organization_id = lock_page.organization_id and c.source = lock_page.source
  for no key update;
end;
$$;

comment on function sync.lock_page(uuid, public.booking_source, jsonb) is
  'Locks the bookings of a page in one order, and then their connection, for a caller that does more than one thing with the page.';

-- schemas/51_write.sql

-- The writers of source-owned rows. Each takes a planned page, writes what differs in a constant number
-- of statements, and returns one row_change for each row that it wrote.
--
-- A present key sets its column, an explicit null clears it, an absent key leaves it (rule: absence is
-- not a statement): that is what jsonb_populate_record does with a base row. Whole rows are compared,
-- never lists of fields (incident: changed times unnoticed). Keys that the source does not own are taken
-- out of every patch (rule: a person's work is never overwritten).
--
-- Stored rows are fetched once, by the page's booking ids, and then joined in memory: nested loops are
-- off in apply_snapshots, since a database without statistics would choose them and turn quadratic.

create function sync.stated_parts(collection jsonb, everything jsonb) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  select case
    when collection -> 'complete' = 'false' then null
    when collection ? 'stated' then collection -> 'stated'
    when collection -> 'complete' = 'true' then everything end
$$;

comment on function sync.stated_parts(jsonb, jsonb) is
  'What a collection of a snapshot states wholly, so that something may follow from an absence; null: nothing follows (rule: absence is not a statement).';

create function sync.absent_row(id bigint, source_doubted_since timestamptz) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  select jsonb_build_object('id', absent_row.id, 'source_doubted_since', absent_row.source_doubted_since)
$$;

comment on function sync.absent_row(bigint, timestamptz) is
  'The fields of a row_change with operation absent: a stored row that a stated list leaves out. Nothing has been written.';

create function sync.write_bookings(
  plan sync.planned_snapshot[], booking_ids bigint[], organization_id uuid, source public.booking_source
) returns setof sync.row_change
language sql
set search_path = ''
as $$
  with patches as materialized (
    select p.booking_id, p.is_new, p.external_id, k.old,
      (p.snapshot -> 'booking')
        - array['id', 'organization_id', 'source', 'external_id', 'planner_notes', 'status',
          'status_changed_at', 'confirmed_at', 'completed_at', 'cancelled_at', 'rejected_at',
          'created_at', 'updated_at', 'is_stub', 'source_missing_since', 'review_reasons', 'needs_review']
        || sync.status_patch(p.old_status, p.new_status, now(),
          p.snapshot #>> '{booking,source_status}' = 'COMPLETED')
        || jsonb_build_object('is_stub', coalesce((k.old).is_stub and p.snapshot ? 'deleted', false),
          'source_missing_since', case when p.snapshot ? 'deleted'
            then coalesce((k.old).source_missing_since, now()) end)
        as patch
    from unnest(plan) p
    left join (
      select b as old from public.bookings b where b.id = any (booking_ids)
    ) k on (k.old).id = p.booking_id
  ), rows as materialized (
    -- A map's URL with another token is no change; it is refreshed together with a real one.
    select q.*, jsonb_populate_record(
      q.old,
      case when sync.is_same_url(q.patch ->> 'map_drawing_url', (q.old).map_drawing_url)
        then q.patch - 'map_drawing_url' else q.patch end) as new
    from patches q
  ), inserted as (
    insert into public.bookings (
      id, organization_id, source, external_id, booking_number, title, client_name, status,
      source_status, status_changed_at, confirmed_at, completed_at, cancelled_at, rejected_at,
      delivery_address, delivery_city, delivery_postal_code, latitude, longitude, contact_name,
      contact_phone, contact_email, source_missing_since, carry_more_than_10m, ground_nails_allowed,
      exact_time_needed, exact_time_info, rental_only, source_notes, economics, price_amount,
      price_currency, partner_reference, map_drawing_url, extra)
    overriding system value
    select
      r.booking_id, write_bookings.organization_id, write_bookings.source, r.external_id,
      (r.new).booking_number, (r.new).title, (r.new).client_name, (r.new).status,
      (r.new).source_status, (r.new).status_changed_at, (r.new).confirmed_at, (r.new).completed_at,
      (r.new).cancelled_at, (r.new).rejected_at, (r.new).delivery_address, (r.new).delivery_city,
      (r.new).delivery_postal_code, (r.new).latitude, (r.new).longitude, (r.new).contact_name,
      (r.new).contact_phone, (r.new).contact_email, (r.new).source_missing_since,
      (r.new).carry_more_than_10m, (r.new).ground_nails_allowed, (r.new).exact_time_needed,
      (r.new).exact_time_info, coalesce((r.new).rental_only, false), (r.new).source_notes,
      (r.new).economics, (r.new).price_amount, (r.new).price_currency, (r.new).partner_reference,
      (r.new).map_drawing_url, coalesce((r.new).extra, '{}')
    from rows r
    where r.is_new
  ), updated as (
    update public.bookings b set
      booking_number = (r.new).booking_number, title = (r.new).title,
      client_name = (r.new).client_name, status = (r.new).status,
      source_status = (r.new).source_status, status_changed_at = (r.new).status_changed_at,
      confirmed_at = (r.new).confirmed_at, completed_at = (r.new).completed_at,
      cancelled_at = (r.new).cancelled_at, rejected_at = (r.new).rejected_at,
      delivery_address = (r.new).delivery_address, delivery_city = (r.new).delivery_city,
      delivery_postal_code = (r.new).delivery_postal_code, latitude = (r.new).latitude,
      longitude = (r.new).longitude, contact_name = (r.new).contact_name,
      contact_phone = (r.new).contact_phone, contact_email = (r.new).contact_email,
      source_missing_since = (r.new).source_missing_since,
      carry_more_than_10m = (r.new).carry_more_than_10m,
      ground_nails_allowed = (r.new).ground_nails_allowed,
      exact_time_needed = (r.new).exact_time_needed, exact_time_info = (r.new).exact_time_info,
      rental_only = (r.new).rental_only, source_notes = (r.new).source_notes,
      economics = (r.new).economics, price_amount = (r.new).price_amount,
      price_currency = (r.new).price_currency, partner_reference = (r.new).partner_reference,
      map_drawing_url = coalesce(r.patch ->> 'map_drawing_url', (r.new).map_drawing_url),
      is_stub = (r.new).is_stub, extra = (r.new).extra, updated_at = now()
    from rows r
    where b.id = r.booking_id and b.id = any (booking_ids) and not r.is_new and r.old is distinct from r.new
  )
  select r.booking_id, 'bookings', r.external_id, 'created', (
    select jsonb_object_agg(f.key, jsonb_build_array(null, f.value))
    from jsonb_each(r.patch) f
    where f.value <> 'null' and not (f.key in ('is_stub', 'rental_only') and f.value = 'false'))
  from rows r where r.is_new
  union all
  select r.booking_id, 'bookings', r.external_id,
    case when (r.old).source_missing_since is null and (r.new).source_missing_since is not null
      then 'marked_missing' else 'updated' end,
    sync.changed_fields(to_jsonb(r.old), to_jsonb(r.new))
  from rows r where not r.is_new and r.old is distinct from r.new
$$;

comment on function sync.write_bookings(sync.planned_snapshot[], bigint[], uuid, public.booking_source) is
  'Inserts and updates the bookings of a planned page; the statuses go through sync.status_patch.';

create function sync.write_booking_dates(
  plan sync.planned_snapshot[], booking_ids bigint[], organization_id uuid
)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with listed as materialized (
    select p.booking_id, i.item, (i.item ->> 'phase')::public.booking_phase as phase, (i.item ->> 'day')::date as day
    from unnest(plan) p
    cross join jsonb_array_elements(p.snapshot #> '{dates,items}') as i (item)
  ), stored as materialized (
    select d as old from public.booking_dates d where d.booking_id = any (booking_ids)
  ), items as materialized (
    select l.booking_id, s.old, jsonb_populate_record(
      s.old, l.item - array['id', 'organization_id', 'booking_id', 'created_at', 'updated_at']
        || '{"source_missing_since": null, "source_doubted_since": null}') as new
    from listed l
    left join stored s on (s.old).booking_id = l.booking_id and (s.old).phase = l.phase and (s.old).day = l.day
  ), stated as materialized (
    select p.booking_id, sync.stated_parts(p.snapshot -> 'dates', '["rig", "event", "rigdown"]') as phases
    from unnest(plan) p where p.snapshot ? 'dates'
  ), absent as materialized (
    select s.old
    from stated p
    join stored s on (s.old).booking_id = p.booking_id and (s.old).source_missing_since is null
    where p.phases ? (s.old).phase::text
      and not exists (select from items i where (i.old).id = (s.old).id)
  ), inserted as (
    insert into public.booking_dates (organization_id, booking_id, phase, day, start_time, end_time)
    select write_booking_dates.organization_id, i.booking_id, (i.new).phase, (i.new).day,
      (i.new).start_time, (i.new).end_time
    from items i where i.old is null
  ), updated as (
    update public.booking_dates d set start_time = (i.new).start_time, end_time = (i.new).end_time,
      source_missing_since = null, source_doubted_since = null, updated_at = now()
    from items i
    where d.id = (i.old).id and d.booking_id = any (booking_ids) and i.old is distinct from i.new
  )
  select i.booking_id, 'booking_dates', (i.new).phase || ' ' || (i.new).day,
    case when i.old is null then 'created' else 'updated' end,
    case when i.old is null
      then jsonb_build_object('*', jsonb_build_array(null,
        jsonb_build_object('start_time', (i.new).start_time, 'end_time', (i.new).end_time)))
      else sync.changed_fields(to_jsonb(i.old), to_jsonb(i.new)) end
  from items i where i.old is null or i.old is distinct from i.new
  union all
  select (a.old).booking_id, 'booking_dates', (a.old).phase || ' ' || (a.old).day, 'absent', sync.absent_row((a.old).id, (a.old).source_doubted_since)
  from absent a
$$;

comment on function sync.write_booking_dates(sync.planned_snapshot[], bigint[], uuid) is
  'Upserts the days of a planned page by (phase, day); reports what a stated list leaves out.';

create function sync.write_booking_products(
  plan sync.planned_snapshot[], booking_ids bigint[], organization_id uuid
)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with listed as materialized (
    select p.booking_id, p.is_new, i.item, i.item ->> 'external_id' as external_id
    from unnest(plan) p
    cross join jsonb_array_elements(p.snapshot #> '{products,items}') as i (item)
  ), stored as materialized (
    select b as old from public.booking_products b where b.booking_id = any (booking_ids)
  ), items as materialized (
    select l.*, s.old, coalesce((s.old).id, nextval('public.booking_products_id_seq')) as id,
      jsonb_populate_record(s.old, l.item
        - array['id', 'organization_id', 'booking_id', 'parent_id', 'created_at', 'updated_at']
        || '{"source_missing_since": null, "source_doubted_since": null}') as new
    from listed l
    left join stored s on (s.old).booking_id = l.booking_id and (s.old).external_id = l.external_id
  ), rows as materialized (
    -- The parent stands in the same list, or is known from before.
    select i.*, case when (i.new).parent_external_id is not null then coalesce(
        q.id, (select k.id from public.booking_products k
          where k.booking_id = i.booking_id and k.external_id = (i.new).parent_external_id
            and k.external_id <> i.external_id)) end as parent_id, i.old is distinct from i.new as differs
    from items i
    left join items q on q.booking_id = i.booking_id and q.external_id = (i.new).parent_external_id
      and q.external_id <> i.external_id
  ), stated as materialized (
    select p.booking_id from unnest(plan) p
    where case when p.snapshot #> '{products,complete}' = 'false' then false
      else coalesce(p.snapshot #> '{products,stated}', p.snapshot #> '{products,complete}') = 'true' end
  ), absent as materialized (
    select s.old
    from stated p
    join stored s on (s.old).booking_id = p.booking_id and (s.old).source_missing_since is null
    where not exists (select from items i where i.id = (s.old).id)
  ), inserted as (
    insert into public.booking_products (
      id, organization_id, booking_id, external_id, parent_external_id, parent_id, name, quantity,
      unit_price, total_price, discount, vat_rate, sku, notes, sort_index, is_package_component,
      tags, inventory_item_type_id, inventory_package_id, costs)
    overriding system value
    select r.id, write_booking_products.organization_id, r.booking_id, r.external_id,
      (r.new).parent_external_id, r.parent_id, (r.new).name, coalesce((r.new).quantity, 1),
      (r.new).unit_price, (r.new).total_price, (r.new).discount, coalesce((r.new).vat_rate, 25),
      (r.new).sku, (r.new).notes, (r.new).sort_index, coalesce((r.new).is_package_component, false),
      coalesce((r.new).tags, '{}'), (r.new).inventory_item_type_id, (r.new).inventory_package_id,
      (r.new).costs
    from rows r where r.old is null
  ), updated as (
    update public.booking_products b set
      parent_external_id = (r.new).parent_external_id, parent_id = r.parent_id, name = (r.new).name,
      quantity = (r.new).quantity, unit_price = (r.new).unit_price,
      total_price = (r.new).total_price, discount = (r.new).discount, vat_rate = (r.new).vat_rate,
      sku = (r.new).sku, notes = (r.new).notes, sort_index = (r.new).sort_index,
      is_package_component = (r.new).is_package_component, tags = (r.new).tags,
      inventory_item_type_id = (r.new).inventory_item_type_id,
      inventory_package_id = (r.new).inventory_package_id, costs = (r.new).costs,
      source_missing_since = null, source_doubted_since = null, updated_at = now()
    from rows r
    where b.id = r.id and b.booking_id = any (booking_ids) and not (r.old is null)
      and (r.differs or r.parent_id is distinct from (r.old).parent_id)
  ), adopted as (
    -- Children stored before their parent was known.
    update public.booking_products c set parent_id = r.id, updated_at = now()
    from rows r
    where r.old is null and not r.is_new and c.booking_id = r.booking_id and c.booking_id = any (booking_ids)
      and c.parent_id is null and c.parent_external_id = r.external_id
      and not exists (select from rows o where o.id = c.id)
  )
  select r.booking_id, 'booking_products', r.external_id,
    case when r.old is null then 'created' else 'updated' end,
    case when r.old is null then jsonb_build_object('*', jsonb_build_array(null, r.item - 'external_id'))
      else sync.changed_fields(to_jsonb(r.old), to_jsonb(r.new)) end
  from rows r where r.old is null or r.differs
  union all
  select (a.old).booking_id, 'booking_products', (a.old).external_id, 'absent', sync.absent_row((a.old).id, (a.old).source_doubted_since)
  from absent a
$$;

comment on function sync.write_booking_products(sync.planned_snapshot[], bigint[], uuid) is
  'Upserts the product rows of a planned page by external id and ties children to parents; reports what a stated list leaves out.';

create function sync.write_booking_attachments(
  plan sync.planned_snapshot[], booking_ids bigint[], organization_id uuid
)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with listed as materialized (
    select p.booking_id, i.item, i.item ->> 'url_key' as url_key
    from unnest(plan) p
    cross join jsonb_array_elements(p.snapshot #> '{attachments,items}') as i (item)
  ), stored as materialized (
    select a as old from public.booking_attachments a where a.booking_id = any (booking_ids)
  ), items as materialized (
    -- A file that a person added under the same URL stays theirs.
    select l.booking_id, l.item, s.old, jsonb_populate_record(s.old, l.item
        - array['id', 'organization_id', 'booking_id', 'origin', 'url', 'created_at', 'updated_at']
        || '{"source_missing_since": null, "source_doubted_since": null}') as new
    from listed l
    left join stored s on (s.old).booking_id = l.booking_id and (s.old).url_key = l.url_key
    where (s.old).origin is distinct from 'user'
  ), stated as materialized (
    select p.booking_id, sync.stated_parts(p.snapshot -> 'attachments', '[]') as lists,
      p.snapshot #> '{attachments,complete}' = 'true' and not p.snapshot -> 'attachments' ? 'stated' as whole
    from unnest(plan) p where p.snapshot ? 'attachments'
  ), unreadable as materialized (
    -- Nothing follows unless every list that a stored file was last in could be read.
    select distinct p.booking_id
    from stated p
    join stored s on (s.old).booking_id = p.booking_id and (s.old).source_missing_since is null
      and (s.old).origin = 'import'
    where not p.whole and not coalesce(p.lists ? (s.old).listed_under, false)
  ), absent as materialized (
    select s.old
    from stated p
    join stored s on (s.old).booking_id = p.booking_id and (s.old).source_missing_since is null
      and (s.old).origin = 'import'
    where p.lists is not null
      and not exists (select from unreadable u where u.booking_id = p.booking_id)
      and not exists (select from items i where (i.old).id = (s.old).id)
  ), inserted as (
    insert into public.booking_attachments (organization_id, booking_id, url, url_key, listed_under, file_name, file_type)
    select write_booking_attachments.organization_id, i.booking_id, i.item ->> 'url',
      i.item ->> 'url_key', (i.new).listed_under, (i.new).file_name, (i.new).file_type
    from items i where i.old is null
  ), updated as (
    update public.booking_attachments a set url = i.item ->> 'url', listed_under = (i.new).listed_under,
      file_name = (i.new).file_name, file_type = (i.new).file_type, source_missing_since = null,
      source_doubted_since = null, updated_at = now()
    from items i
    where a.id = (i.old).id and a.booking_id = any (booking_ids) and i.old is distinct from i.new
  )
  select i.booking_id, 'booking_attachments', i.item ->> 'url_key',
    case when i.old is null then 'created' else 'updated' end,
    case when i.old is null then jsonb_build_object('*', jsonb_build_array(null, i.item - array['url', 'url_key']))
      else sync.changed_fields(to_jsonb(i.old), to_jsonb(i.new)) end
  from items i where i.old is null or i.old is distinct from i.new
  union all
  select (a.old).booking_id, 'booking_attachments', (a.old).url_key, 'absent', sync.absent_row((a.old).id, (a.old).source_doubted_since)
  from absent a
$$;

comment on function sync.write_booking_attachments(sync.planned_snapshot[], bigint[], uuid) is
  'Upserts the files of a planned page by URL key; reports what a stated list leaves out. User files are never touched.';

-- A key that is stored stays with its file: whether what gets past caches is part of a key depends on the
-- other files of the answer (sync.url_key).
create function sync.keep_file_keys(plan sync.planned_snapshot[], booking_ids bigint[]) returns sync.planned_snapshot[]
language plpgsql
set search_path = ''
as $$
declare
  pairs jsonb;
begin
  -- By far most pages list no file under a new key.
  if not exists (
    select p.booking_id, i.item ->> 'url_key'
    from unnest(plan) p
    cross join jsonb_array_elements(p.snapshot #> '{attachments,items}') as i (item)
    where not p.is_new
    except
    select a.booking_id, a.url_key from public.booking_attachments a where a.booking_id = any (booking_ids)) then
    return plan;
  end if;
  with listed as materialized (
    select p.booking_id, i.item ->> 'url_key' as url_key, i.item ->> 'url' as url, i.place
    from unnest(plan) p
    cross join jsonb_array_elements(p.snapshot #> '{attachments,items}') with ordinality as i (item, place)
    where not p.is_new
  ), added as materialized (
    select l.*, sync.url_key(l.url_key) as family
    from listed l
    where not exists (select from public.booking_attachments a
      where a.booking_id = any (booking_ids) and a.booking_id = l.booking_id and a.url_key = l.url_key)
  ), matched as (
    select distinct on (a.id) n.booking_id, n.url_key, a.url_key as stored_key
    from added n
    join public.booking_attachments a on a.booking_id = n.booking_id and a.origin = 'import'
      and sync.url_key(a.url_key) = n.family
    where not exists (select from listed l where l.booking_id = a.booking_id and l.url_key = a.url_key)
    order by a.id, sync.url_key(a.url, true) = sync.url_key(n.url, true) desc, n.place
  )
  select jsonb_object_agg(k.booking_id, k.keys) into pairs
  from (
    select u.booking_id, jsonb_object_agg(u.url_key, u.stored_key) as keys
    from (select distinct on (m.booking_id, m.url_key) m.* from matched m order by m.booking_id, m.url_key, m.stored_key) u
    group by u.booking_id
  ) k;
  if pairs is null then
    return plan;
  end if;
  for i in 1 .. cardinality(plan) loop
    continue when not pairs ? plan[i].booking_id::text;
    plan[i].snapshot := jsonb_set(plan[i].snapshot, '{attachments,items}', (
      select jsonb_agg(e.item || jsonb_strip_nulls(jsonb_build_object(
        'url_key', pairs #>> array[plan[i].booking_id::text, e.item ->> 'url_key'])) order by e.place)
      from jsonb_array_elements(plan[i].snapshot #> '{attachments,items}') with ordinality e (item, place)));
  end loop;
  return plan;
end;
$$;

comment on function sync.keep_file_keys(sync.planned_snapshot[], bigint[]) is
  'The plan with the stored keys of files that are listed under a key with or without what gets past caches.';

-- Links carry tokens that change on every read: fresh ones are stored whenever the booking was written
-- for another reason, and count as no change.
create function sync.refresh_urls(plan sync.planned_snapshot[], booking_ids bigint[])
returns void
language sql
set search_path = ''
as $$
  with listed as materialized (
    select p.booking_id, i.item ->> 'url_key' as url_key, i.item ->> 'url' as url
    from unnest(plan) p
    cross join jsonb_array_elements(p.snapshot #> '{attachments,items}') as i (item)
    where not p.is_new
  )
  update public.booking_attachments a set url = l.url
  from listed l
  where a.booking_id = any (booking_ids) and a.booking_id = l.booking_id and a.url_key = l.url_key
    and a.origin = 'import' and a.url <> l.url;

  update public.bookings b set map_drawing_url = p.snapshot #>> '{booking,map_drawing_url}'
  from unnest(plan) p
  where b.id = any (booking_ids) and b.id = p.booking_id and not p.is_new
    and b.map_drawing_url <> p.snapshot #>> '{booking,map_drawing_url}'
$$;

comment on function sync.refresh_urls(sync.planned_snapshot[], bigint[]) is
  'Stores the links as last read for bookings that were written anyway.';

create function sync.write_history(
  page sync.page, plan sync.planned_snapshot[], row_changes sync.row_change[]
) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, run_id, verdict, changes)
  select page.organization_id, c.booking_id,
    case when d.id is null then 'import' else 'webhook' end, d.id, page.run_id,
    case when bool_or(c.table_name = 'bookings' and c.operation = 'created') then 'created' else 'updated' end,
    jsonb_object_agg(
      case when c.table_name = 'bookings' then 'bookings.' else c.table_name || '[' || c.key || '].' end || f.key,
      f.value)
  from unnest(row_changes) c
  cross join jsonb_each(c.fields) f
  left join (
    select w.booking_id, v.id from unnest(plan) w
    join unnest(page.deliveries) v on v.external_id = w.external_id
  ) d on d.booking_id = c.booking_id
  group by c.booking_id, d.id;
end;
$$;

comment on function sync.write_history(sync.page, sync.planned_snapshot[], sync.row_change[]) is
  'One row of history for each booking that a page has changed (rule: every change can be explained).';

create function sync.write_page(page sync.page, plan sync.planned_snapshot[]) returns sync.row_change[]
language plpgsql
set search_path = ''
as $$
declare
  booking_ids constant bigint[] := array(select p.booking_id from unnest(plan) p);
  changes sync.row_change[];
  written_ids bigint[];
begin
  if cardinality(plan) = 0 then
    return array[]::sync.row_change[];
  end if;
  changes := array(select w from sync.write_bookings(plan, booking_ids, page.organization_id, page.source) w);
  changes := changes || array(select w from sync.write_booking_dates(plan, booking_ids, page.organization_id) w);
  changes := changes || array(select w from sync.write_booking_products(plan, booking_ids, page.organization_id) w);
  if exists (select from unnest(plan) p where not p.is_new and p.snapshot ? 'attachments') then
    plan := sync.keep_file_keys(plan, booking_ids);
  end if;
  changes := changes || array(select w from sync.write_booking_attachments(plan, booking_ids, page.organization_id) w);

  if exists (select from unnest(plan) p where p.unsettled)
    or exists (select from unnest(changes) c where c.operation = 'absent') then
    changes := sync.weigh_absences(page, plan, changes);
  end if;
  written_ids := array(select distinct c.booking_id from unnest(changes) c);
  perform sync.refresh_urls(plan, written_ids);
  perform sync.write_history(page, plan, changes);
  -- What a booking drives follows in the same transaction.
  changes := changes || array(
    select w from sync.project(
      array(select distinct c.booking_id from unnest(changes) c where c.table_name in ('bookings', 'booking_dates')),
      written_ids, page.detailed) w);
  return changes;
end;
$$;

comment on function sync.write_page(sync.page, sync.planned_snapshot[]) is
  'Writes the bookings of a page, their collections, their history and what they drive; returns the rows written.';

-- schemas/52_apply.sql

-- The heart: any number of snapshots in, a constant number of statements, one verdict each. One call is
-- one transaction: bookings, collections, projections, history, source states, holds and the delivery
-- that asked for it land together or not at all.
-- The steps: plan (50), brake (31), write (51), project (62), end holds (31), note what was stated, hold it
-- against the senders' words (54).
-- Arguments and result of apply_snapshots are the API of the database: add only with defaults.

create function sync.note_statements(page sync.page, plan sync.planned_snapshot[]) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  -- A booking that a page shows is not missing, even if nothing of it has changed. States that are
  -- locked are not waited for, since we do not hold them in order: their holder notes the same.
  if exists (select from sync.source_states s
             where s.organization_id = page.organization_id and s.source = page.source
               and s.missing_sightings > 0) then
    update sync.source_states s set missing_sightings = 0, missing_first_seen_at = null, updated_at = now()
    where s.organization_id = page.organization_id and s.source = page.source
      and s.external_id in (
        select k.external_id from sync.source_states k
        where k.organization_id = page.organization_id and k.source = page.source
          and k.missing_sightings > 0
          and k.external_id in (select p.external_id from unnest(plan) p where p.verdict = 'unchanged')
        for update skip locked
      );
  end if;

  -- An upsert finds its row by key whatever the planner believes.
  insert into sync.source_states as s (organization_id, source, external_id, source_updated_at,
    source_version, content_hash, fetched_at, raw_hash, raw_content_hash)
  select page.organization_id, page.source, p.external_id, p.source_updated_at,
    p.source_version, p.content_hash, p.fetched_at, p.raw_hash, case when p.raw_hash is not null then p.content_hash end
  from unnest(plan) p
  where p.verdict in ('apply', 'revision')
  on conflict on constraint source_states_pkey do update set
    source_updated_at = coalesce(excluded.source_updated_at, s.source_updated_at),
    source_version = coalesce(excluded.source_version, s.source_version),
    content_hash = excluded.content_hash,
    fetched_at = greatest(excluded.fetched_at, s.fetched_at),
    raw_hash = excluded.raw_hash,
    raw_content_hash = excluded.raw_content_hash,
    missing_sightings = 0,
    missing_first_seen_at = null,
    updated_at = now()
  -- An equal answer is looked at again while something is unsettled, and states nothing new.
  where page.force or page.compares or not s.unsettled
    or (s.content_hash, s.fetched_at) is distinct from (excluded.content_hash, greatest(excluded.fetched_at, s.fetched_at))
    or sync.revision_order(excluded.source_version, excluded.source_updated_at, s.source_version, s.source_updated_at) <> 0;
end;
$$;

comment on function sync.note_statements(sync.page, sync.planned_snapshot[]) is
  'Notes revision, content and moment of reading of what a page has stated.';

create function sync.note_raw_hashes(page sync.page, plan sync.planned_snapshot[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  -- A state that is locked is not waited for: the next page notes it.
  update sync.source_states s set raw_hash = k.raw_hash, raw_content_hash = s.content_hash
  from (
    select p.external_id, p.raw_hash, p.content_hash from unnest(plan) p
    cross join lateral (
      select from sync.source_states t
      where t.organization_id = page.organization_id and t.source = page.source and t.external_id = p.external_id
      for update skip locked
    ) locked
    where p.verdict = 'unchanged' and p.raw_hash is not null
  ) k
  where s.organization_id = page.organization_id and s.source = page.source and s.external_id = k.external_id
    and s.content_hash = k.content_hash;
end;
$$;

comment on function sync.note_raw_hashes(sync.page, sync.planned_snapshot[]) is
  'Notes from what text unchanged bookings of a page were decoded, so that the next page need not decode it.';

create function public.pass_unchanged(
  organization_id uuid, source public.booking_source, raw_hashes jsonb, fetched_at timestamptz
) returns table (raw_hash text)
language plpgsql
set search_path = ''
set enable_nestloop = off
set jit = off
as $$
#variable_conflict use_column
declare
  page sync.page;
  plan sync.planned_snapshot[];
begin
  page.organization_id := pass_unchanged.organization_id;
  page.source := pass_unchanged.source;
  plan := array(
    select jsonb_populate_record(null::sync.planned_snapshot, jsonb_build_object('external_id', k.external_id,
      'verdict', 'unchanged', 'content_hash', s.content_hash, 'fetched_at', k.read_at, 'raw_hash', s.raw_hash,
      'ages', s.read_at + s.refresh_after / 2 < k.read_at))
    from (
      select e.key as external_id, e.value as raw_hash, least(now(), pass_unchanged.fetched_at) as read_at
      from jsonb_each_text(pass_unchanged.raw_hashes) e
    ) k
    cross join lateral (
      select t.* from sync.source_states t
      where t.organization_id = page.organization_id and t.source = page.source and t.external_id = k.external_id
      offset 0
    ) s
    where s.raw_hash = k.raw_hash and s.raw_content_hash = s.content_hash);
  if cardinality(plan) > 0 then
    perform sync.note_statements(page, plan);
    if exists (select from unnest(plan) p where p.ages) then
      perform sync.note_reads(page, plan);
    end if;
  end if;
  return query select p.raw_hash from unnest(plan) p;
end;
$$;

comment on function public.pass_unchanged(uuid, public.booking_source, jsonb, timestamptz) is
  'Those bookings of a page, { external_id: hash of its text }, whose text is the one that their stored content was decoded from: they are unchanged and need no decoding. Notes that they were seen.';

create function sync.summarize_changes(row_changes sync.row_change[], detailed boolean)
returns table (booking_id bigint, changes jsonb)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  if summarize_changes.detailed then
    return query
    select r.booking_id, jsonb_agg(jsonb_build_object(
      'table', r.table_name, 'key', r.key, 'operation', r.operation, 'fields', r.fields))
    from unnest(row_changes) r
    group by r.booking_id;
  else
    return query
    select n.booking_id, jsonb_object_agg(n.table_name, jsonb_build_object(
      'created', n.created, 'updated', n.updated, 'marked_missing', n.marked_missing))
    from (
      select r.booking_id, r.table_name,
        count(*) filter (where r.operation = 'created') as created,
        count(*) filter (where r.operation = 'updated') as updated,
        count(*) filter (where r.operation = 'marked_missing') as marked_missing
      from unnest(row_changes) r
      group by r.booking_id, r.table_name
    ) n
    group by n.booking_id;
  end if;
end;
$$;

comment on function sync.summarize_changes(sync.row_change[], boolean) is
  'The rows written for each booking: { table: { created, updated, marked_missing } }, or every row with its fields if detailed.';

create function sync.page_verdicts(plan sync.planned_snapshot[], row_changes sync.row_change[], detailed boolean)
returns sync.snapshot_verdict[]
language plpgsql
set search_path = ''
as $$
begin
  return (
    select array_agg(v::sync.snapshot_verdict order by v.ord)
    from (
      select p.ord as ord, p.external_id as external_id,
        case
          when p.verdict = 'apply' and p.is_new then 'created'
          when p.verdict = 'apply' and c.booking_id is not null then 'updated'
          when p.verdict in ('apply', 'revision') then 'unchanged'
          else p.verdict end as verdict,
        p.booking_id as booking_id,
        coalesce(c.changes, case when detailed then '[]'::jsonb else '{}'::jsonb end) as changes,
        p.error as error, p.snapshot -> 'warnings' as warnings
      from unnest(plan) p
      left join sync.summarize_changes(row_changes, detailed) c
        on c.booking_id = p.booking_id and p.verdict = 'apply'
    ) v
  );
end;
$$;

comment on function sync.page_verdicts(sync.planned_snapshot[], sync.row_change[], boolean) is
  'One verdict for each snapshot of a page, with the rows that it wrote.';

create function sync.apply_page(page sync.page, snapshots jsonb) returns sync.snapshot_verdict[]
language plpgsql
set search_path = ''
as $$
declare
  plan sync.planned_snapshot[] := sync.plan_page(page, snapshots);
  to_write sync.planned_snapshot[];
  row_changes sync.row_change[];
  has_reads boolean;
  has_raw_hashes boolean;
  has_missing_files boolean;
  has_contradictions boolean;
begin
  if exists (select from unnest(plan) p where p.verdict = 'apply') then
    plan := sync.apply_brake(page, plan);
    to_write := array(select p from unnest(plan) p where p.verdict = 'apply' order by p.ord);
    row_changes := sync.write_page(page, to_write);
    perform sync.note_observations(page, to_write);
  end if;
  perform sync.end_holds(page.organization_id, plan);
  perform sync.note_statements(page, plan);
  -- Reading the plan costs as much as one of these steps, so one pass tells which of them have work.
  select bool_or(p.ages), bool_or(p.verdict = 'unchanged' and p.raw_hash is not null),
    bool_or(p.unsettled or p.snapshot ? 'missing_files'), bool_or(p.unsettled or p.contradicts is not null)
  into has_reads, has_raw_hashes, has_missing_files, has_contradictions
  from unnest(plan) p;
  if has_raw_hashes then
    perform sync.note_raw_hashes(page, plan);
  end if;
  if has_reads then
    perform sync.note_reads(page, plan);
  end if;
  if page.deliveries is not null or has_contradictions then
    perform sync.note_agreement(page, plan, row_changes);
  end if;
  if has_missing_files then
    perform sync.note_missing_files(page, plan);
  end if;
  return sync.page_verdicts(plan, row_changes, page.detailed);
end;
$$;

comment on function sync.apply_page(sync.page, jsonb) is
  'Applies a page of snapshots; a bad value among them fails the whole page (see sync.apply_page_or_halves).';

-- Each field is tried alone: only for a snapshot that has failed.
create function sync.find_bad_field(snapshot jsonb) returns text
language plpgsql
set search_path = ''
as $$
declare
  part record;
begin
  for part in
    select 'booking.' || f.key as path, 'bookings' as target, f.key, f.value
    from jsonb_each(snapshot -> 'booking') f
    union all
    select c.name || '.items[' || i.place - 1 || '].' || f.key, c.target, f.key, f.value
    from (values ('dates', 'booking_dates'), ('products', 'booking_products'),
      ('attachments', 'booking_attachments')) as c (name, target)
    cross join jsonb_array_elements(snapshot #> array[c.name, 'items']) with ordinality as i (item, place)
    cross join jsonb_each(i.item) f
  loop
    begin
      execute format('select jsonb_populate_record(null::public.%I, $1)', part.target)
        using jsonb_build_object(part.key, part.value);
    exception when data_exception then
      return part.path;
    end;
  end loop;
  return null;
end;
$$;

comment on function sync.find_bad_field(jsonb) is
  'The path of the first field that its column cannot hold; null if a constraint or the snapshot as a whole is at fault.';

create function sync.part_of_page(snapshots jsonb, from_place integer, to_place integer) returns jsonb
language sql immutable
set search_path = ''
as $$
  select jsonb_agg(e.item order by e.place)
  from jsonb_array_elements(snapshots) with ordinality e (item, place)
  where e.place between from_place and to_place
$$;

comment on function sync.part_of_page(jsonb, integer, integer) is 'Some snapshots of a page; places count from 1.';

-- A value that only a cast or a constraint finds wrong fails the page. Then the page is halved until the
-- bad snapshot stands alone and is refused by name; the others land. Good pages pay nothing.
create function sync.apply_page_or_halves(page sync.page, snapshots jsonb) returns sync.snapshot_verdict[]
language plpgsql
set search_path = ''
as $$
declare
  size constant integer := jsonb_array_length(snapshots);
  half constant integer := size / 2;
  refused sync.snapshot_verdict;
  message text;
  field text;
  state text;
begin
  return sync.apply_page(page, snapshots);
exception when data_exception or integrity_constraint_violation or program_limit_exceeded then
  get stacked diagnostics message = message_text, field = constraint_name, state = returned_sqlstate;
  if size = 1 then
    refused.ord := 1;
    refused.external_id := left(snapshots #>> '{0,external_id}', 200);
    refused.verdict := 'invalid';
    refused.changes := '{}';
    refused.error := jsonb_build_object('code', 'unstorable_snapshot',
      'field', coalesce(sync.find_bad_field(snapshots -> 0), nullif(field, '')),
      'message', left(message, 500), 'sqlstate', state);
    return array[refused];
  end if;
  -- Both halves are locked together: halves of two pages are in no order.
  perform sync.lock_page(page.organization_id, page.source, snapshots);
  return sync.apply_page_or_halves(page, sync.part_of_page(snapshots, 1, half))
    || sync.shift_verdicts(sync.apply_page_or_halves(page, sync.part_of_page(snapshots, half + 1, size)), half);
end;
$$;

comment on function sync.apply_page_or_halves(sync.page, jsonb) is
  'Applies a page; if a value in it cannot be stored, refuses just the snapshot that has it (rule: one booking stops nothing).';

create function sync.shift_verdicts(verdicts sync.snapshot_verdict[], places integer) returns sync.snapshot_verdict[]
language plpgsql immutable
set search_path = ''
as $$
begin
  for i in 1 .. cardinality(verdicts) loop
    verdicts[i].ord := verdicts[i].ord + places;
  end loop;
  return verdicts;
end;
$$;

comment on function sync.shift_verdicts(sync.snapshot_verdict[], integer) is 'The verdicts on the later half of a page, with their places in the whole.';

create function sync.preview_page(page sync.page, snapshots jsonb) returns sync.snapshot_verdict[]
language plpgsql
set search_path = ''
as $$
declare
  verdicts sync.snapshot_verdict[];
begin
  begin
    verdicts := sync.apply_page_or_halves(page, snapshots);
    raise exception 'undo' using errcode = 'BSDRY';
  exception when sqlstate 'BSDRY' then
    null; -- Everything is undone but the verdicts.
  end;
  return verdicts;
end;
$$;

comment on function sync.preview_page(sync.page, jsonb) is 'What applying a page would do: it is applied and rolled back.';

create type sync.held_leases as (deliveries sync.deliveries[], lost text[]);

comment on type sync.held_leases is 'The deliveries that a caller may finish, and the bookings of those whose lease it has lost.';

create function sync.hold_leases(work jsonb, connection_id bigint) returns sync.held_leases
language plpgsql
set search_path = ''
as $$
declare
  leases sync.held_leases;
begin
  -- A delivery of another connection is not the caller's, whatever lease it names.
  select array_agg(l.held) filter (where (l.held).connection_id = hold_leases.connection_id),
    array_agg(coalesce((l.held).external_id, d.external_id))
      filter (where (l.held).connection_id is distinct from hold_leases.connection_id)
  into leases.deliveries, leases.lost
  from (
    select (e.item ->> 'delivery_id')::uuid as id, (e.item ->> 'lease_token')::uuid as token
    from jsonb_array_elements(work) e (item)
    order by 1
  ) w
  cross join lateral (select sync.hold_lease(w.id, w.token) as held offset 0) l
  left join lateral sync.delivery_now(w.id) d on (l.held).id is null;
  return leases;
end;
$$;

comment on function sync.hold_leases(jsonb, bigint) is
  'Locks the deliveries of [{ delivery_id, lease_token }] of a connection whose lease the caller still has.';

create function sync.settle_page(deliveries sync.deliveries[], verdicts sync.snapshot_verdict[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform sync.settle_delivery(d,
    case v.verdict when 'stale' then 'stale' when 'held' then 'held' when 'invalid' then 'dead' else 'succeeded' end,
    jsonb_strip_nulls(jsonb_build_object('outcome', v.verdict, 'booking_id', v.booking_id, 'changes', v.changes,
      'warnings', v.warnings)),
    v.error)
  from unnest(deliveries) d
  join (
    select distinct on (v.external_id) v.*
    from unnest(verdicts) v
    order by v.external_id, v.verdict = 'stale', v.ord desc
  ) v on v.external_id = d.external_id;
end;
$$;

comment on function sync.settle_page(sync.deliveries[], sync.snapshot_verdict[]) is
  'Ends the deliveries of a page, each by the verdict on its booking.';

-- To within ten seconds, so it need not wait for a lock on the connection: its holder may wait for us.
create function sync.note_success(connection_id bigint) returns void
language plpgsql
set search_path = ''
as $$
begin
  update sync.connections c set last_success_at = now()
  where c.id in (
    select k.id from sync.connections k
    where k.id = note_success.connection_id
      and (k.last_success_at is null or k.last_success_at < now() - interval '10 seconds')
    for no key update skip locked
  );
end;
$$;

comment on function sync.note_success(bigint) is 'Notes on a connection that a statement has changed something, to within ten seconds.';

create function public.apply_snapshots(
  organization_id uuid,
  source public.booking_source,
  snapshots jsonb,
  delivery_id uuid default null,
  lease_token uuid default null,
  run_id uuid default null,
  force boolean default false,
  dry_run boolean default false,
  deliveries jsonb default '[]',
  compares boolean default false
) returns table (external_id text, verdict text, booking_id bigint, changes jsonb, error jsonb, warnings jsonb)
language plpgsql
set search_path = ''
-- On a database without statistics (a first import) the planner expects one row everywhere and
-- would join pages by nested loops, or sort them for merges where a hash is enough; and it would compile
-- plans for longer than they run.
set enable_nestloop = off
set enable_mergejoin = off
set jit = off
as $$
#variable_conflict use_column
declare
  connection sync.connections;
  leases sync.held_leases;
  refusal text;
  page sync.page;
  accepted jsonb := apply_snapshots.snapshots;
  verdicts sync.snapshot_verdict[];
begin
  if jsonb_typeof(apply_snapshots.snapshots) is distinct from 'array' then
    raise exception 'Cannot apply snapshots: snapshots is not a JSON array' using errcode = '22023';
  end if;

  select * into connection from sync.connections c
  where c.organization_id = apply_snapshots.organization_id and c.source = apply_snapshots.source;
  refusal := case
    when connection.id is null then 'unknown_organization'
    when not apply_snapshots.force and (connection.paused_at is not null or not connection.enabled) then 'paused'
  end;
  if refusal is null and (apply_snapshots.delivery_id is not null or apply_snapshots.deliveries <> '[]') then
    leases := sync.hold_leases(apply_snapshots.deliveries || case when apply_snapshots.delivery_id is null then '[]'
      else jsonb_build_array(jsonb_build_object('delivery_id', apply_snapshots.delivery_id, 'lease_token', apply_snapshots.lease_token)) end, connection.id);
    -- A worker that lost its lease can finish nothing, and apply nothing in its name.
    refusal := case when leases.lost is not null and leases.deliveries is null then 'lease_lost' end;
    if leases.lost is not null then
      accepted := coalesce((
        select jsonb_agg(e.snapshot order by e.ord)
        from jsonb_array_elements(apply_snapshots.snapshots) with ordinality e (snapshot, ord)
        where coalesce(e.snapshot ->> 'external_id' <> all (leases.lost), true)), '[]');
    end if;
  end if;
  if refusal is not null then
    return query select left(e.snapshot ->> 'external_id', 200), refusal, null::bigint, '{}'::jsonb, null::jsonb, null::jsonb
      from jsonb_array_elements(apply_snapshots.snapshots) as e (snapshot);
    return;
  end if;

  page.organization_id := apply_snapshots.organization_id;
  page.source := apply_snapshots.source;
  page.deliveries := leases.deliveries;
  page.run_id := apply_snapshots.run_id;
  page.force := apply_snapshots.force;
  page.compares := apply_snapshots.compares;
  page.detailed := apply_snapshots.dry_run;
  if apply_snapshots.dry_run then
    verdicts := sync.preview_page(page, accepted);
  else
    verdicts := sync.apply_page_or_halves(page, accepted);
    if exists (select from unnest(verdicts) v where v.verdict in ('created', 'updated')) then
      perform sync.note_success(connection.id);
    end if;
    perform sync.settle_page(leases.deliveries, verdicts);
  end if;
  return query
    select v.external_id, v.verdict, v.booking_id, v.changes, v.error, v.warnings from unnest(verdicts) v
    union all
    select l.external_id, 'lease_lost', null, '{}', null, null from unnest(leases.lost) l (external_id);
end;
$$;

comment on function public.apply_snapshots(uuid, public.booking_source, jsonb, uuid, uuid, uuid, boolean, boolean, jsonb, boolean) is
  'Applies any number of snapshots of one connection in one transaction, one verdict row each: created, updated, unchanged, stale, held, skipped (over before connections.not_before and never stored), invalid; or for all of them lease_lost, paused, unknown_organization. With a delivery (or several: [{ delivery_id, lease_token }]) it finishes them too. force compares with the rows and lets an older revision win; compares does only the first. dry_run rolls back and returns the exact row changes.';

-- schemas/53_absences.sql

-- Evidence of absence: what it takes until a day, a product or a file that the source no longer lists is
-- out of force (rule: absence is not a statement).
--
--   a flag says the list is whole, or a phase brings a new day and lacks an old one (a move): at once
--   a shorter list: doubted, and a confirming read is queued; believed by a later single read that
--     began absence_confirm_after the first; for days whose revision did not rise by the third read,
--     absence_confirm_slow after the first
--   an empty list: doubted; only a person decides
--   listed again: the doubt and the mark are cleared
--   too many rows at once: held for a person, a collection of a booking as a whole
--
-- Pages of runs are a first sighting, never a confirming one. A move is taken by the days in force: a
-- range that flickers to its first day is always a part of itself, also right after it was shifted, so
-- it is doubted and never looks like a move.

create type sync.absence as (
  ord integer,
  booking_id bigint,
  collection text,
  table_name text,
  key text,
  item_id bigint,
  doubted_since timestamptz,
  verdict text,
  since timestamptz
);

comment on type sync.absence is
  'A row in force that a page leaves out. verdict: missing, doubted, emptied, held, or dismissed (a person said that it stays).';

create function sync.collection_of(table_name text, key text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select case table_name when 'booking_products' then 'products' when 'booking_attachments' then 'files'
    else split_part(key, ' ', 1) end
$$;

comment on function sync.collection_of(text, text) is 'The collection of a row change: products, files, rig, event or rigdown.';

create function sync.find_absences(plan sync.planned_snapshot[], changes sync.row_change[]) returns sync.absence[]
language plpgsql
set search_path = ''
as $$
begin
  return array(
    with absent as (
      select c.booking_id, c.table_name, c.key, sync.collection_of(c.table_name, c.key) as collection,
        (c.fields ->> 'id')::bigint as item_id, (c.fields ->> 'source_doubted_since')::timestamptz as doubted_since
      from unnest(changes) c where c.operation = 'absent'
    ), moved as (
      select distinct c.booking_id, sync.collection_of(c.table_name, c.key) as collection
      from unnest(changes) c
      where c.table_name = 'booking_dates'
        and (c.operation = 'created' or c.fields #>> '{source_missing_since,0}' is not null)
    ), stated as (
      select p.ord, p.booking_id, p.fetched_at, x.collection, x.whole, x.listed
      from unnest(plan) p
      cross join lateral (
        select 'products', p.snapshot #> '{products,complete}' = 'true', jsonb_array_length(p.snapshot #> '{products,items}')
        union all
        select 'files', p.snapshot #> '{attachments,complete}' = 'true', jsonb_array_length(p.snapshot #> '{attachments,items}')
        union all
        select f.phase::text, p.snapshot #> '{dates,complete}' = 'true', (
          select count(*)::integer from jsonb_array_elements(p.snapshot #> '{dates,items}') i (item)
          where i.item ->> 'phase' = f.phase::text)
        from unnest(enum_range(null::public.booking_phase)) f (phase)
      ) x (collection, whole, listed)
    )
    select row(s.ord, a.booking_id, a.collection, a.table_name, a.key, a.item_id, a.doubted_since,
      case when s.whole or m.booking_id is not null then 'missing' when s.listed = 0 then 'emptied' else 'doubted' end,
      s.fetched_at)::sync.absence
    from absent a
    join stated s on s.booking_id = a.booking_id and s.collection = a.collection
    left join moved m on m.booking_id = a.booking_id and m.collection = a.collection
    order by s.ord, a.collection, a.key);
end;
$$;

comment on function sync.find_absences(sync.planned_snapshot[], sync.row_change[]) is
  'What a page leaves out, with the verdict that its own answer allows: missing at once, doubted or emptied.';

create function sync.note_sightings(page sync.page, plan sync.planned_snapshot[], absences sync.absence[]) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  confirms_after constant interval := case when page.run_id is null then (
    select c.absence_confirm_after from sync.connections c
    where c.organization_id = page.organization_id and c.source = page.source) end;
begin
  insert into sync.doubts as d (booking_id, organization_id, collection, item_id, first_seen_at, last_read_at,
    listed_version, listed_updated_at, risen, emptied)
  select a.booking_id, page.organization_id, a.collection, a.item_id, p.fetched_at, p.fetched_at,
    s.source_version, s.source_updated_at,
    sync.revision_order(p.source_version, p.source_updated_at, s.source_version, s.source_updated_at) > 0,
    a.verdict = 'emptied'
  from unnest(absences) a
  join unnest(plan) p on p.ord = a.ord
  left join sync.source_states s on s.organization_id = page.organization_id and s.source = page.source
    and s.external_id = p.external_id
  where a.verdict in ('doubted', 'emptied')
  on conflict on constraint doubts_pkey do update set
    reads = d.reads + coalesce((not excluded.emptied
      and excluded.last_read_at >= d.first_seen_at + confirms_after)::integer, 0),
    last_read_at = greatest(d.last_read_at, excluded.last_read_at),
    risen = d.risen or excluded.risen,
    emptied = excluded.emptied
  -- The same answer twice is one sighting.
  where d.last_read_at < excluded.last_read_at;
end;
$$;

comment on function sync.note_sightings(sync.page, sync.planned_snapshot[], sync.absence[]) is
  'Opens a doubt for each row that a page leaves out, or counts one more single read without it.';

create function sync.is_believed(doubt sync.doubts, connection sync.connections) returns boolean
language sql immutable
set search_path = ''
as $$
  select not doubt.emptied and doubt.dismissed_at is null and doubt.reads >= 2
    and doubt.last_read_at >= doubt.first_seen_at + connection.absence_confirm_after
    and (doubt.collection in ('products', 'files') or doubt.risen
      or doubt.reads >= 3 and doubt.last_read_at >= doubt.first_seen_at + connection.absence_confirm_slow)
$$;

comment on function sync.is_believed(sync.doubts, sync.connections) is
  'Whether the reads so far confirm that a row is gone: two of a product, a file, or a day whose revision rose; three of another day.';

create function sync.confirm_at(doubt sync.doubts, connection sync.connections) returns timestamptz
language sql stable
set search_path = ''
as $$
  select case
    when e.earliest > now() then e.earliest
    -- The last reads decided nothing: ask again, each time half as long again after the first.
    else now() + least(greatest(connection.absence_confirm_after, (now() - doubt.first_seen_at) / 2), interval '12 hours') end
  from (
    select doubt.first_seen_at + case
      when doubt.collection in ('products', 'files') or doubt.risen or doubt.reads < 2 then connection.absence_confirm_after
      else connection.absence_confirm_slow end
  ) e (earliest)
  where not doubt.emptied and doubt.dismissed_at is null
$$;

comment on function sync.confirm_at(sync.doubts, sync.connections) is
  'When the next read can decide a doubt; null if only a person can.';

create function sync.with_absence_verdict(absence sync.absence, verdict text, since timestamptz) returns sync.absence
language plpgsql immutable
set search_path = ''
as $$
begin
  absence.verdict := with_absence_verdict.verdict;
  absence.since := with_absence_verdict.since;
  return absence;
end;
$$;

comment on function sync.with_absence_verdict(sync.absence, text, timestamptz) is 'The same absence with another verdict.';

create function sync.judge_absences(page sync.page, plan sync.planned_snapshot[], absences sync.absence[]) returns sync.absence[]
language plpgsql
set search_path = ''
as $$
declare
  connection constant sync.connections := (select c from sync.connections c
    where c.organization_id = page.organization_id and c.source = page.source);
begin
  perform sync.note_sightings(page, plan, absences);
  return array(
    select case
      when d.booking_id is null or a.verdict = 'missing' then sync.with_absence_verdict(a, a.verdict, coalesce(a.doubted_since, a.since))
      when d.dismissed_at is not null then sync.with_absence_verdict(a, 'dismissed', d.first_seen_at)
      when sync.is_held(a.booking_id, a.collection) then sync.with_absence_verdict(a, 'held', d.first_seen_at)
      when page.run_id is null and sync.is_believed(d, connection) then sync.with_absence_verdict(a, 'missing', d.first_seen_at)
      else sync.with_absence_verdict(a, a.verdict, d.first_seen_at) end
    from unnest(absences) a
    left join sync.doubts d
      on d.booking_id = a.booking_id and d.collection = a.collection and d.item_id = a.item_id
    order by a.ord, a.collection, a.key);
end;
$$;

comment on function sync.judge_absences(sync.page, sync.planned_snapshot[], sync.absence[]) is
  'The absences of a page after the earlier reads have been heard.';

create function sync.is_held(booking_id bigint, class text) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (select from sync.held_changes h
    where h.booking_id = is_held.booking_id and h.class = is_held.class
      and h.released_at is null and h.dismissed_at is null)
$$;

comment on function sync.is_held(bigint, text) is 'Whether a change of this class waits for a person.';

create function sync.collection_size(booking_id bigint, collection text) returns bigint
language sql stable
set search_path = ''
as $$
  select case collection_size.collection
    when 'products' then (select count(*) from public.booking_products p
      where p.booking_id = collection_size.booking_id and p.source_missing_since is null)
    when 'files' then (select count(*) from public.booking_attachments a
      where a.booking_id = collection_size.booking_id and a.source_missing_since is null and a.origin = 'import')
    else (select count(*) from public.booking_dates d
      where d.booking_id = collection_size.booking_id and d.source_missing_since is null
        and d.phase::text = collection_size.collection) end
$$;

comment on function sync.collection_size(bigint, text) is 'How many rows of a collection are in force.';

create function sync.remaining_absence_budget(page sync.page) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  connection sync.connections;
begin
  -- Locked, so that two workers cannot both spend the last of it.
  select * into connection from sync.connections c
  where c.organization_id = page.organization_id and c.source = page.source
  for no key update;
  return connection.absence_budget - (
    select coalesce(sum(b.rows), 0) from sync.believed_absences b
    where b.connection_id = connection.id and b.believed_at > now() - interval '60 minutes');
end;
$$;

comment on function sync.remaining_absence_budget(sync.page) is
  'Rows that may still go missing in this rolling hour; locks the connection.';

create function sync.find_held_absences(page sync.page, absences sync.absence[])
returns table (booking_id bigint, collection text)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  remaining constant bigint := sync.remaining_absence_budget(page);
begin
  return query
  with groups as (
    select g.*, sync.is_held(g.booking_id, g.collection)
      or g.rows > 25 and 2 * g.rows > sync.collection_size(g.booking_id, g.collection) as too_many
    from (
      select a.ord, a.booking_id, a.collection, count(*) as rows
      from unnest(absences) a where a.verdict = 'missing'
      group by a.ord, a.booking_id, a.collection
    ) g
  )
  select g.booking_id, g.collection
  from (
    select g.*, sum(case when g.too_many then 0 else g.rows end) over (order by g.ord, g.collection) as spent
    from groups g
  ) g
  where g.too_many or g.spent > remaining;
end;
$$;

comment on function sync.find_held_absences(sync.page, sync.absence[]) is
  'The collections that must wait for a person: more than 25 rows and more than half at once, or beyond the budget of the hour.';

create function sync.hold_absences(page sync.page, plan sync.planned_snapshot[], absences sync.absence[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  with written as (
    insert into sync.held_changes as h (organization_id, booking_id, kind, delivery_id, run_id, snapshot, reason)
    select page.organization_id, g.booking_id, g.collection, d.id, page.run_id,
      jsonb_build_object('collection', g.collection, 'items', g.items, 'fetched_at', p.fetched_at),
      format('The source no longer lists %s rows of %s at once; that waits for a person.', g.rows, g.collection)
    from (
      select a.ord, a.booking_id, a.collection, count(*) as rows, jsonb_agg(a.key order by a.key) as items
      from unnest(absences) a where a.verdict = 'held'
      group by a.ord, a.booking_id, a.collection
    ) g
    join unnest(plan) p on p.ord = g.ord
    left join unnest(page.deliveries) d on d.external_id = p.external_id
    on conflict (booking_id, class) where released_at is null and dismissed_at is null
    do update set snapshot = excluded.snapshot, reason = excluded.reason, held_at = now(),
      delivery_id = excluded.delivery_id, run_id = excluded.run_id
    where h.snapshot -> 'items' is distinct from excluded.snapshot -> 'items'
    returning h.organization_id, h.booking_id, h.delivery_id, h.run_id
  )
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, run_id, verdict)
  select w.organization_id, w.booking_id, case when w.delivery_id is null then 'import' else 'webhook' end,
    w.delivery_id, w.run_id, 'held'
  from written w;
end;
$$;

comment on function sync.hold_absences(sync.page, sync.planned_snapshot[], sync.absence[]) is
  'Opens or restates the holds of the collections that wait for a person.';

create function sync.brake_absences(page sync.page, plan sync.planned_snapshot[], absences sync.absence[]) returns sync.absence[]
language plpgsql
set search_path = ''
as $$
begin
  if exists (select from unnest(absences) a where a.verdict = 'missing') then
    absences := array(
      select case when a.verdict = 'missing' and h.booking_id is not null
        then sync.with_absence_verdict(a, 'held', a.since) else a end
      from unnest(absences) a
      left join sync.find_held_absences(page, absences) h on h.booking_id = a.booking_id and h.collection = a.collection
      order by a.ord, a.collection, a.key);
    insert into sync.believed_absences (connection_id, rows)
    select c.id, (select count(*) from unnest(absences) a where a.verdict = 'missing')
    from sync.connections c
    where c.organization_id = page.organization_id and c.source = page.source
      and exists (select from unnest(absences) a where a.verdict = 'missing');
  end if;
  perform sync.hold_absences(page, plan, absences);
  return absences;
end;
$$;

comment on function sync.brake_absences(sync.page, sync.planned_snapshot[], sync.absence[]) is
  'The absences of a page with what the brake stops: a collection of a booking as a whole becomes held (rule: cancelling takes a positive statement).';

-- The days that a held move brought have just been written, and nobody has seen them yet.
create function sync.undo_held_moves(absences sync.absence[], changes sync.row_change[]) returns sync.row_change[]
language plpgsql
set search_path = ''
as $$
declare
  undone constant text[] := array(
    select c.booking_id || ' ' || c.key
    from unnest(changes) c
    where c.table_name = 'booking_dates'
      and (c.operation = 'created' or c.fields #>> '{source_missing_since,0}' is not null)
      and exists (select from unnest(absences) a where a.verdict = 'held' and a.booking_id = c.booking_id
        and a.collection = sync.collection_of(c.table_name, c.key)));
begin
  if cardinality(undone) = 0 then
    return changes;
  end if;
  delete from public.booking_dates d
  using unnest(changes) c
  where c.operation = 'created' and c.booking_id || ' ' || c.key = any (undone)
    and d.booking_id = c.booking_id and d.phase || ' ' || d.day = c.key;
  update public.booking_dates d set source_missing_since = (c.fields #>> '{source_missing_since,0}')::timestamptz
  from unnest(changes) c
  where c.operation = 'updated' and c.booking_id || ' ' || c.key = any (undone)
    and d.booking_id = c.booking_id and d.phase || ' ' || d.day = c.key;
  return array(
    select c from unnest(changes) c
    where c.table_name <> 'booking_dates' or c.booking_id || ' ' || c.key <> all (undone));
end;
$$;

comment on function sync.undo_held_moves(sync.absence[], sync.row_change[]) is
  'Takes the new days of a held move back: it changes no day until a person decides.';

create function sync.mark_absences(absences sync.absence[]) returns setof sync.row_change
language plpgsql
set search_path = ''
as $$
declare
  marks constant sync.absence[] := array(
    select a from unnest(absences) a
    where a.verdict = 'missing' or a.verdict in ('doubted', 'emptied', 'held') and a.doubted_since is null);
begin
  update public.booking_dates d set updated_at = now(),
    source_missing_since = case when m.verdict = 'missing' then m.since end,
    source_doubted_since = case when m.verdict <> 'missing' then m.since end
  from unnest(marks) m
  where m.table_name = 'booking_dates' and d.id = m.item_id and d.booking_id = m.booking_id;
  update public.booking_products p set updated_at = now(),
    source_missing_since = case when m.verdict = 'missing' then m.since end,
    source_doubted_since = case when m.verdict <> 'missing' then m.since end
  from unnest(marks) m
  where m.table_name = 'booking_products' and p.id = m.item_id and p.booking_id = m.booking_id;
  update public.booking_attachments f set updated_at = now(),
    source_missing_since = case when m.verdict = 'missing' then m.since end,
    source_doubted_since = case when m.verdict <> 'missing' then m.since end
  from unnest(marks) m
  where m.table_name = 'booking_attachments' and f.id = m.item_id and f.booking_id = m.booking_id;
  return query
    select m.booking_id, m.table_name, m.key, case when m.verdict = 'missing' then 'marked_missing' else 'updated' end,
      case when m.verdict <> 'missing' then jsonb_build_object('source_doubted_since', jsonb_build_array(null, m.since))
        else jsonb_build_object('source_missing_since', jsonb_build_array(null, m.since))
          || case when m.doubted_since is null then '{}'::jsonb
            else jsonb_build_object('source_doubted_since', jsonb_build_array(m.doubted_since, null)) end end
    from unnest(marks) m;
end;
$$;

comment on function sync.mark_absences(sync.absence[]) is
  'Writes on each row what became of it: doubted or missing, since when. Returns the rows written.';

create function sync.is_listed(doubt sync.doubts, snapshot jsonb) returns boolean
language sql stable
set search_path = ''
as $$
  select case doubt.collection
    when 'products' then snapshot #> '{products,items}' @> (
      select jsonb_build_array(jsonb_build_object('external_id', p.external_id))
      from public.booking_products p where p.id = doubt.item_id)
    when 'files' then snapshot #> '{attachments,items}' @> (
      select jsonb_build_array(jsonb_build_object('url_key', f.url_key))
      from public.booking_attachments f where f.id = doubt.item_id)
    else snapshot #> '{dates,items}' @> (
      select jsonb_build_array(jsonb_build_object('phase', d.phase, 'day', d.day))
      from public.booking_dates d where d.id = doubt.item_id) end
$$;

comment on function sync.is_listed(sync.doubts, jsonb) is 'Whether a snapshot lists the row of a doubt.';

create function sync.settle_doubts(plan sync.planned_snapshot[], absences sync.absence[]) returns bigint[]
language plpgsql
set search_path = ''
as $$
declare
  booking_ids constant bigint[] := array(
    select p.booking_id from unnest(plan) p where p.unsettled
    union
    select a.booking_id from unnest(absences) a);
begin
  delete from sync.doubts d
  using unnest(plan) p
  where d.booking_id = any (booking_ids) and p.booking_id = d.booking_id
    and (exists (select from unnest(absences) a where a.verdict = 'missing' and a.booking_id = d.booking_id
        and a.collection = d.collection and a.item_id = d.item_id)
      or sync.is_listed(d, p.snapshot));
  -- What is held ends with its last doubt: everything is listed again.
  update sync.held_changes h set dismissed_at = now(), by = 'system'
  where h.booking_id = any (booking_ids) and h.released_at is null and h.dismissed_at is null
    and h.class in ('products', 'files', 'rig', 'event', 'rigdown')
    and not exists (select from sync.doubts d where d.booking_id = h.booking_id and d.collection = h.class)
    and not exists (select from unnest(absences) a where a.booking_id = h.booking_id and a.collection = h.class);
  return booking_ids;
end;
$$;

comment on function sync.settle_doubts(sync.planned_snapshot[], sync.absence[]) is
  'Closes the doubts that a page has decided, and returns the bookings that it had something to say about.';

create function sync.note_unsettled(booking_ids bigint[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  update sync.source_states s set unsettled = not s.unsettled
  from public.bookings b
  where b.id = any (booking_ids)
    and s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
    and s.unsettled <> (exists (select from sync.doubts d where d.booking_id = b.id)
      or exists (select from sync.held_changes h
        where h.booking_id = b.id and h.released_at is null and h.dismissed_at is null)
      or exists (select from sync.disagreements g
        where g.booking_id = b.id and (g.ended_at is null or g.outcome = 'disagrees'))
      or exists (select from sync.missing_files f where f.booking_id = b.id));
end;
$$;

comment on function sync.note_unsettled(bigint[]) is 'Says on the states of some bookings whether anything of them is doubted, contradicted, held or missing a file.';

create function sync.schedule_confirms(booking_ids bigint[], own_ids uuid[]) returns void
language plpgsql
set search_path = ''
as $$
declare
  due sync.deliveries[];
begin
  due := array(
    select sync.new_confirm(c.id, b.external_id, s.requested_seq, q.due_at, q.event_type)
    from public.bookings b
    join sync.connections c on c.organization_id = b.organization_id and c.source = b.source
    join sync.source_states s on s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
    cross join lateral (
      select q.* from (
        select sync.next_read(g, c), 'agreement' from sync.disagreements g where g.booking_id = b.id
        union all
        select sync.next_confirm(b, c), 'absence'
        union all
        select greatest(f.due_at, now()), 'files' from sync.missing_files f where f.booking_id = b.id
      ) q (due_at, event_type)
      where q.due_at is not null order by q.due_at limit 1
    ) q
    where b.id = any (booking_ids)
      and not exists (select from sync.deliveries w where w.connection_id = c.id and w.external_id = b.external_id
        and w.status = 'processing' and w.function = 'confirm' and w.id <> all (own_ids)));

  update sync.deliveries d set status = 'succeeded', result = '{"outcome": "settled"}', next_attempt_at = null, finished_at = now()
  from public.bookings b
  join sync.connections c on c.organization_id = b.organization_id and c.source = b.source
  where b.id = any (booking_ids) and d.connection_id = c.id and d.external_id = b.external_id
    and d.function = 'confirm' and d.status = 'pending'
    and not exists (select from unnest(due) n where n.connection_id = d.connection_id and n.external_id = d.external_id);
  insert into sync.deliveries as d select n.* from unnest(due) n
  on conflict (connection_id, external_id) where function = 'confirm' and status = 'pending'
  do update set next_attempt_at = excluded.next_attempt_at, event_type = excluded.event_type
  where excluded.next_attempt_at < d.next_attempt_at
    or d.next_attempt_at <= now() and d.next_attempt_at <> excluded.next_attempt_at;
end;
$$;

comment on function sync.schedule_confirms(bigint[], uuid[]) is
  'Keeps one pending confirming read for each booking with something undecided, due when the first of it can be decided, and ends the others. One that is being processed will ask again itself, unless it is the caller''s own.';

create function sync.next_confirm(booking public.bookings, connection sync.connections) returns timestamptz
language sql stable
set search_path = ''
as $$
  select min(sync.confirm_at(d, connection))
  from sync.doubts d
  join public.organizations o on o.id = booking.organization_id
  where d.booking_id = booking.id and not sync.is_held(booking.id, d.collection)
    -- What is over, cancelled or deleted needs no confirmation: its source says no more about it.
    and booking.status not in ('CANCELLED', 'REJECTED') and booking.source_missing_since is null
    and (select max(k.day) from public.booking_dates k where k.booking_id = booking.id and k.source_missing_since is null)
      >= (now() at time zone o.time_zone)::date
$$;

comment on function sync.next_confirm(public.bookings, sync.connections) is
  'When the first doubt about a booking can be decided; null if none can.';

create function sync.next_read(disagreement sync.disagreements, connection sync.connections) returns timestamptz
language sql stable
set search_path = ''
as $$
  select case when disagreement.due_at > now() then disagreement.due_at
    -- The last read had nothing to say about it.
    else now() + connection.agreement_waits[cardinality(connection.agreement_waits)] end
  where disagreement.ended_at is null
$$;

comment on function sync.next_read(sync.disagreements, sync.connections) is
  'When a sender''s word is next held against a read; null if the series has ended.';

create function sync.new_confirm(
  connection_id bigint, external_id text, seq bigint, due_at timestamptz, event_type text
) returns sync.deliveries
language plpgsql
set search_path = ''
as $$
declare
  delivery sync.deliveries := sync.new_delivery(new_confirm.connection_id, 'confirm', null, new_confirm.external_id,
    new_confirm.event_type);
begin
  delivery.seq := new_confirm.seq;
  delivery.next_attempt_at := new_confirm.due_at;
  return delivery;
end;
$$;

comment on function sync.new_confirm(bigint, text, bigint, timestamptz, text) is
  'A confirming read that is not stored yet, for an absence or for an agreement.';

create function sync.weigh_absences(page sync.page, plan sync.planned_snapshot[], changes sync.row_change[]) returns sync.row_change[]
language plpgsql
set search_path = ''
as $$
declare
  absences sync.absence[] := sync.find_absences(plan, changes);
  booking_ids bigint[];
begin
  changes := array(select c from unnest(changes) c where c.operation <> 'absent');
  absences := sync.judge_absences(page, plan, absences);
  absences := sync.brake_absences(page, plan, absences);
  changes := sync.undo_held_moves(absences, changes);
  changes := changes || array(select m from sync.mark_absences(absences) m);
  booking_ids := sync.settle_doubts(plan, absences);
  perform sync.note_unsettled(booking_ids);
  perform from sync.review(booking_ids);
  -- Where a sender's word is open as well, the next read is settled with it (54_agreement).
  perform sync.schedule_confirms(array(
    select i.id from unnest(booking_ids) i (id)
    where not exists (select from sync.disagreements g where g.booking_id = i.id and g.ended_at is null)
  ), array(select d.id from unnest(page.deliveries) d));
  return changes;
end;
$$;

comment on function sync.weigh_absences(sync.page, sync.planned_snapshot[], sync.row_change[]) is
  'Decides what follows from what a page leaves out, and writes it. Returns the changes of the page with those of the absences.';

create function sync.doubted_rows(booking_id bigint, collection text) returns setof sync.absence
language sql stable
set search_path = ''
as $$
  select 1, d.booking_id, d.collection, r.table_name, r.key, d.item_id, r.doubted_since, 'missing', d.first_seen_at
  from sync.doubts d
  cross join lateral (
    select 'booking_products', p.external_id, p.source_doubted_since
    from public.booking_products p where d.collection = 'products' and p.id = d.item_id
    union all
    select 'booking_attachments', f.url_key, f.source_doubted_since
    from public.booking_attachments f where d.collection = 'files' and f.id = d.item_id
    union all
    select 'booking_dates', k.phase || ' ' || k.day, k.source_doubted_since
    from public.booking_dates k where d.collection not in ('products', 'files') and k.id = d.item_id
  ) r (table_name, key, doubted_since)
  where d.booking_id = doubted_rows.booking_id and d.collection = doubted_rows.collection
$$;

comment on function sync.doubted_rows(bigint, text) is 'The rows of a collection that are in doubt, as absences to be believed.';

-- The booking first, as a page does.
create function sync.lock_booking(booking_id bigint) returns public.bookings
language plpgsql
set search_path = ''
as $$
declare
  booking public.bookings;
begin
  perform from public.bookings b
  join sync.source_states s on s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
  where b.id = lock_booking.booking_id
  for update of s;
  select * into booking from public.bookings b where b.id = lock_booking.booking_id;
  if booking.id is null then
    raise exception 'There is no booking %', lock_booking.booking_id using errcode = 'P0002';
  end if;
  return booking;
end;
$$;

comment on function sync.lock_booking(bigint) is 'The booking, with its state locked.';

create function sync.check_decision(collection text, by text) returns void
language plpgsql
set search_path = ''
as $$
begin
  if check_decision.collection is null
    or check_decision.collection not in ('products', 'files', 'rig', 'event', 'rigdown') then
    raise exception 'Cannot decide on %: a collection is products, files, rig, event or rigdown', check_decision.collection
      using errcode = '22023';
  end if;
  if coalesce(check_decision.by, '') = '' then
    raise exception 'Cannot decide on an absence: by must say who decides' using errcode = '22023';
  end if;
end;
$$;

comment on function sync.check_decision(text, text) is 'Refuses a decision on an unknown collection, or by nobody.';

create function sync.write_decision(
  booking public.bookings, verdict text, by text, changes sync.row_change[]
) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into public.booking_history (organization_id, booking_id, actor, actor_id, verdict, changes)
  select booking.organization_id, booking.id, 'operator', write_decision.by, write_decision.verdict,
    coalesce(jsonb_object_agg(c.table_name || '[' || c.key || '].' || f.key, f.value), '{}')
  from unnest(changes) c
  cross join jsonb_each(c.fields) f;
  perform from public.project_bookings(array[booking.id]);
  perform sync.note_unsettled(array[booking.id]);
  perform sync.schedule_confirms(array[booking.id], '{}');
end;
$$;

comment on function sync.write_decision(public.bookings, text, text, sync.row_change[]) is
  'The history of a person''s decision, and what follows from it.';

create function public.accept_absence(booking_id bigint, collection text, by text) returns bigint
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  booking public.bookings;
  changes sync.row_change[];
begin
  perform sync.check_decision(accept_absence.collection, accept_absence.by);
  booking := sync.lock_booking(accept_absence.booking_id);
  changes := array(select m from sync.mark_absences(array(
    select a from sync.doubted_rows(booking.id, accept_absence.collection) a)) m);
  delete from sync.doubts d where d.booking_id = booking.id and d.collection = accept_absence.collection;
  -- A held move has more to say than what is gone: the booking is read again.
  perform sync.request_refetch(gen_random_uuid(), c, booking.external_id, 'release')
  from sync.connections c
  where c.organization_id = booking.organization_id and c.source = booking.source
    and sync.is_held(booking.id, accept_absence.collection);
  update sync.held_changes h set released_at = now(), settled_at = now(), by = accept_absence.by
  where h.booking_id = booking.id and h.class = accept_absence.collection
    and h.released_at is null and h.dismissed_at is null;
  if cardinality(changes) > 0 then
    perform sync.write_decision(booking, 'absence_accepted', accept_absence.by, changes);
  end if;
  return cardinality(changes);
end;
$$;

comment on function public.accept_absence(bigint, text, text) is
  'A person says that what the source no longer lists of a collection (products, files, rig, event, rigdown) is gone: it goes out of force, and a hold on it is released. Returns how many rows.';

create function public.dismiss_absence(booking_id bigint, collection text, by text) returns bigint
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  booking public.bookings;
  changes sync.row_change[];
begin
  perform sync.check_decision(dismiss_absence.collection, dismiss_absence.by);
  booking := sync.lock_booking(dismiss_absence.booking_id);
  changes := array(select c from sync.clear_doubts(booking.id, dismiss_absence.collection) c);
  update sync.doubts d set dismissed_at = now(), dismissed_by = dismiss_absence.by
  where d.booking_id = booking.id and d.collection = dismiss_absence.collection and d.dismissed_at is null;
  update sync.held_changes h set dismissed_at = now(), settled_at = now(), by = dismiss_absence.by
  where h.booking_id = booking.id and h.class = dismiss_absence.collection
    and h.released_at is null and h.dismissed_at is null;
  if cardinality(changes) > 0 then
    perform sync.write_decision(booking, 'absence_dismissed', dismiss_absence.by, changes);
  end if;
  return cardinality(changes);
end;
$$;

comment on function public.dismiss_absence(bigint, text, text) is
  'A person says that what the source no longer lists of a collection stays: it is in force without a doubt, and asked again only after the source listed it once more. Returns how many rows.';

create function sync.clear_doubts(booking_id bigint, collection text) returns setof sync.row_change
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  doubted constant sync.absence[] := array(
    select a from sync.doubted_rows(clear_doubts.booking_id, clear_doubts.collection) a where a.doubted_since is not null);
begin
  update public.booking_dates d set source_doubted_since = null, updated_at = now()
  from unnest(doubted) m where m.table_name = 'booking_dates' and d.id = m.item_id;
  update public.booking_products p set source_doubted_since = null, updated_at = now()
  from unnest(doubted) m where m.table_name = 'booking_products' and p.id = m.item_id;
  update public.booking_attachments f set source_doubted_since = null, updated_at = now()
  from unnest(doubted) m where m.table_name = 'booking_attachments' and f.id = m.item_id;
  return query
    select m.booking_id, m.table_name, m.key, 'updated',
      jsonb_build_object('source_doubted_since', jsonb_build_array(m.doubted_since, null))
    from unnest(doubted) m;
end;
$$;

comment on function sync.clear_doubts(bigint, text) is 'Takes the mark of a doubt off the rows of a collection; returns the rows written.';

-- schemas/54_agreement.sql

-- A sender's word and the read must agree in the end. Sources lag behind their own webhooks: a delivery
-- says cancelled, confirmed or offer and the read says otherwise, an updated finds nothing new, a read of
-- Headout contradicts the event just received. Then what was read is not the last word. The booking is
-- read again after agreement_waits (10 s, 1 min, 5 min), until they agree:
--
--   a later word of the sender takes the place of the earlier one; an updated leaves a status word alone
--   only a read that began when it was due counts; any read that agrees ends the series
--   an updated that never shows a difference ends silently; the others end as disagrees, for a person
--
-- An event of Headout has changed its booking already. It stands against any read that begins within
-- event_stands_for; later until two single reads, contradictions_apart, contradict it. A page counts at
-- most as the first of the two. What stands is the status; the rest of such a read applies.

create function sync.word_status(source public.booking_source, word text) returns public.booking_status
language sql immutable parallel safe
set search_path = ''
as $$
  select case word_status.source
    when 'headout' then sync.headout_status(word_status.word)
    else case word_status.word when 'cancelled' then 'CANCELLED' when 'confirmed' then 'CONFIRMED'
      when 'offer' then 'OFFER' end::public.booking_status end
$$;

comment on function sync.word_status(public.booking_source, text) is
  'The status that a sender''s word is about; null if it is about none (updated, created).';

create function sync.weigh_event(
  planned sync.planned_snapshot, state sync.source_states, page sync.page, connection sync.connections
) returns sync.planned_snapshot
language plpgsql
set search_path = ''
as $$
declare
  stated constant text := planned.snapshot #>> '{booking,status}';
  counts constant boolean := planned.fetched_at >= state.last_event_at + connection.event_stands_for;
begin
  if stated is null or planned.is_new or planned.verdict not in ('apply', 'unchanged', 'revision') then
    return planned;
  end if;
  planned.contradicts := stated <> sync.headout_status(state.last_event_status)::text;
  planned.contradicted_at := case when planned.contradicts and counts
    then coalesce(state.contradicted_at, planned.fetched_at) end;
  planned.withstood := planned.contradicts and not coalesce(counts and page.run_id is null
    and planned.fetched_at >= state.contradicted_at + connection.contradictions_apart, false);
  -- An event that the brake holds, or that a read has outweighed, has no status in force to keep.
  if planned.withstood and planned.old_status = sync.headout_status(state.last_event_status) then
    planned := sync.keep_status(planned);
  end if;
  return planned;
end;
$$;

comment on function sync.weigh_event(sync.planned_snapshot, sync.source_states, sync.page, sync.connections) is
  'The same snapshot, without its status where the newest event of the booking stands against it.';

create type sync.heard_word as (
  booking_id bigint,
  word text,
  word_at timestamptz,
  delivery_id uuid,
  agrees boolean,
  decides boolean,
  read_at timestamptz
);

comment on type sync.heard_word is
  'A sender''s word beside what a read shows. agrees: the read bears it out; decides: nothing stands against the read any more.';

-- An updated says nothing new about a status, so that any word about one counts before it.
create function sync.newest_word(delivery sync.deliveries) returns sync.deliveries
language sql stable
set search_path = ''
as $$
  select e.* from sync.deliveries e
  where e.connection_id = delivery.connection_id and e.external_id = delivery.external_id
    and e.function = 'receive-booking' and e.event_type in ('cancelled', 'confirmed', 'offer', 'updated')
    and (e.id = delivery.id or e.status = 'pending' and e.seq <= coalesce(delivery.claimed_seq, delivery.seq))
  order by e.event_type = 'updated', e.seq desc limit 1
$$;

comment on function sync.newest_word(sync.deliveries) is
  'The delivery of EventFlow that has the last word among those that a read for a delivery covers; a row of nulls if none says anything of the kind.';

-- Without a new word the read is held against the one of the open series.
create function sync.hear_deliveries(page sync.page, plan sync.planned_snapshot[], changed_ids bigint[])
returns sync.heard_word[]
language plpgsql
set search_path = ''
as $$
begin
  return array(
    select row(h.booking_id, h.word, h.word_at, h.delivery_id,
      case when h.word = 'updated' then h.differs
        else h.stated = h.status or h.word = 'cancelled' and (h.stated = 'REJECTED' or h.gone)
          -- The statement has been heard: it waits for a person, or a person dropped it.
          or exists (select from sync.held_changes c where c.booking_id = h.booking_id and c.settled_at is null
            and (c.kind = h.status::text or h.word = 'cancelled' and c.kind = 'deleted')
            and c.by is distinct from 'system') end, true, h.fetched_at)::sync.heard_word
    from (
      select distinct on (p.booking_id) p.booking_id, p.fetched_at, n.word, n.word_at, n.delivery_id,
        sync.word_status(page.source, n.word) as status,
        coalesce((p.snapshot #>> '{booking,status}')::public.booking_status, b.status) as stated,
        coalesce(p.snapshot ? 'deleted', false) as gone,
        p.is_new is true or p.verdict = 'held' or p.verdict in ('apply', 'revision')
          and (p.newer is true or p.booking_id = any (changed_ids)) as differs
      from unnest(plan) p
      join public.bookings b on b.id = p.booking_id
      left join unnest(page.deliveries) d on d.external_id = p.external_id
      left join sync.disagreements g on g.booking_id = p.booking_id
        and (g.ended_at is null or g.outcome = 'disagrees')
      left join lateral sync.newest_word(d) w on d.id is not null
      cross join lateral (select w.id is null or w.event_type = 'updated' and g.ended_at is null and g.word <> 'updated' as kept) k
      cross join lateral (select
        case when k.kept then g.word else w.event_type end,
        case when k.kept then g.word_at else w.received_at end,
        case when k.kept then g.delivery_id else w.id end) n (word, word_at, delivery_id)
      where p.verdict <> 'invalid' and n.word is not null
      order by p.booking_id, p.verdict = 'stale', p.ord desc
    ) h);
end;
$$;

comment on function sync.hear_deliveries(sync.page, sync.planned_snapshot[], bigint[]) is
  'What EventFlow has said about the bookings of a page, each beside what the page shows.';

create function sync.hear_events(page sync.page, plan sync.planned_snapshot[]) returns sync.heard_word[]
language plpgsql
set search_path = ''
as $$
begin
  update sync.source_states s set contradicted_at = p.contradicted_at
  from unnest(plan) p
  where s.organization_id = page.organization_id and s.source = page.source and s.external_id = p.external_id
    and p.contradicts is not null and s.contradicted_at is distinct from p.contradicted_at;
  return array(
    select row(p.booking_id, s.last_event_status, s.last_event_at, e.id, not p.contradicts, not p.withstood,
      p.fetched_at)::sync.heard_word
    from unnest(plan) p
    join sync.source_states s on s.organization_id = page.organization_id and s.source = page.source
      and s.external_id = p.external_id
    join sync.connections c on c.organization_id = s.organization_id and c.source = s.source
    left join lateral (
      select d.id from sync.deliveries d
      where p.contradicts and d.connection_id = c.id and d.external_id = s.external_id
        and d.function = 'headout-webhook' and d.event_type = s.last_event_status
        and d.event_timestamp = s.last_event_timestamp and d.status <> 'duplicate'
      limit 1
    ) e on true
    where p.contradicts is not null and p.booking_id is not null);
end;
$$;

comment on function sync.hear_events(sync.page, sync.planned_snapshot[]) is
  'The newest event of Headout for each booking of a page, beside what the page shows; notes since when reads contradict it.';

-- A read that has outweighed an event of Headout starts nothing: it has been applied.
create function sync.start_series(page sync.page, words sync.heard_word[]) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  connection constant sync.connections := (select c from sync.connections c
    where c.organization_id = page.organization_id and c.source = page.source);
begin
  insert into sync.disagreements as g (booking_id, organization_id, word, word_at, delivery_id, due_at)
  select w.booking_id, page.organization_id, w.word, w.word_at, w.delivery_id, now() + connection.agreement_waits[1]
  from unnest(words) w
  where not w.agrees and not (w.decides and page.source = 'headout')
  on conflict (booking_id) do update set
    word = excluded.word, word_at = excluded.word_at, delivery_id = excluded.delivery_id,
    ended_at = null, outcome = null,
    started_at = case when g.ended_at is null and g.started_at > now() - connection.agreement_pause
      then g.started_at else now() end,
    reads = case when g.ended_at is null and g.started_at > now() - connection.agreement_pause then g.reads else 0 end,
    due_at = case when g.started_at <= now() - connection.agreement_pause then excluded.due_at
      when g.ended_at is null then g.due_at
      else greatest(excluded.due_at, g.started_at + connection.agreement_pause) end
  where g.word_at < excluded.word_at or g.ended_at is not null and page.source = 'headout';
end;
$$;

comment on function sync.start_series(sync.page, sync.heard_word[]) is
  'Begins a series of reads for each word that the read did not bear out; a later word takes the place of an earlier one. At most one series starts in agreement_pause.';

create function sync.hear_not_found(delivery sync.deliveries) returns void
language plpgsql
set search_path = ''
as $$
declare
  word constant sync.deliveries := sync.newest_word(delivery);
  page sync.page;
  booking public.bookings;
begin
  if word.event_type is null or word.event_type = 'updated' then
    return;
  end if;
  select b.* into booking
  from sync.connections c
  join public.bookings b on b.organization_id = c.organization_id and b.source = c.source
  where c.id = delivery.connection_id and b.external_id = delivery.external_id;
  if booking.id is null or booking.status = sync.word_status(booking.source, word.event_type) then
    return;
  end if;
  page.organization_id := booking.organization_id;
  page.source := booking.source;
  perform sync.start_series(page, array[
    row(booking.id, word.event_type, word.received_at, word.id, false, true, delivery.claimed_at)::sync.heard_word]);
  perform sync.note_unsettled(array[booking.id]);
  perform sync.schedule_confirms(array[booking.id], array[delivery.id]);
end;
$$;

comment on function sync.hear_not_found(sync.deliveries) is
  'A read that does not find the booking bears no word about its status out either.';

create function sync.count_reads(page sync.page, words sync.heard_word[]) returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  connection constant sync.connections := (select c from sync.connections c
    where c.organization_id = page.organization_id and c.source = page.source);
  waits constant interval[] := connection.agreement_waits;
begin
  update sync.disagreements g set
    reads = g.reads + 1,
    -- As long as an event stands, another read is needed: after the last wait once more.
    due_at = now() + waits[least(g.reads + 2, cardinality(waits))],
    ended_at = case when e.outcome is not null then now() end,
    outcome = e.outcome
  from unnest(words) w
  join sync.disagreements k on k.booking_id = w.booking_id
  cross join lateral (select case
    when page.source = 'headout' then case when w.decides
      -- An event that nothing contradicted at first has only been overtaken.
      then case when k.started_at < k.word_at + connection.event_stands_for then 'disagrees' else 'overruled' end end
    when k.reads + 1 >= cardinality(waits) then case when k.word = 'updated' then 'silent' else 'disagrees' end
  end) e (outcome)
  where g.booking_id = k.booking_id and not w.agrees and g.ended_at is null
    and (w.read_at >= g.due_at or page.source = 'headout' and w.decides);
end;
$$;

comment on function sync.count_reads(sync.page, sync.heard_word[]) is
  'Counts the single reads of a series that did not bear the word out. The last one ends it: for EventFlow after the last wait, for Headout once the reads outweigh the event.';

create function sync.report_disagreements(page sync.page, booking_ids bigint[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  with reported as (
    select g.*, b.status, jsonb_build_object('word', g.word, 'read', b.status, 'reads', g.reads + 1, 'since', g.word_at) as words
    from sync.disagreements g
    join public.bookings b on b.id = g.booking_id
    where g.booking_id = any (booking_ids) and g.outcome = 'disagrees' and g.ended_at = now()
  ), noted as (
    update sync.deliveries d set result = coalesce(d.result, '{}') || jsonb_build_object('disagrees', r.words)
    from reported r where d.id = r.delivery_id
  )
  insert into public.booking_history (organization_id, booking_id, actor, delivery_id, verdict, changes)
  select page.organization_id, r.booking_id, 'import', r.delivery_id, 'disagrees',
    jsonb_build_object('disagreements[' || sync.describe_instant(r.word_at) || '].word', jsonb_build_array(null, r.words))
  from reported r;
end;
$$;

comment on function sync.report_disagreements(sync.page, bigint[]) is
  'Tells people of the series that have just ended without agreement: in history, and in the result of the delivery that said it.';

create function sync.note_agreement(page sync.page, plan sync.planned_snapshot[], changes sync.row_change[]) returns void
language plpgsql
set search_path = ''
as $$
declare
  words constant sync.heard_word[] := case
    when page.source = 'headout' then sync.hear_events(page, plan)
    else sync.hear_deliveries(page, plan, array(select c.booking_id from unnest(changes) c)) end;
  booking_ids bigint[] := array(select p.booking_id from unnest(plan) p where p.unsettled
    union select w.booking_id from unnest(words) w where not w.agrees);
begin
  if cardinality(booking_ids) = 0 then
    return;
  end if;
  update sync.disagreements g set ended_at = now(), outcome = 'agreed'
  from unnest(words) w
  where w.agrees and g.booking_id = w.booking_id and (g.ended_at is null or g.outcome = 'disagrees');
  perform sync.start_series(page, words);
  if page.run_id is null then
    perform sync.count_reads(page, words);
  end if;
  perform sync.report_disagreements(page, booking_ids);
  perform from sync.review(booking_ids);
  perform sync.note_unsettled(booking_ids);
  booking_ids := array(select g.booking_id from sync.disagreements g
    where g.booking_id = any (booking_ids) and (g.ended_at is null or g.ended_at = now()));
  perform sync.schedule_confirms(booking_ids, array(select d.id from unnest(page.deliveries) d));
end;
$$;

comment on function sync.note_agreement(sync.page, sync.planned_snapshot[], sync.row_change[]) is
  'Holds what a page shows against what the senders have said, and starts, counts or ends the reads that look again (rule: a sender''s word and the read must agree in the end).';

-- schemas/60_project_events.sql

-- What the rules and the days of confirmed bookings call for in the calendar and the warehouse, and
-- how their stored rows follow. Both tables are derived alike; they differ in the name of the day and
-- in times_locked.
-- Rules: local times use the organization's zone; a person's work is never overwritten.

create type sync.desired_event as (
  organization_id uuid,
  booking_id bigint,
  kind text,
  day date,
  starts_at timestamptz,
  ends_at timestamptz,
  title text,
  delivery_address text,
  times_are_default boolean
);

comment on type sync.desired_event is 'A row that a confirmed booking calls for in the calendar or the warehouse.';

create type sync.stored_event as (
  row_id bigint,
  booking_id bigint,
  kind text,
  day date,
  starts_at timestamptz,
  ends_at timestamptz,
  derived_starts_at timestamptz,
  derived_ends_at timestamptz,
  title text,
  delivery_address text,
  has_source_changes boolean,
  active boolean,
  times_are_default boolean,
  day_dropped boolean,
  has_team boolean,
  adjusted boolean
);

comment on type sync.stored_event is
  'A derived row of calendar_events or warehouse_events. adjusted: a person decided its times; day_dropped: and the source has dropped its day since.';

create type sync.event_change as (
  wanted sync.desired_event,
  old sync.stored_event,
  new sync.stored_event
);

comment on type sync.event_change is
  'A row to write: new replaces old; without an old one, wanted is inserted.';

-- A start alone lasts as long as the rule says; so does one that equals its end. An end alone begins when
-- the rule says if that is earlier, else as long before as the rule lasts, also on the day before.
--
-- Takes wall-clock times and returns instants (rule: local times use the organization's zone).
-- Durations are wall clock too, and an end at or before its start is on the next day. Where the clocks
-- change and the end would come before the start, the duration that the wall clock shows is kept.
create function sync.desired_events(booking_ids bigint[], projection text)
returns setof sync.desired_event
language sql stable
set search_path = ''
as $$
  with days as (
    select d.booking_id, d.phase, d.day, d.start_time, d.end_time,
      row_number() over (partition by d.booking_id, d.phase order by d.day) as place,
      row_number() over (partition by d.booking_id, d.phase order by d.day desc) as place_from_end
    from public.booking_dates d
    where d.booking_id = any (desired_events.booking_ids) and d.source_missing_since is null
  ), local as (
    select b.organization_id, b.id as booking_id, r.kind, d.day, o.time_zone, b.delivery_address,
      sync.fill_title(case when b.rental_only then coalesce(r.rental_only_title_template, r.title_template)
        else r.title_template end, coalesce(nullif(btrim(b.title), ''), b.booking_number),
        coalesce(nullif(btrim(b.client_name), ''), case when b.source = 'eventflow' then 'Okänd kund' end), d.day::text) as title,
      t.is_default,
      case when t.start_time is null then d.day + r.day_offset + t.end_time - r.duration
        else d.day + r.day_offset + t.start_time end as starts,
      case when t.end_time is null then d.day + r.day_offset + t.start_time + r.duration
        when t.end_time <= t.start_time then d.day + r.day_offset + 1 + t.end_time
        else d.day + r.day_offset + t.end_time end as ends
    from public.bookings b
    join public.organizations o on o.id = b.organization_id
    join sync.effective_rules(desired_events.booking_ids, desired_events.projection) r
      on r.booking_organization_id = b.organization_id and r.booking_source = b.source
    join days d on d.booking_id = b.id and d.phase = r.anchor
      and case r.which when 'first' then d.place = 1 when 'last' then d.place_from_end = 1 else true end
    -- An end that is its start says nothing; from 24:00 to 00:00 is one moment, too.
    cross join lateral (select case when d.start_time = '24:00' and d.end_time = '00:00' then null
      else nullif(d.end_time, d.start_time) end) e (end_time)
    cross join lateral (
      -- The calendar shows the times of the booking; the warehouse works by the hours of the rule.
      select case when desired_events.projection <> 'calendar' then r.start_time
          when d.start_time is not null then d.start_time
          when d.end_time is null or r.start_time < d.end_time then r.start_time end,
        case when desired_events.projection = 'calendar' then e.end_time end,
        desired_events.projection = 'calendar' and (d.start_time is null or e.end_time is null)
    ) as t (start_time, end_time, is_default)
    where b.id = any (desired_events.booking_ids) and b.status = any (r.project_statuses)
  )
  select l.organization_id, l.booking_id, l.kind, l.day, l.starts at time zone l.time_zone,
    case when l.ends at time zone l.time_zone > l.starts at time zone l.time_zone
      then l.ends at time zone l.time_zone
      else l.starts at time zone l.time_zone + (l.ends - l.starts) end,
    case when l.title = '' then l.kind else l.title end, l.delivery_address, l.is_default
  from local l
$$;

comment on function sync.desired_events(bigint[], text) is
  'Every calendar or warehouse row that some bookings call for; none for a booking of which the status does not project.';

-- With as many old days as new ones, the n-th old day becomes the n-th new one. Otherwise rows keep
-- their day where they can, so that a list that flickers loses no team, and the n-th row that is left
-- takes the n-th day that is left. Old days are the active ones, or all of them if the booking comes
-- back and has no active ones. An inactive row on a day that another row takes moves to a freed day.
-- A row whose day was dropped takes no part until that day is listed again; then the day is its own.
create function sync.match_days(stored sync.stored_event[], desired sync.desired_event[])
returns table (row_id bigint, booking_id bigint, kind text, day date, wanted boolean)
language sql immutable
set search_path = ''
as $$
  with returned as materialized (
    select s.row_id, s.booking_id, s.kind, s.day
    from unnest(match_days.stored) s
    join unnest(match_days.desired) d on d.booking_id = s.booking_id and d.kind = s.kind and d.day = s.day
    where s.day_dropped
  ), new as materialized (
    select d.booking_id, d.kind, d.day from unnest(match_days.desired) d
    where (d.booking_id, d.kind, d.day) not in (select r.booking_id, r.kind, r.day from returned r)
  ), groups as (
    select g.booking_id, g.kind, sum(g.wanted) as wanted, sum(g.active) as active
    from (
      select n.booking_id, n.kind, 1 as wanted, 0 as active from new n
      union all
      select s.booking_id, s.kind, 0, s.active::integer from unnest(match_days.stored) s where not s.day_dropped
    ) g
    group by g.booking_id, g.kind
  ), old as materialized (
    select s.row_id, s.booking_id, s.kind, s.day, s.active or g.active = 0 as counts,
      g.wanted = g.active as shift
    from unnest(match_days.stored) s
    join groups g on g.booking_id = s.booking_id and g.kind = s.kind
    where g.wanted > 0 and not s.day_dropped
  ), exact as materialized (
    select o.row_id, o.booking_id, o.kind, o.day
    from old o join new n on n.booking_id = o.booking_id and n.kind = o.kind and n.day = o.day
    where not o.shift
  ), old_rest as (
    select o.*, row_number() over (partition by o.booking_id, o.kind order by o.day) as place
    from old o
    where o.counts and not exists (select from exact e where e.row_id = o.row_id)
  ), new_rest as (
    select n.*, row_number() over (partition by n.booking_id, n.kind order by n.day) as place
    from new n
    where not exists (select from exact e where e.booking_id = n.booking_id and e.kind = n.kind and e.day = n.day)
  ), moved as materialized (
    select o.row_id, n.booking_id, n.kind, n.day, o.day as old_day
    from new_rest n
    left join old_rest o on o.booking_id = n.booking_id and o.kind = n.kind and o.place = n.place
  ), displaced as (
    select o.row_id, o.booking_id, o.kind, row_number() over (partition by o.booking_id, o.kind order by o.day) as place
    from old o
    join moved m on m.booking_id = o.booking_id and m.kind = o.kind and m.day = o.day
    where not exists (select from exact e where e.row_id = o.row_id)
      and not exists (select from moved k where k.row_id = o.row_id)
  ), vacated as (
    select m.booking_id, m.kind, m.old_day as day, row_number() over (partition by m.booking_id, m.kind order by m.old_day) as place
    from moved m
    where m.old_day is not null
      and not exists (select from moved k where k.booking_id = m.booking_id and k.kind = m.kind and k.day = m.old_day)
  )
  select r.row_id, r.booking_id, r.kind, r.day, true from returned r
  union all
  select e.row_id, e.booking_id, e.kind, e.day, true from exact e
  union all
  select m.row_id, m.booking_id, m.kind, m.day, true from moved m
  union all
  select d.row_id, d.booking_id, d.kind, v.day, false
  from displaced d join vacated v on v.booking_id = d.booking_id and v.kind = d.kind and v.place = d.place
$$;

comment on function sync.match_days(sync.stored_event[], sync.desired_event[]) is
  'Pairs stored rows with desired days; row_id null: a new row; wanted false: an inactive row that only makes room.';

create function sync.stored_events(booking_ids bigint[], projection text) returns setof sync.stored_event
language sql stable
set search_path = ''
as $$
  select c.id, c.booking_id, c.event_type, c.day, c.starts_at, c.ends_at, c.derived_starts_at, c.derived_ends_at,
    c.title, c.delivery_address, c.has_source_changes, c.active, c.times_are_default, c.day_dropped, c.resource_id is not null,
    c.adjusted_at is not null or c.times_locked
      or (c.starts_at, c.ends_at) is distinct from (c.derived_starts_at, c.derived_ends_at)
  from public.calendar_events c
  where stored_events.projection = 'calendar' and c.booking_id = any (stored_events.booking_ids)
  union all
  select w.id, w.booking_id, w.event_type, w.basis_day, w.starts_at, w.ends_at, w.derived_starts_at, w.derived_ends_at,
    w.title, w.delivery_address, w.has_source_changes, w.active, false, w.day_dropped, false,
    w.adjusted_at is not null
      or (w.starts_at, w.ends_at) is distinct from (w.derived_starts_at, w.derived_ends_at)
  from public.warehouse_events w
  where stored_events.projection = 'warehouse' and w.booking_id = any (stored_events.booking_ids)
$$;

comment on function sync.stored_events(bigint[], text) is
  'The calendar or warehouse rows of some bookings. A row counts as adjusted if a person set or locked its times, or if it simply differs from what was derived.';

create function sync.is_day_dropped(booking_id bigint, phase text, day date) returns boolean
language sql stable
set search_path = ''
as $$
  select exists (
    select from public.bookings b
    join sync.connections c on c.organization_id = b.organization_id and c.source = b.source
    join public.booking_dates d on d.booking_id = b.id
    where b.id = is_day_dropped.booking_id and b.status = any (c.project_statuses) and d.day = is_day_dropped.day
      and (is_day_dropped.phase is null or d.phase::text = is_day_dropped.phase)
    having bool_and(d.source_missing_since is not null))
$$;

comment on function sync.is_day_dropped(bigint, text, date) is
  'Whether a booking that projects once had this day, in the phase if one is named, and its source has dropped it.';

-- A person's times stay. What the source says goes into derived_*, and a difference that the source
-- made shows as has_source_changes.
create function sync.plan_events(booking_ids bigint[], projection text) returns setof sync.event_change
language sql stable
set search_path = ''
as $$
  with desired as materialized (
    select d as wanted from sync.desired_events(plan_events.booking_ids, plan_events.projection) d
  ), stored as materialized (
    select s as old from sync.stored_events(plan_events.booking_ids, plan_events.projection) s
  ), matched as materialized (
    select m.* from sync.match_days(array(select s.old from stored s), array(select d.wanted from desired d)) m
  ), paired as materialized (
    select d.wanted, not (d.wanted is null) as active, s.old, coalesce(m.day, (s.old).day) as day
    from stored s
    full join matched m on m.row_id = (s.old).row_id
    left join desired d on m.wanted and (d.wanted).booking_id = m.booking_id
      and (d.wanted).kind = m.kind and (d.wanted).day = m.day
  ), judged as materialized (
    select p.*, case when not p.active and (p.old).active and (p.old).adjusted
      then sync.is_day_dropped((p.old).booking_id, case plan_events.projection when 'calendar' then (p.old).kind end, (p.old).day)
      else false end as dropped
    from paired p
  ), planned as materialized (
    select p.wanted, p.old, row(n.*)::sync.stored_event as new
    from judged p
    cross join lateral (
      select (p.old).row_id as row_id, (p.old).booking_id as booking_id, (p.old).kind as kind, p.day as day,
        case when p.active and not (p.old).adjusted then (p.wanted).starts_at else (p.old).starts_at end as starts_at,
        case when p.active and not (p.old).adjusted then (p.wanted).ends_at else (p.old).ends_at end as ends_at,
        coalesce((p.wanted).starts_at, (p.old).derived_starts_at) as derived_starts_at,
        coalesce((p.wanted).ends_at, (p.old).derived_ends_at) as derived_ends_at,
        coalesce((p.wanted).title, (p.old).title) as title,
        case when p.active then (p.wanted).delivery_address else (p.old).delivery_address end as delivery_address,
        case when p.active then (p.old).adjusted
            and ((p.old).starts_at, (p.old).ends_at) is distinct from ((p.wanted).starts_at, (p.wanted).ends_at)
            and ((p.old).has_source_changes and not (p.old).day_dropped or ((p.old).derived_starts_at, (p.old).derived_ends_at)
              is distinct from ((p.wanted).starts_at, (p.wanted).ends_at))
          else (p.old).has_source_changes or p.dropped end as has_source_changes,
        p.active or p.dropped as active,
        coalesce((p.wanted).times_are_default, (p.old).times_are_default) as times_are_default,
        p.dropped as day_dropped, (p.old).has_team as has_team, (p.old).adjusted as adjusted
    ) n
  )
  select p.wanted, p.old, p.new from planned p
  where p.old is null or p.new is distinct from p.old
$$;

comment on function sync.plan_events(bigint[], text) is
  'How the calendar or warehouse rows of some bookings must change to follow the bookings. Writes nothing.';

-- Existing rows move first: a new row may take the day of one that makes room.
create function sync.write_calendar_events(changes sync.event_change[], booking_ids bigint[]) returns void
language sql
set search_path = ''
as $$
  update public.calendar_events e set day = (c.new).day, starts_at = (c.new).starts_at, ends_at = (c.new).ends_at,
    derived_starts_at = (c.new).derived_starts_at, derived_ends_at = (c.new).derived_ends_at,
    title = (c.new).title, delivery_address = (c.new).delivery_address,
    has_source_changes = (c.new).has_source_changes, times_are_default = (c.new).times_are_default, day_dropped = (c.new).day_dropped,
    active = (c.new).active, updated_at = now()
  from unnest(changes) c
  where e.id = (c.old).row_id and e.booking_id = any (booking_ids);

  insert into public.calendar_events (organization_id, booking_id, event_type, day, starts_at, ends_at,
    derived_starts_at, derived_ends_at, title, delivery_address, times_are_default, resource_id)
  select (c.wanted).organization_id, (c.wanted).booking_id, (c.wanted).kind, (c.wanted).day,
    (c.wanted).starts_at, (c.wanted).ends_at, (c.wanted).starts_at, (c.wanted).ends_at,
    (c.wanted).title, (c.wanted).delivery_address, (c.wanted).times_are_default, (
      -- The team that all other days of the phase share.
      select case when count(*) = count(e.resource_id) and count(distinct e.resource_id) = 1
        then (array_agg(e.resource_id))[1] end
      from public.calendar_events e
      where e.booking_id = (c.wanted).booking_id and e.event_type = (c.wanted).kind and e.active)
  from unnest(changes) c
  where c.old is null
$$;

comment on function sync.write_calendar_events(sync.event_change[], bigint[]) is
  'Writes planned changes to calendar_events. A new day takes the team that all other days of its phase share.';

create function sync.write_warehouse_events(changes sync.event_change[], booking_ids bigint[]) returns void
language sql
set search_path = ''
as $$
  update public.warehouse_events e set basis_day = (c.new).day, starts_at = (c.new).starts_at, ends_at = (c.new).ends_at,
    derived_starts_at = (c.new).derived_starts_at, derived_ends_at = (c.new).derived_ends_at,
    title = (c.new).title, delivery_address = (c.new).delivery_address,
    has_source_changes = (c.new).has_source_changes, day_dropped = (c.new).day_dropped,
    active = (c.new).active, updated_at = now()
  from unnest(changes) c
  where e.id = (c.old).row_id and e.booking_id = any (booking_ids);

  insert into public.warehouse_events (organization_id, booking_id, event_type, basis_day, starts_at, ends_at,
    derived_starts_at, derived_ends_at, title, delivery_address)
  select (c.wanted).organization_id, (c.wanted).booking_id, (c.wanted).kind, (c.wanted).day,
    (c.wanted).starts_at, (c.wanted).ends_at, (c.wanted).starts_at, (c.wanted).ends_at,
    (c.wanted).title, (c.wanted).delivery_address
  from unnest(changes) c
  where c.old is null
$$;

comment on function sync.write_warehouse_events(sync.event_change[], bigint[]) is 'Writes planned changes to warehouse_events.';

create function sync.event_change_fields(change sync.event_change, projection text) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  select case
    when (change).old is null then jsonb_build_object('*', jsonb_build_array(null,
      to_jsonb((change).wanted) - array['organization_id', 'booking_id']))
    when projection = 'warehouse' and f.fields ? 'day'
      then f.fields - 'day' || jsonb_build_object('basis_day', f.fields -> 'day')
    else f.fields end
  from (select sync.changed_fields(to_jsonb((change).old), to_jsonb((change).new))) f (fields)
$$;

comment on function sync.event_change_fields(sync.event_change, text) is
  'The fields of a row_change for a calendar or warehouse row, under the names of its table.';

-- Row by row on purpose (lateral): for `= any` the planner expects to meet a row at once, and reads the
-- whole table when there is none, which is what a first import asks.
create function sync.has_events(booking_ids bigint[], projection text) returns boolean
language plpgsql stable
set search_path = ''
as $$
begin
  if projection = 'calendar' then
    return exists (select from unnest(booking_ids) b (id)
      cross join lateral (select from public.calendar_events c where c.booking_id = b.id limit 1) c);
  end if;
  return exists (select from unnest(booking_ids) b (id)
    cross join lateral (select from public.warehouse_events w where w.booking_id = b.id limit 1) w);
end;
$$;

comment on function sync.has_events(bigint[], text) is 'Whether any of some bookings has rows in the calendar or the warehouse.';

create function sync.project_events(booking_ids bigint[], projection text, detailed boolean)
returns setof sync.row_change
language plpgsql
set search_path = ''
as $$
declare
  changes sync.event_change[];
begin
  -- A first import has nothing to compare with.
  if sync.has_events(booking_ids, projection) then
    changes := array(select c from sync.plan_events(booking_ids, projection) c);
  else
    changes := array(select row(d, null, null)::sync.event_change from sync.desired_events(booking_ids, projection) d);
  end if;
  if projection = 'calendar' then
    perform sync.write_calendar_events(changes, booking_ids);
  else
    perform sync.write_warehouse_events(changes, booking_ids);
  end if;
  perform sync.review_events(changes);
  return query
    select coalesce((c.wanted).booking_id, (c.old).booking_id),
      projection || '_events',
      case when c.old is null then (c.wanted).kind || ' ' || (c.wanted).day else (c.old).kind || ' ' || (c.old).day end,
      case when c.old is null then 'created' else 'updated' end,
      case when detailed then sync.event_change_fields(row(c.*)::sync.event_change, projection) end
    from unnest(changes) c;
end;
$$;

comment on function sync.project_events(bigint[], text, boolean) is
  'Writes the calendar or the warehouse rows of some bookings; returns what it wrote, with fields if detailed.';

-- schemas/61_project_packing.sql

-- Packing projects, their tasks and their items, derived from bookings.
-- Once a project is frozen, people rely on its list: changes to its items become requests that a person
-- decides. A project that this call creates is filled normally. Manual items are never touched.
-- Rules: a person's work is never overwritten. The 14-day rule stands in sync.packing_states.

create function sync.wanted_packing_projects(booking_ids bigint[])
returns table (
  organization_id uuid, booking_id bigint, name text, client_name text, starts_on date, ends_on date,
  delivery_address text, notes text
)
language sql stable
set search_path = ''
as $$
  select b.organization_id, b.id,
    coalesce(nullif(sync.fill_title(r.title_template, b.title, b.client_name,
      coalesce(d.first_event, d.first_day)::text), ''), b.booking_number, b.external_id),
    b.client_name, coalesce(d.first_rig, d.first_day), coalesce(d.last_rigdown, d.last_day),
    b.delivery_address, b.source_notes
  from public.bookings b
  join sync.effective_rules(wanted_packing_projects.booking_ids, 'packing_project') r
    on r.booking_organization_id = b.organization_id and r.booking_source = b.source
  left join (
    select k.booking_id, min(k.day) as first_day, max(k.day) as last_day,
      min(k.day) filter (where k.phase = 'rig') as first_rig,
      min(k.day) filter (where k.phase = 'event') as first_event,
      max(k.day) filter (where k.phase = 'rigdown') as last_rigdown
    from public.booking_dates k
    where k.booking_id = any (wanted_packing_projects.booking_ids) and k.source_missing_since is null
    group by k.booking_id
  ) d on d.booking_id = b.id
  where b.id = any (wanted_packing_projects.booking_ids) and b.status = any (r.project_statuses)
$$;

comment on function sync.wanted_packing_projects(bigint[]) is
  'The packing projects that some bookings call for; none for a booking of which the status does not project.';

-- known_project_ids: the projects that these bookings have already.
create function sync.write_packing_projects(booking_ids bigint[], known_project_ids bigint[], detailed boolean)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with stored as materialized (
    select p as old from public.packing_projects p where p.id = any (write_packing_projects.known_project_ids)
  ), wanted as materialized (
    select w.*, s.old, jsonb_populate_record(s.old, jsonb_build_object('name', w.name,
      'client_name', w.client_name, 'starts_on', w.starts_on, 'ends_on', w.ends_on,
      'delivery_address', w.delivery_address, 'notes', w.notes, 'active', true)) as new
    from sync.wanted_packing_projects(write_packing_projects.booking_ids) w
    left join stored s on (s.old).booking_id = w.booking_id
  ), inserted as (
    insert into public.packing_projects
      (organization_id, booking_id, name, client_name, starts_on, ends_on, delivery_address, notes)
    select w.organization_id, w.booking_id, w.name, w.client_name, w.starts_on, w.ends_on, w.delivery_address, w.notes
    from wanted w
    where w.old is null
  ), updated as (
    update public.packing_projects p set name = w.name, client_name = w.client_name, starts_on = w.starts_on,
      ends_on = w.ends_on, delivery_address = w.delivery_address, notes = w.notes, active = true, updated_at = now()
    from wanted w
    where p.id = (w.old).id and p.id = any (write_packing_projects.known_project_ids) and w.new is distinct from w.old
  ), deactivated as (
    update public.packing_projects p set active = false, updated_at = now()
    where p.id = any (write_packing_projects.known_project_ids) and p.active
      and not exists (select from wanted w where w.booking_id = p.booking_id)
    returning p.booking_id, p.name
  )
  select w.booking_id, 'packing_projects', w.name, case when w.old is null then 'created' else 'updated' end,
    case when not detailed then null
      when w.old is null then jsonb_build_object('*', jsonb_build_array(null,
        jsonb_build_object('name', w.name, 'starts_on', w.starts_on, 'ends_on', w.ends_on)))
      else sync.changed_fields(to_jsonb(w.old), to_jsonb(w.new)) end
  from wanted w
  where w.old is null or w.new is distinct from w.old
  union all
  select d.booking_id, 'packing_projects', d.name, 'updated',
    case when detailed then '{"active": [true, false]}'::jsonb end
  from deactivated d
$$;

comment on function sync.write_packing_projects(bigint[], bigint[], boolean) is
  'Inserts, updates and deactivates the packing projects of some bookings.';

-- A task follows the days of its phase until a person completes it or sets another due date.
create function sync.wanted_packing_tasks(booking_ids bigint[])
returns table (
  packing_project_id bigint, organization_id uuid, booking_id bigint, kind text, title text, sort_order integer, due_on date
)
language sql stable
set search_path = ''
as $$
  select p.id, p.organization_id, p.booking_id, r.kind, r.title_template, r.sort_order,
    case r.which when 'last' then d.last_day else d.first_day end + r.day_offset
  from public.packing_projects p
  join public.bookings b on b.id = p.booking_id
  join sync.effective_rules(wanted_packing_tasks.booking_ids, 'packing_task') r
    on r.booking_organization_id = b.organization_id and r.booking_source = b.source
  left join (
    select k.booking_id, k.phase, min(k.day) as first_day, max(k.day) as last_day
    from public.booking_dates k
    where k.booking_id = any (wanted_packing_tasks.booking_ids) and k.source_missing_since is null
    group by k.booking_id, k.phase
  ) d on d.booking_id = p.booking_id and d.phase = r.anchor
  where p.booking_id = any (wanted_packing_tasks.booking_ids) and b.id = any (wanted_packing_tasks.booking_ids) and p.active
$$;

comment on function sync.wanted_packing_tasks(bigint[]) is 'The tasks that the active packing projects of some bookings call for.';

create function sync.write_packing_tasks(booking_ids bigint[], project_ids bigint[], detailed boolean)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with stored as materialized (
    select t as old from public.packing_tasks t where t.packing_project_id = any (write_packing_tasks.project_ids)
  ), wanted as materialized (
    select w.packing_project_id, w.organization_id, w.booking_id, w.kind, w.title, w.sort_order, s.old,
      w.due_on as derived_due_on,
      -- A person's date stays: the task is done, its date was set, or it simply differs from ours.
      case when (s.old).completed_at is not null or (s.old).adjusted_at is not null
          or (s.old).due_on is distinct from (s.old).derived_due_on then (s.old).due_on
        else w.due_on end as due_on
    from sync.wanted_packing_tasks(write_packing_tasks.booking_ids) w
    left join stored s on (s.old).packing_project_id = w.packing_project_id and (s.old).kind = w.kind
  ), changed as materialized (
    select w.* from wanted w
    where not (w.old is null) and ((w.old).title, (w.old).sort_order, (w.old).due_on, (w.old).derived_due_on)
      is distinct from (w.title, w.sort_order, w.due_on, w.derived_due_on)
  ), inserted as (
    insert into public.packing_tasks (organization_id, packing_project_id, kind, title, due_on, derived_due_on, sort_order)
    select w.organization_id, w.packing_project_id, w.kind, w.title, w.due_on, w.derived_due_on, w.sort_order
    from wanted w
    where w.old is null
  ), updated as (
    update public.packing_tasks t set title = c.title, sort_order = c.sort_order, due_on = c.due_on,
      derived_due_on = c.derived_due_on, updated_at = now()
    from changed c
    where t.id = (c.old).id and t.packing_project_id = any (write_packing_tasks.project_ids)
  )
  select w.booking_id, 'packing_tasks', w.kind, 'created', case when detailed then jsonb_build_object('*',
    jsonb_build_array(null, jsonb_build_object('title', w.title, 'due_on', w.due_on))) end
  from wanted w
  where w.old is null
  union all
  select c.booking_id, 'packing_tasks', c.kind, 'updated', case when detailed then jsonb_build_object(
    'derived_due_on', jsonb_build_array((c.old).derived_due_on, c.derived_due_on),
    'due_on', jsonb_build_array((c.old).due_on, c.due_on)) end
  from changed c
$$;

comment on function sync.write_packing_tasks(bigint[], bigint[], boolean) is
  'Inserts and updates the tasks of some bookings'' packing projects.';

create function sync.packed_quantities(booking_ids bigint[])
returns table (booking_id bigint, product_id bigint, quantity numeric)
language sql stable
set search_path = ''
as $$
  with recursive products as materialized (
    -- A package that the source no longer lists multiplies nothing.
    select p.id, p.booking_id, p.parent_id, p.quantity, p.is_package_component
    from public.booking_products p
    where p.booking_id = any (packed_quantities.booking_ids) and p.source_missing_since is null
  ), pieces as (
    -- From the rows that are no component of a listed row down through the components, level by level.
    select p.id, p.quantity from products p
    where not p.is_package_component or not exists (select from products q where q.id = p.parent_id)
    union all
    -- A refund or a discount is packed by nobody, and neither is a part of one, whatever the signs make.
    select c.id, case when c.quantity > 0 and p.quantity > 0 then c.quantity * p.quantity else 0 end
    from pieces p
    join products c on c.parent_id = p.id and c.is_package_component
  )
  -- A package with components is not packed itself; its components are, times its quantity. Only
  -- components multiply. Rows that are each other's parents keep their own quantity.
  select p.booking_id, p.id, coalesce(n.quantity, p.quantity)
  from products p
  left join pieces n on n.id = p.id
  where not exists (
    select from products c where c.parent_id = p.id and c.id <> p.id and c.is_package_component)
    and coalesce(n.quantity, p.quantity) > 0
$$;

comment on function sync.packed_quantities(bigint[]) is 'What is to be packed for some bookings: pieces per product row, more than none (incident: component quantities not multiplied).';

create type sync.packing_state as (
  packing_project_id bigint,
  organization_id uuid,
  booking_id bigint,
  short_notice boolean,
  frozen boolean
);

comment on type sync.packing_state is
  'An active packing project. short_notice: it starts in less than 14 days. frozen: people rely on its list.';

create function sync.packing_states(project_ids bigint[], new_project_ids bigint[]) returns setof sync.packing_state
language sql stable
set search_path = ''
as $$
  with started as materialized (
    select distinct i.packing_project_id from public.packing_items i
    where i.packing_project_id = any (packing_states.project_ids) and (i.quantity_packed > 0 or i.packed_at is not null)
  )
  select p.id, p.organization_id, p.booking_id, n.short_notice,
    p.id <> all (packing_states.new_project_ids) and (p.status <> 'planning' or n.short_notice
      or exists (select from started s where s.packing_project_id = p.id))
  from public.packing_projects p
  join public.organizations o on o.id = p.organization_id
  cross join lateral (
    select coalesce(p.starts_on - (now() at time zone o.time_zone)::date < 14, false)
  ) n (short_notice)
  where p.id = any (packing_states.project_ids) and p.active
$$;

comment on function sync.packing_states(bigint[], bigint[]) is
  'The active ones of some packing projects. A project is frozen if its status is not planning, if anything was packed, or if it starts in less than 14 days; never in the call that creates it (new_project_ids).';

create type sync.packing_difference as (
  packing_project_id bigint,
  organization_id uuid,
  booking_id bigint,
  booking_product_id bigint,
  packing_item_id bigint,
  change_type text,
  old_quantity numeric,
  new_quantity numeric,
  frozen boolean,
  short_notice boolean
);

comment on type sync.packing_difference is
  'What the booking packs and the list does not say yet. old_quantity null: not on the list; new_quantity null: no longer packed.';

create function sync.packing_differences(booking_ids bigint[], project_ids bigint[], new_project_ids bigint[])
returns setof sync.packing_difference
language sql stable
set search_path = ''
as $$
  with projects as materialized (
    select s.* from sync.packing_states(packing_differences.project_ids, packing_differences.new_project_ids) s
  ), stored as materialized (
    select i.id, i.packing_project_id, i.booking_product_id, i.active, i.quantity_to_pack
    from projects p
    join public.packing_items i on i.packing_project_id = p.packing_project_id
    where i.packing_project_id = any (packing_differences.project_ids) and i.booking_product_id is not null
  ), wanted as materialized (
    select p.packing_project_id, q.product_id, q.quantity
    from projects p
    join sync.packed_quantities(packing_differences.booking_ids) q on q.booking_id = p.booking_id
  )
  select p.packing_project_id, p.organization_id, p.booking_id, coalesce(w.product_id, s.booking_product_id), s.id,
    case when s.id is null or not s.active and w.product_id is not null then 'item_added'
      when w.product_id is null then 'item_removed' else 'quantity_changed' end,
    case when s.active then s.quantity_to_pack end, w.quantity, p.frozen, p.short_notice
  from wanted w
  full join stored s on s.packing_project_id = w.packing_project_id and s.booking_product_id = w.product_id
  join projects p on p.packing_project_id = coalesce(w.packing_project_id, s.packing_project_id)
  where s.id is null
    or s.active is distinct from (w.product_id is not null)
    or s.active and s.quantity_to_pack is distinct from w.quantity
$$;

comment on function sync.packing_differences(bigint[], bigint[], bigint[]) is
  'Compares the items of packing projects with what their bookings pack. Writes nothing.';

create function sync.write_packing_items(differences sync.packing_difference[], project_ids bigint[], detailed boolean)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with inserted as (
    insert into public.packing_items (organization_id, packing_project_id, booking_product_id, quantity_to_pack)
    select d.organization_id, d.packing_project_id, d.booking_product_id, d.new_quantity
    from unnest(differences) d
    where not d.frozen and d.packing_item_id is null
  ), updated as (
    update public.packing_items i set active = d.new_quantity is not null,
      quantity_to_pack = coalesce(d.new_quantity, i.quantity_to_pack), updated_at = now()
    from unnest(differences) d
    where not d.frozen and i.id = d.packing_item_id and i.packing_project_id = any (project_ids)
  )
  select d.booking_id, 'packing_items', d.booking_product_id::text,
    case when d.packing_item_id is null then 'created' else 'updated' end,
    case when detailed then jsonb_build_object('quantity_to_pack', jsonb_build_array(d.old_quantity, d.new_quantity)) end
  from unnest(differences) d
  where not d.frozen
$$;

comment on function sync.write_packing_items(sync.packing_difference[], bigint[], boolean) is
  'Makes the lists of projects that are not frozen follow their bookings. An item that is no longer packed becomes inactive.';

-- A person's no stands: a dismissed request does not come back for the same quantity.
create function sync.undecided_differences(differences sync.packing_difference[], project_ids bigint[])
returns setof sync.packing_difference
language sql stable
set search_path = ''
as $$
  select d.* from unnest(differences) d
  where d.frozen and not exists (
    select from public.packing_change_requests r
    where r.packing_project_id = any (project_ids) and r.packing_project_id = d.packing_project_id
      and r.booking_product_id = d.booking_product_id and r.change_type = d.change_type
      and r.status = 'dismissed' and r.resolved_by is distinct from 'system'
      and r.new_quantity is not distinct from d.new_quantity)
$$;

comment on function sync.undecided_differences(sync.packing_difference[], bigint[]) is
  'The differences of frozen projects that a person has yet to decide.';

create function sync.request_packing_changes(undecided sync.packing_difference[], project_ids bigint[], detailed boolean)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with asked as materialized (
    select d.*, r.id as pending_id, case when d.short_notice then 'short_notice' else 'normal' end as urgency
    from unnest(undecided) d
    left join public.packing_change_requests r on r.packing_project_id = any (project_ids)
      and r.packing_project_id = d.packing_project_id and r.booking_product_id = d.booking_product_id
      and r.change_type = d.change_type and r.status = 'pending'
    where r.id is null or r.new_quantity is distinct from d.new_quantity
  ), inserted as (
    insert into public.packing_change_requests (organization_id, packing_project_id,
      booking_product_id, change_type, old_quantity, new_quantity, urgency)
    select a.organization_id, a.packing_project_id, a.booking_product_id, a.change_type, a.old_quantity, a.new_quantity, a.urgency
    from asked a
    where a.pending_id is null
  ), updated as (
    update public.packing_change_requests r set old_quantity = a.old_quantity, new_quantity = a.new_quantity,
      urgency = a.urgency, updated_at = now()
    from asked a
    where r.id = a.pending_id and r.packing_project_id = any (project_ids)
  )
  select a.booking_id, 'packing_change_requests', a.booking_product_id || ' ' || a.change_type,
    case when a.pending_id is null then 'created' else 'updated' end,
    case when detailed then jsonb_build_object('quantity', jsonb_build_array(a.old_quantity, a.new_quantity)) end
  from asked a
$$;

comment on function sync.request_packing_changes(sync.packing_difference[], bigint[], boolean) is
  'Asks people about undecided differences. A pending request is brought up to date instead of repeated.';

create function sync.withdraw_packing_requests(undecided sync.packing_difference[], project_ids bigint[], detailed boolean)
returns setof sync.row_change
language sql
set search_path = ''
as $$
  with withdrawn as (
    update public.packing_change_requests r set status = 'dismissed', resolved_at = now(),
      resolved_by = 'system', updated_at = now()
    from public.packing_projects p
    where p.id = r.packing_project_id and p.active and p.id = any (project_ids)
      and r.packing_project_id = any (project_ids) and r.status = 'pending'
      and not exists (
        select from unnest(undecided) d
        where d.packing_project_id = r.packing_project_id
          and d.booking_product_id = r.booking_product_id and d.change_type = r.change_type)
    returning p.booking_id, r.booking_product_id, r.change_type
  )
  select w.booking_id, 'packing_change_requests', w.booking_product_id || ' ' || w.change_type, 'updated',
    case when detailed then '{"status": ["pending", "dismissed"]}'::jsonb end
  from withdrawn w
$$;

comment on function sync.withdraw_packing_requests(sync.packing_difference[], bigint[], boolean) is
  'Dismisses, in the name of the system, the pending requests whose cause is gone.';

create function sync.review_packing(project_ids bigint[]) returns void
language sql
set search_path = ''
as $$
  with reasons as (
    select p.id, case count(r.id) when 0 then null
      when 1 then '1 change of the booking waits for a decision'
      else count(r.id) || ' changes of the booking wait for a decision' end as reason
    from public.packing_projects p
    left join (
      select q.id, q.packing_project_id from public.packing_change_requests q
      where q.packing_project_id = any (review_packing.project_ids) and q.status = 'pending'
    ) r on r.packing_project_id = p.id
    where p.id = any (review_packing.project_ids)
    group by p.id
  )
  update public.packing_projects p
  set needs_review = n.reason is not null, review_reason = n.reason, updated_at = now()
  from reasons n
  where p.id = n.id and p.id = any (review_packing.project_ids)
    and p.review_reason is distinct from n.reason
$$;

comment on function sync.review_packing(bigint[]) is 'Marks each packing project that has changes waiting for a person, and says how many.';

create function sync.project_packing(booking_ids bigint[], detailed boolean) returns setof sync.row_change
language plpgsql
set search_path = ''
as $$
declare
  known_ids constant bigint[] := array(select p.id from public.packing_projects p where p.booking_id = any (booking_ids));
  project_ids bigint[];
  new_ids bigint[];
  differences sync.packing_difference[];
  undecided sync.packing_difference[];
begin
  return query select * from sync.write_packing_projects(booking_ids, known_ids, detailed);
  project_ids := array(select p.id from public.packing_projects p where p.booking_id = any (booking_ids));
  new_ids := array(select n.id from unnest(project_ids) n (id) where n.id <> all (known_ids));

  return query select * from sync.write_packing_tasks(booking_ids, project_ids, detailed);

  differences := array(select d from sync.packing_differences(booking_ids, project_ids, new_ids) d);
  return query select * from sync.write_packing_items(differences, project_ids, detailed);
  if cardinality(known_ids) > 0 then
    undecided := array(select d from sync.undecided_differences(differences, project_ids) d);
    return query select * from sync.request_packing_changes(undecided, project_ids, detailed);
    return query select * from sync.withdraw_packing_requests(undecided, project_ids, detailed);
    perform sync.review_packing(known_ids);
  end if;
end;
$$;

comment on function sync.project_packing(bigint[], boolean) is
  'Derives the packing rows of some bookings: projects, tasks, and items or requests to change them.';

-- schemas/62_project.sql

-- Everything that stored bookings drive, in one call: calendar, warehouse, packing.

-- event_ids: bookings whose own row or days may have changed. packing_ids: bookings of which anything
-- may have. A page in which only quantities changed reads no calendar.
create function sync.project(event_ids bigint[], packing_ids bigint[], detailed boolean)
returns setof sync.row_change
language plpgsql
set search_path = ''
as $$
begin
  if cardinality(event_ids) > 0 then
    return query select * from sync.project_events(event_ids, 'calendar', detailed);
    return query select * from sync.project_events(event_ids, 'warehouse', detailed);
  end if;
  if cardinality(packing_ids) > 0 then
    return query select * from sync.project_packing(packing_ids, detailed);
  end if;
end;
$$;

comment on function sync.project(bigint[], bigint[], boolean) is
  'Derives the calendar and warehouse rows of some bookings and the packing rows of others.';

create function public.project_bookings(booking_ids bigint[], detailed boolean default false)
returns table (booking_id bigint, table_name text, key text, operation text, fields jsonb)
language plpgsql
set search_path = ''
-- As in apply_snapshots: join in memory, whatever the statistics say.
set enable_nestloop = off
set jit = off
as $$
#variable_conflict use_column
begin
  -- One projection of a booking at a time, even while an operator projects after changing a rule.
  perform from public.bookings b where b.id = any (project_bookings.booking_ids) order by b.id for no key update;
  return query select * from sync.project(coalesce(project_bookings.booking_ids, '{}'),
    coalesce(project_bookings.booking_ids, '{}'), project_bookings.detailed);
  return query select * from sync.review(coalesce(project_bookings.booking_ids, '{}'));
end;
$$;

comment on function public.project_bookings(bigint[], boolean) is
  'Derives the calendar, warehouse and packing rows of stored bookings by sync.projection_rules, and what a person should review. Writes only what differs. Only CONFIRMED bookings have active rows. Returns one row_change per row written, with its fields if detailed.';

-- schemas/63_review.sql

-- People are told: bookings.review_reasons says what a person should look at.
--
--   held                a change, a deletion or an absence waits for a person
--   disagreeing         the sender said something that no read bears out
--   emptied             a list of a confirmed booking came back empty
--   locked_row_dropped  a row whose times a person decided lost its day
--   cancelled           it left CONFIRMED with something packed, or within two weeks of its first day
--   moved_under_team    a calendar row with a team has moved to another day
--
-- All but the last follow from what is stored and go with it. A person takes reasons away (80); one
-- comes back only with a new cause. Nothing here runs for a page in which nothing of the kind happened.

-- A cause names instants by their epoch, so that it reads the same in every session (time zone, date style).
create function sync.current_causes(booking_ids bigint[])
returns table (booking_id bigint, reason text, cause text)
language sql stable
set search_path = ''
as $$
  select h.booking_id, 'held', 'hold ' || h.id
  from sync.held_changes h
  where h.booking_id = any (current_causes.booking_ids) and h.released_at is null and h.dismissed_at is null
  union all
  select g.booking_id, 'disagreeing', g.word || ' ' || extract(epoch from g.word_at)
  from sync.disagreements g
  where g.booking_id = any (current_causes.booking_ids) and g.outcome = 'disagrees'
  union all
  select d.booking_id, 'emptied', d.collection || ' ' || extract(epoch from min(d.first_seen_at))
  from sync.doubts d
  join public.bookings b on b.id = d.booking_id and b.status = 'CONFIRMED'
  where d.booking_id = any (current_causes.booking_ids) and d.emptied and d.dismissed_at is null
  group by d.booking_id, d.collection
  union all
  select c.booking_id, 'locked_row_dropped', 'calendar ' || c.id || ' ' || c.day
  from public.calendar_events c
  where c.booking_id = any (current_causes.booking_ids) and c.day_dropped
  union all
  select w.booking_id, 'locked_row_dropped', 'warehouse ' || w.id || ' ' || w.basis_day
  from public.warehouse_events w
  where w.booking_id = any (current_causes.booking_ids) and w.day_dropped
  union all
  select b.id, 'cancelled', b.status || ' ' || extract(epoch from b.status_changed_at)
  from public.bookings b
  join public.organizations o on o.id = b.organization_id
  where b.id = any (current_causes.booking_ids) and b.status in ('CANCELLED', 'REJECTED')
    and (exists (
        select from public.packing_projects p
        join public.packing_items i on i.packing_project_id = p.id
        where p.booking_id = b.id and i.quantity_packed > coalesce(i.quantity_returned, 0))
      -- Only a booking that was confirmed has rows in the calendar.
      or exists (
        select from public.calendar_events c where c.booking_id = b.id
        having min(c.day) between (b.status_changed_at at time zone o.time_zone)::date
          and (b.status_changed_at at time zone o.time_zone)::date + 14))
$$;

comment on function sync.current_causes(bigint[]) is
  'Why some bookings are to be reviewed, as far as it follows from what is stored.';

create function sync.review(booking_ids bigint[]) returns setof sync.row_change
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  if cardinality(review.booking_ids) = 0 then
    return;
  end if;
  with current as materialized (
    select c.* from sync.current_causes(review.booking_ids) c
  ), over as (
    delete from sync.review_causes r
    where r.booking_id = any (review.booking_ids) and r.reason <> 'moved_under_team'
      and not exists (select from current c
        where c.booking_id = r.booking_id and c.reason = r.reason and c.cause = r.cause)
  )
  insert into sync.review_causes (booking_id, organization_id, reason, cause)
  select c.booking_id, b.organization_id, c.reason, c.cause
  from current c
  join public.bookings b on b.id = c.booking_id
  on conflict on constraint review_causes_pkey do nothing;

  return query
  with due as materialized (
    select b.id, b.organization_id, b.external_id, b.review_reasons as old, coalesce((
      select array_agg(distinct r.reason order by r.reason) from sync.review_causes r
      where r.booking_id = b.id and r.acknowledged_at is null), '{}') as new
    from public.bookings b
    where b.id = any (review.booking_ids)
  ), updated as (
    update public.bookings b set review_reasons = d.new, updated_at = now()
    from due d where b.id = d.id and d.old <> d.new
  ), noted as (
    insert into public.booking_history (organization_id, booking_id, actor, verdict, changes)
    select d.organization_id, d.id, 'import', 'review', jsonb_build_object('bookings.review_reasons', jsonb_build_array(d.old, d.new))
    from due d where d.old <> d.new
  )
  select d.id, 'bookings', d.external_id, 'updated', jsonb_build_object('review_reasons', jsonb_build_array(d.old, d.new))
  from due d where d.old <> d.new;
end;
$$;

comment on function sync.review(bigint[]) is
  'Brings review_reasons of some bookings up to date, with their history; returns the bookings that changed.';

create function sync.note_moved_teams(changes sync.event_change[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into sync.review_causes (booking_id, organization_id, reason, cause)
  select (c.old).booking_id, (c.wanted).organization_id, 'moved_under_team',
    (c.old).row_id || ' ' || (c.old).day || ' to ' || (c.new).day
  from unnest(changes) c
  where (c.old).has_team and (c.old).active and (c.new).active and (c.old).day <> (c.new).day
  on conflict on constraint review_causes_pkey do nothing;
end;
$$;

comment on function sync.note_moved_teams(sync.event_change[]) is 'Notes the calendar rows that move to another day under the team that a planner gave them.';

create function sync.review_events(changes sync.event_change[]) returns void
language plpgsql
set search_path = ''
as $$
declare
  booking_ids constant bigint[] := array(
    select distinct (c.old).booking_id from unnest(changes) c
    where not (c.old is null) and ((c.old).active <> (c.new).active or (c.old).day_dropped <> (c.new).day_dropped
      or (c.old).has_team and (c.old).active and (c.old).day <> (c.new).day));
begin
  if cardinality(booking_ids) > 0 then
    perform sync.note_moved_teams(changes);
    perform from sync.review(booking_ids);
  end if;
end;
$$;

comment on function sync.review_events(sync.event_change[]) is
  'Reviews the bookings whose calendar or warehouse rows came, went, lost their day, or moved under a team.';

-- schemas/70_runs.sql

-- Runs over a source: how one begins, saves how far it got, ends, and is resumed by another worker.
-- Rules: work is bounded and resumes; one booking stops nothing; the cursor moves only past what is
-- applied; pausing costs nothing.

create function sync.is_at_work(run sync.runs) returns boolean
language sql stable
set search_path = ''
as $$
  select run.status = 'running' and run.heartbeat_at > now() - interval '60 seconds'
$$;

comment on function sync.is_at_work(sync.runs) is
  'Whether a worker has the run: it is running and gave a sign of life within 60 s. A run of a dead worker is free.';

-- A worker that is writing a page has its run locked and may then need the connection, which the caller
-- holds. So this does not wait for it: a locked run is at work.
create function sync.take_open_run(organization_id uuid, source public.booking_source, mode text) returns sync.runs
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  run sync.runs;
begin
  select * into run from sync.runs r
  where r.organization_id = take_open_run.organization_id and r.source = take_open_run.source
    and r.mode = take_open_run.mode and r.status in ('running', 'stopped')
  for update skip locked;
  if run.id is not null and not sync.is_at_work(run) then
    update sync.runs r set status = 'running', lease_token = gen_random_uuid(), heartbeat_at = clock_timestamp()
    where r.id = run.id returning * into run;
    return run;
  end if;

  select * into run from sync.runs r
  where r.organization_id = take_open_run.organization_id and r.source = take_open_run.source
    and r.mode = take_open_run.mode and r.status in ('running', 'stopped');
  run.lease_token := null;
  return run;
end;
$$;

comment on function sync.take_open_run(uuid, public.booking_source, text) is
  'The open run of a kind, leased to the caller if no worker has it, else without lease_token; nulls if no run of the kind is open.';

create type sync.opened_run as (
  run_id uuid,
  outcome text,
  lease_token uuid,
  checkpoint jsonb,
  counters jsonb,
  parameters jsonb,
  cursor timestamptz,
  started_at timestamptz
);

comment on type sync.opened_run is 'A run as begin_run hands it to a worker; lease_token only if the worker has it now.';

create function sync.open_run(
  organization_id uuid, source public.booking_source, mode text, parameters jsonb
) returns sync.opened_run
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  connection sync.connections;
  run sync.runs;
  opened sync.opened_run;
begin
  -- Locked: of two starts at the same moment one begins, and the other finds its run.
  select * into connection from sync.connections c
  where c.organization_id = open_run.organization_id and c.source = open_run.source for no key update;
  opened.outcome := case when connection.id is null then 'unknown_organization'
    when connection.paused_at is not null or not connection.enabled then 'paused' end;
  if opened.outcome is not null then
    return opened;
  end if;

  run := sync.take_open_run(open_run.organization_id, open_run.source, open_run.mode);
  if run.id is null then
    opened.outcome := 'started';
    insert into sync.runs (organization_id, source, mode, parameters, lease_token)
    values (open_run.organization_id, open_run.source, open_run.mode, coalesce(open_run.parameters, '{}'), gen_random_uuid())
    returning * into run;
  else
    opened.outcome := case when run.lease_token is null then 'busy' else 'resumed' end;
  end if;

  opened.run_id := run.id;
  opened.lease_token := run.lease_token;
  opened.checkpoint := run.checkpoint;
  opened.counters := run.counters;
  opened.parameters := run.parameters;
  opened.cursor := connection.cursor;
  opened.started_at := run.started_at;
  return opened;
end;
$$;

comment on function sync.open_run(uuid, public.booking_source, text, jsonb) is 'Does what begin_run promises.';

create function public.begin_run(
  organization_id uuid,
  source public.booking_source,
  mode text,
  parameters jsonb default '{}'
) returns table (
  run_id uuid, outcome text, lease_token uuid, checkpoint jsonb, counters jsonb, parameters jsonb,
  cursor timestamptz, started_at timestamptz
)
language sql
set search_path = ''
as $$
  select r.* from sync.open_run(begin_run.organization_id, begin_run.source, begin_run.mode, begin_run.parameters) r
$$;

comment on function public.begin_run(uuid, public.booking_source, text, jsonb) is
  'Starts a run, or resumes the open one of the same kind at its checkpoint. outcome: started, resumed, busy (another worker has it), paused, unknown_organization.';

-- In SQL, so that a run that dies right after its checkpoint has counted the page that it applied.
create function sync.count_verdicts(counters jsonb, verdicts sync.snapshot_verdict[]) returns jsonb
language sql immutable
set search_path = ''
as $$
  select counters || jsonb_build_object(
    'verdicts', coalesce(counters -> 'verdicts', '{}') || coalesce((
      select jsonb_object_agg(n.verdict, n.count + coalesce((counters #>> array['verdicts', n.verdict])::bigint, 0))
      from (select v.verdict, count(*) as count from unnest(verdicts) v group by v.verdict) n), '{}'),
    'refused', coalesce((
      select jsonb_agg(r.item order by r.place)
      from (
        select e.item, e.place from jsonb_array_elements(coalesce(counters -> 'refused', '[]')) with ordinality e (item, place)
        union all
        select jsonb_build_object('external_id', v.external_id, 'code', v.error ->> 'code', 'field', v.error ->> 'field'),
          1000000 + v.ord
        from unnest(verdicts) v where v.verdict = 'invalid'
        order by 2 limit 50
      ) r), '[]'))
$$;

comment on function sync.count_verdicts(jsonb, sync.snapshot_verdict[]) is
  'The counters of a run plus the verdicts of a page: how many of each, and the first 50 bookings that were refused.';

-- PT and an HTTP status: codes that the API passes on to its caller.
create function sync.hold_run(run_id uuid, lease_token uuid) returns sync.runs
language plpgsql
set search_path = ''
as $$
declare
  run sync.runs;
begin
  select * into run from sync.runs r where r.id = hold_run.run_id for update;
  if run.id is null or run.status <> 'running' or run.lease_token is distinct from hold_run.lease_token then
    raise exception 'Cannot checkpoint run %: another worker has taken it over', hold_run.run_id
      using errcode = 'PT409';
  end if;
  if exists (select from sync.connections c
             where c.organization_id = run.organization_id and c.source = run.source
               and (c.paused_at is not null or not c.enabled)) then
    raise exception 'Cannot checkpoint run %: its connection is paused', hold_run.run_id
      using errcode = 'PT423';
  end if;
  return run;
end;
$$;

comment on function sync.hold_run(uuid, uuid) is
  'Locks a run for the worker that has its lease. Fails if the lease is lost, and if the connection is paused: a page that is not taken must not be passed (rule: pausing costs nothing).';

create function public.checkpoint_run(
  run_id uuid,
  lease_token uuid,
  checkpoint jsonb,
  counters jsonb,
  snapshots jsonb default '[]',
  force boolean default false,
  sighted_ids jsonb default '[]'
) returns table (external_id text, verdict text, booking_id bigint, changes jsonb, error jsonb)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  run constant sync.runs := sync.hold_run(checkpoint_run.run_id, checkpoint_run.lease_token);
  compares constant boolean := run.mode = 'reconcile';
  applies constant boolean := not compares or run.parameters -> 'repair' is distinct from 'false';
  verdicts sync.snapshot_verdict[];
begin
  if compares then
    -- Before the comparison, which gives back its own locks when it is undone: nobody comes in between.
    perform sync.lock_page(run.organization_id, run.source, checkpoint_run.snapshots);
    perform sync.record_sightings(run.id, checkpoint_run.snapshots, checkpoint_run.sighted_ids);
    perform sync.record_drift(run, checkpoint_run.snapshots);
  end if;
  if applies then
    verdicts := array(
      select row(n.*)::sync.snapshot_verdict
      from (
        select a.ord::integer as ord, a.external_id, a.verdict, a.booking_id, a.changes, a.error, a.warnings
        from public.apply_snapshots(run.organization_id, run.source, checkpoint_run.snapshots, run_id => run.id,
          force => checkpoint_run.force or compares and coalesce(run.parameters -> 'repair' = 'true', false),
          compares => compares)
          with ordinality a (external_id, verdict, booking_id, changes, error, warnings, ord)
      ) n);
  end if;
  if compares and applies then
    perform sync.repair_projections(run, checkpoint_run.snapshots);
  end if;
  -- In one transaction with the page: a run that dies resumes exactly after what it applied. By the clock,
  -- not by the start of the transaction: a page that took a minute is a sign of life.
  update sync.runs r set checkpoint = checkpoint_run.checkpoint,
    counters = sync.count_verdicts(checkpoint_run.counters, verdicts), heartbeat_at = clock_timestamp()
  where r.id = run.id;
  return query select v.external_id, v.verdict, v.booking_id, v.changes, v.error from unnest(verdicts) v order by v.ord;
end;
$$;

comment on function public.checkpoint_run(uuid, uuid, jsonb, jsonb, jsonb, boolean, jsonb) is
  'Applies a page of a run and saves how far the run got, in one transaction; without snapshots it is a sign of life. counters are those before the page; its verdicts are added. sighted_ids are all ids of the page, including refused ones. Fails with PT409 if another worker has taken the run over, with PT423 if the connection is paused.';

-- A run over a span of dates, or from a later moment than the cursor, proves nothing about the rest.
create function sync.move_cursor(run sync.runs) returns void
language sql
set search_path = ''
as $$
  update sync.connections c set cursor = n.cursor, updated_at = now()
  -- Less an overlap, for what the source may have listed late.
  from (select run.started_at - interval '10 minutes') n (cursor)
  where run.mode in ('incremental', 'full') and not run.parameters ?| array['start_date', 'end_date']
    and c.organization_id = run.organization_id and c.source = run.source
    and (c.cursor is null or c.cursor < n.cursor)
    and (run.mode = 'full' or not run.parameters ? 'since'
      or coalesce((run.parameters ->> 'since')::timestamptz <= c.cursor, false))
$$;

comment on function sync.move_cursor(sync.runs) is
  'Moves the cursor to when a completed run began, never backwards (rule: the cursor moves only past what is applied).';

create function sync.finish_sightings(run sync.runs) returns void
language plpgsql
set search_path = ''
as $$
begin
  if run.status = 'completed' and not run.parameters ?| array['start_date', 'end_date', 'since'] then
    perform sync.record_absences(run);
  end if;
  delete from sync.sightings g where g.run_id = run.id;
end;
$$;

comment on function sync.finish_sightings(sync.runs) is
  'Ends a reconcile run: one that read the whole list reports absences. Sightings are then dropped.';

create function public.finish_run(
  run_id uuid,
  lease_token uuid,
  status text,
  checkpoint jsonb default null,
  counters jsonb default null,
  error jsonb default null
) returns table (finished boolean)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  run sync.runs;
begin
  if finish_run.status not in ('stopped', 'completed', 'failed') then
    raise exception 'Cannot finish run: status is %', finish_run.status using errcode = '22023';
  end if;
  update sync.runs r set status = finish_run.status,
    checkpoint = coalesce(finish_run.checkpoint, r.checkpoint),
    counters = coalesce(finish_run.counters, r.counters), error = finish_run.error,
    heartbeat_at = now(), lease_token = null,
    finished_at = case when finish_run.status <> 'stopped' then now() end
  where r.id = finish_run.run_id and r.status = 'running' and r.lease_token = finish_run.lease_token
  returning * into run;
  if run.id is null then
    return query select false;
    return;
  end if;

  if run.mode = 'reconcile' and run.status <> 'stopped' then
    perform sync.finish_sightings(run);
  end if;
  if run.status = 'completed' then
    perform sync.move_cursor(run);
  end if;
  return query select true;
end;
$$;

comment on function public.finish_run(uuid, uuid, text, jsonb, jsonb, jsonb) is
  'Ends a run (completed, failed) or stops it at a checkpoint for another worker (stopped). finished is false if the lease was lost. A completed run moves the cursor.';

create function public.list_connections(
  organization_id uuid default null,
  source public.booking_source default null,
  mode text default null
) returns table (
  organization_id uuid, source public.booking_source, enabled boolean, paused boolean,
  cursor timestamptz, last_started_at timestamptz
)
language sql stable
set search_path = ''
as $$
  select c.organization_id, c.source, c.enabled, c.paused_at is not null, c.cursor, r.started_at
  from sync.connections c
  left join lateral (
    select n.started_at from sync.runs n
    where n.organization_id = c.organization_id and n.source = c.source
      and (list_connections.mode is null or n.mode = list_connections.mode)
    order by n.started_at desc
    limit 1
  ) r on true
  where (list_connections.organization_id is null or c.organization_id = list_connections.organization_id)
    and (list_connections.source is null or c.source = list_connections.source)
  order by r.started_at nulls first, c.organization_id, c.source
  limit 1000
$$;

comment on function public.list_connections(uuid, public.booking_source, text) is
  'Connections with their cursors. Those whose last run of a mode began longest ago come first, so a caller who runs out of time reaches the others next time.';

create function public.list_resumable_runs(max_runs integer default 20)
returns table (
  run_id uuid, organization_id uuid, source public.booking_source, mode text, parameters jsonb,
  status text, heartbeat_at timestamptz
)
language sql stable
set search_path = ''
as $$
  select r.id, r.organization_id, r.source, r.mode, r.parameters, r.status, r.heartbeat_at
  from sync.runs r
  join sync.connections c on c.organization_id = r.organization_id and c.source = r.source
  where c.enabled and c.paused_at is null
    and (r.status = 'stopped' and coalesce((r.checkpoint ->> 'retry_at')::timestamptz, '-infinity') <= now()
      or r.status = 'running' and not sync.is_at_work(r))
  order by r.heartbeat_at
  limit list_resumable_runs.max_runs
$$;

comment on function public.list_resumable_runs(integer) is
  'Runs that were stopped at a checkpoint, unless the source asked to wait, and runs whose worker has died; longest idle first. None of a paused connection.';

create function sync.lock_open_run(run_id uuid) returns setof sync.runs
language plpgsql
set search_path = ''
as $$
begin
  perform from sync.connections c
  join sync.runs r on r.organization_id = c.organization_id and r.source = c.source
  where r.id = lock_open_run.run_id
  for no key update of c;
  return query select r.* from sync.runs r
    where r.id = lock_open_run.run_id and r.status in ('running', 'stopped');
end;
$$;

comment on function sync.lock_open_run(uuid) is
  'A run, if it is still open, with its connection locked, so that no other run of its kind can begin.';

create function public.resume_run(run_id uuid)
returns table (
  run_id uuid, outcome text, lease_token uuid, checkpoint jsonb, counters jsonb, parameters jsonb,
  cursor timestamptz, started_at timestamptz, organization_id uuid, source public.booking_source, mode text
)
language sql
set search_path = ''
as $$
  select o.*, r.organization_id, r.source, r.mode
  from sync.lock_open_run(resume_run.run_id) r
  cross join lateral sync.open_run(r.organization_id, r.source, r.mode, r.parameters) o
$$;

comment on function public.resume_run(uuid) is
  'Resumes one run that is still open, as begin_run would; no row if it has ended meanwhile.';

-- schemas/71_drift.sql

-- What a reconcile run finds. Each page is applied and undone: the difference between source and
-- database is what the ordinary path would have written. Bookings that no page listed are absent.
-- Rules: absence is not a statement; cancelling takes a positive statement.

create table sync.drift (
  run_id uuid not null references sync.runs (id) on delete cascade,
  external_id text not null,
  field text not null,
  booking_id bigint,
  theirs jsonb,
  ours jsonb,
  first_seen_at timestamptz not null default now(),
  cause text,
  repaired_at timestamptz,
  primary key (run_id, external_id, field)
);

comment on table sync.drift is 'Differences between source and database that a reconcile run found.';
comment on column sync.drift.cause is 'The likely cause: missed_webhook, held, dismissed (a person dropped the change), doubted, emptied, disagrees (a sender''s word and its source differ), planner_owned, stale, projection (a derived row is wrong), missing_at_source.';

create type sync.drift_finding as (
  external_id text,
  field text,
  booking_id bigint,
  theirs jsonb,
  ours jsonb,
  cause text
);

comment on type sync.drift_finding is 'One field that differs between source and database, with the likely cause.';

create type sync.page_comparison as (
  verdicts sync.snapshot_verdict[],
  projected sync.row_change[],
  booking_ids bigint[]
);

comment on type sync.page_comparison is
  'What applying a page would do (verdicts), what deriving its bookings would write after that (projected), and which stored bookings it lists (booking_ids).';

create function sync.record_sightings(run_id uuid, snapshots jsonb, sighted_ids jsonb) returns void
language sql
set search_path = ''
as $$
  insert into sync.sightings (run_id, external_id)
  select record_sightings.run_id, i.id
  from (
    select e.snapshot ->> 'external_id' from jsonb_array_elements(record_sightings.snapshots) e (snapshot)
    union
    select e.id from jsonb_array_elements_text(record_sightings.sighted_ids) e (id)
  ) i (id)
  where i.id is not null
  on conflict do nothing
$$;

comment on function sync.record_sightings(uuid, jsonb, jsonb) is
  'Notes which bookings a page lists. sighted_ids also has those whose snapshot was refused: they are not missing.';

create function sync.compare_page(run sync.runs, snapshots jsonb) returns sync.page_comparison
language plpgsql
set search_path = ''
as $$
declare
  comparison sync.page_comparison;
  page sync.page;
begin
  page.organization_id := run.organization_id;
  page.source := run.source;
  page.run_id := run.id;
  page.force := true;
  page.compares := true;
  page.detailed := true;
  comparison.verdicts := sync.apply_page_or_halves(page, snapshots);
  comparison.booking_ids := array(
    select v.booking_id from unnest(comparison.verdicts) v
    where v.booking_id is not null and v.verdict in ('updated', 'unchanged'));
  comparison.projected := array(
    select row(p.*)::sync.row_change from public.project_bookings(comparison.booking_ids, true) p);
  raise exception 'compared' using errcode = 'BSDRY';
exception when sqlstate 'BSDRY' then
  return comparison; -- Everything else is undone.
end;
$$;

comment on function sync.compare_page(sync.runs, jsonb) is 'What a page would change. Undoes all of it.';

create function sync.is_emptied(snapshot jsonb, change jsonb) returns boolean
language sql immutable
set search_path = ''
as $$
  select case change ->> 'table'
    when 'booking_products' then snapshot #> '{products,items}' = '[]'
    when 'booking_attachments' then snapshot #> '{attachments,items}' = '[]'
    else not exists (select from jsonb_array_elements(snapshot #> '{dates,items}') i (item)
      where i.item ->> 'phase' = split_part(change ->> 'key', ' ', 1)) end
$$;

comment on function sync.is_emptied(jsonb, jsonb) is 'Whether the list that a changed row belongs to is empty in a snapshot.';

create function sync.find_doubt_drift(comparison sync.page_comparison) returns setof sync.drift_finding
language sql stable
set search_path = ''
as $$
  select v.external_id, r.table_name || '[' || r.key || '].source_doubted_since', v.booking_id,
    to_jsonb(d.first_seen_at), to_jsonb(r.doubted_since),
    case when sync.is_held(d.booking_id, d.collection) then 'held' when d.dismissed_at is not null then 'dismissed'
      when d.emptied then 'emptied' else 'doubted' end
  from unnest(comparison.verdicts) v
  join sync.doubts d on d.booking_id = v.booking_id and d.booking_id = any (comparison.booking_ids)
  cross join lateral (
    select a.* from sync.doubted_rows(d.booking_id, d.collection) a where a.item_id = d.item_id
  ) r
$$;

comment on function sync.find_doubt_drift(sync.page_comparison) is
  'Rows that the source no longer lists and that are in force: doubted, emptied, held or dismissed.';

create function sync.find_source_drift(run sync.runs, snapshots jsonb, comparison sync.page_comparison)
returns setof sync.drift_finding
language sql stable
set search_path = ''
as $$
  select v.external_id,
    case c.change ->> 'table' when 'bookings' then 'bookings.' || f.key
      else (c.change ->> 'table') || '[' || (c.change ->> 'key') || '].' || f.key end,
    v.booking_id, f.value -> 1, f.value -> 0,
    case when f.key = 'source_doubted_since' then case when f.value ->> 1 is null then 'missed_webhook'
        when sync.is_emptied(e.snapshot, c.change) then 'emptied' else 'doubted' end
      when h.id is not null then 'held'
      when sync.revision_order((e.snapshot ->> 'source_version')::bigint, (e.snapshot ->> 'source_updated_at')::timestamptz,
        s.source_version, s.source_updated_at) < 0 then 'stale'
      else 'missed_webhook' end
  from unnest(comparison.verdicts) v
  join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
  cross join jsonb_array_elements(v.changes) c (change)
  cross join jsonb_each(coalesce(c.change -> 'fields', '{}')) f
  left join sync.held_changes h on h.booking_id = v.booking_id and h.class = 'status' and h.released_at is null and h.dismissed_at is null
  left join lateral (
    select t.source_version, t.source_updated_at from sync.source_states t
    where t.organization_id = run.organization_id and t.source = run.source and t.external_id = v.external_id
    offset 0
  ) s on true
  where v.verdict = 'updated'
    -- Derived rows that follow from a change of the source are no drift in themselves.
    and c.change ->> 'table' in ('bookings', 'booking_dates', 'booking_products', 'booking_attachments')
    and f.key not in ('status_changed_at', 'confirmed_at', 'completed_at', 'cancelled_at', 'rejected_at', 'is_stub')
    -- A list and a tombstone each have their own word for the same status.
    and not (c.change ->> 'table' = 'bookings' and f.key = 'source_status'
      and e.snapshot #>> '{booking,status}' = (select k.status::text from public.bookings k where k.id = v.booking_id))
  union all
  select v.external_id, 'bookings.*', null, to_jsonb('present'::text), null, 'missed_webhook'
  from unnest(comparison.verdicts) v
  where v.verdict = 'created'
$$;

comment on function sync.find_source_drift(sync.runs, jsonb, sync.page_comparison) is
  'Source-owned fields that differ, and bookings that are unknown here.';

create function sync.find_held_drift(snapshots jsonb, comparison sync.page_comparison) returns setof sync.drift_finding
language sql stable
set search_path = ''
as $$
  select v.external_id, 'bookings.status', v.booking_id, e.snapshot #> '{booking,status}', to_jsonb(b.status), 'held'
  from unnest(comparison.verdicts) v
  join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
  cross join lateral (select k.status from public.bookings k where k.id = v.booking_id offset 0) b
  where v.verdict = 'held'
  union all
  select v.external_id, 'bookings.status', v.booking_id, to_jsonb(h.kind), to_jsonb(b.status), 'dismissed'
  from unnest(comparison.verdicts) v
  join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
  join public.bookings b on b.id = v.booking_id and b.id = any (comparison.booking_ids)
  join sync.held_changes h on h.booking_id = b.id and h.kind = e.snapshot #>> '{booking,status}'
    and sync.is_dropped(b.id, h.kind::public.booking_status, e.snapshot)
  where b.status::text <> h.kind
  group by v.external_id, v.booking_id, h.kind, b.status
$$;

comment on function sync.find_held_drift(jsonb, sync.page_comparison) is
  'Statuses that differ because the brake holds the change, or because a person dropped it.';

create function sync.find_disagreement_drift(run sync.runs, snapshots jsonb, comparison sync.page_comparison)
returns setof sync.drift_finding
language sql stable
set search_path = ''
as $$
  select v.external_id, 'bookings.status', v.booking_id, to_jsonb(g.word), to_jsonb(b.status), 'disagrees'
  from unnest(comparison.verdicts) v
  join sync.disagreements g on g.booking_id = v.booking_id and g.outcome = 'disagrees'
    and g.booking_id = any (comparison.booking_ids)
  join public.bookings b on b.id = g.booking_id
  -- What the reads have outweighed since is settled: the booking has the source's status.
  where run.source <> 'headout'
  union all
  select v.external_id, 'bookings.status', v.booking_id, e.snapshot #> '{booking,status}', to_jsonb(b.status), 'disagrees'
  from unnest(comparison.verdicts) v
  join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
  join public.bookings b on b.id = v.booking_id and b.id = any (comparison.booking_ids)
  join sync.source_states s on s.organization_id = run.organization_id and s.source = run.source and s.external_id = v.external_id
  where run.source = 'headout' and e.snapshot #>> '{booking,status}' <> b.status::text
    and b.status = sync.headout_status(s.last_event_status)
$$;

comment on function sync.find_disagreement_drift(sync.runs, jsonb, sync.page_comparison) is
  'Statuses on which a sender and its own source disagree: EventFlow''s word that no read bore out, and an event of Headout that stands against the list.';

create function sync.find_projection_drift(comparison sync.page_comparison) returns setof sync.drift_finding
language sql stable
set search_path = ''
as $$
  select v.external_id,
    p.table_name || '[' || case when p.table_name = 'packing_items' then coalesce(
        (select k.external_id from public.booking_products k where k.id = p.key::bigint), p.key)
      else p.key end || '].' || f.key,
    p.booking_id, f.value -> 1, f.value -> 0, 'projection'
  from unnest(comparison.projected) p
  join unnest(comparison.verdicts) v on v.booking_id = p.booking_id and v.verdict = 'unchanged'
  cross join jsonb_each(coalesce(p.fields, '{}')) f
$$;

comment on function sync.find_projection_drift(sync.page_comparison) is
  'Derived rows that are wrong although their booking is right.';

create function sync.find_planner_drift(comparison sync.page_comparison) returns setof sync.drift_finding
language sql stable
set search_path = ''
as $$
  select v.external_id, 'calendar_events[' || k.event_type || ' ' || k.day || '].starts_at',
    k.booking_id, to_jsonb(k.derived_starts_at), to_jsonb(k.starts_at), 'planner_owned'
  from unnest(comparison.verdicts) v
  join public.calendar_events k on k.booking_id = v.booking_id and k.booking_id = any (comparison.booking_ids)
    and k.has_source_changes and k.active
  union all
  select v.external_id, 'warehouse_events[' || k.event_type || ' ' || k.basis_day || '].starts_at',
    k.booking_id, to_jsonb(k.derived_starts_at), to_jsonb(k.starts_at), 'planner_owned'
  from unnest(comparison.verdicts) v
  join public.warehouse_events k on k.booking_id = v.booking_id and k.booking_id = any (comparison.booking_ids)
    and k.has_source_changes and k.active
$$;

comment on function sync.find_planner_drift(sync.page_comparison) is
  'Times that a person set and the source moved afterwards.';

-- Links carry tokens that expire: a nightly comparison keeps those of attachments fresh. The map is left
-- out: its URL may differ by more than a token, and then it is drift.
create function sync.refresh_compared_urls(snapshots jsonb, comparison sync.page_comparison) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform sync.refresh_urls(array(
    select jsonb_populate_record(null::sync.planned_snapshot, jsonb_build_object(
      'booking_id', v.booking_id, 'is_new', false,
      'snapshot', jsonb_build_object('attachments', e.snapshot -> 'attachments')))
    from unnest(comparison.verdicts) v
    join jsonb_array_elements(snapshots) e (snapshot) on e.snapshot ->> 'external_id' = v.external_id
    where v.verdict in ('updated', 'unchanged')), comparison.booking_ids);
end;
$$;

comment on function sync.refresh_compared_urls(jsonb, sync.page_comparison) is
  'Stores the links of attachments as last read.';

create function sync.record_drift(run sync.runs, snapshots jsonb) returns void
language plpgsql
set search_path = ''
set enable_nestloop = off
set jit = off
as $$
declare
  comparison constant sync.page_comparison := sync.compare_page(run, snapshots);
  previous_id constant uuid := (
    select r.id from sync.runs r
    where r.organization_id = run.organization_id and r.source = run.source and r.mode = 'reconcile'
      and r.status = 'completed' and r.id <> run.id
    order by r.started_at desc limit 1);
begin
  insert into sync.drift (run_id, external_id, field, booking_id, theirs, ours, first_seen_at, cause)
  select run.id, f.external_id, f.field, f.booking_id, f.theirs, f.ours,
    -- Carried over if the previous run found the same.
    coalesce((
      select p.first_seen_at from sync.drift p
      where p.run_id = previous_id and p.external_id = f.external_id and p.field = f.field
        and p.repaired_at is null), now()),
    f.cause
  from (
    select * from sync.find_source_drift(run, snapshots, comparison)
    union all
    select * from sync.find_held_drift(snapshots, comparison)
    union all
    select * from sync.find_disagreement_drift(run, snapshots, comparison)
    union all
    select * from sync.find_doubt_drift(comparison)
    union all
    select * from sync.find_projection_drift(comparison)
    union all
    select * from sync.find_planner_drift(comparison)
  ) f
  on conflict (run_id, external_id, field) do nothing;
  perform sync.refresh_compared_urls(snapshots, comparison);
end;
$$;

comment on function sync.record_drift(sync.runs, jsonb) is
  'Compares a page with what is stored and records each field that differs. Changes nothing else but the links of attachments.';

create function sync.repair_projections(run sync.runs, snapshots jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform from public.project_bookings(array(
    select b.id from jsonb_array_elements(snapshots) e (snapshot)
    join public.bookings b on b.organization_id = run.organization_id and b.source = run.source
      and b.external_id = e.snapshot ->> 'external_id'));
  -- Repaired is what a second comparison would not find again: everything but what waits for a person.
  update sync.drift d set repaired_at = now()
  where d.run_id = run.id and d.repaired_at is null
    and (d.cause in ('missed_webhook', 'projection') or d.cause = 'stale' and run.parameters -> 'repair' = 'true')
    and d.external_id in (select e.snapshot ->> 'external_id' from jsonb_array_elements(snapshots) e (snapshot));
end;
$$;

comment on function sync.repair_projections(sync.runs, jsonb) is 'Derives the rows of a page''s bookings again and records which drift this repaired. What is older than what we know is applied only if it was asked for.';

-- In the order in which a page locks them.
create function sync.lock_absent_states(run sync.runs) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform from sync.source_states s
  where s.organization_id = run.organization_id and s.source = run.source
    and (s.missing_sightings > 0
      or not exists (select from sync.sightings g where g.run_id = run.id and g.external_id = s.external_id))
  order by s.external_id
  for update;
end;
$$;

comment on function sync.lock_absent_states(sync.runs) is
  'Locks the states of the bookings that a run did not see, or that an earlier run did not.';

create function sync.forget_absences(run sync.runs) returns void
language sql
set search_path = ''
as $$
  update sync.source_states s set missing_sightings = 0, missing_first_seen_at = null, updated_at = now()
  where s.organization_id = run.organization_id and s.source = run.source and s.missing_sightings > 0
    and exists (select from sync.sightings g where g.run_id = run.id and g.external_id = s.external_id)
$$;

comment on function sync.forget_absences(sync.runs) is
  'Starts the count of runs without a sighting again for the bookings that a run saw.';

create function sync.report_absences(run sync.runs) returns void
language sql
set search_path = ''
as $$
  insert into sync.drift (run_id, external_id, field, booking_id, theirs, ours, first_seen_at, cause)
  select run.id, b.external_id, 'bookings.*', b.id, null, to_jsonb(b.status),
    coalesce(s.missing_first_seen_at, now()), 'missing_at_source'
  from public.bookings b
  left join sync.source_states s
    on s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
  where b.organization_id = run.organization_id and b.source = run.source
    -- What the source has cancelled or deleted in words, and lists no longer, is in agreement.
    and b.status not in ('CANCELLED', 'REJECTED')
    and b.source_missing_since is null and b.created_at < run.started_at
    and not exists (select from sync.sightings g where g.run_id = run.id and g.external_id = b.external_id)
  union all
  select run.id, b.external_id, 'bookings.*', b.id, to_jsonb('deleted'::text), to_jsonb(b.status), h.held_at,
    case when h.dismissed_at is null then 'held' else 'dismissed' end
  from sync.held_changes h
  join public.bookings b on b.id = h.booking_id and b.organization_id = run.organization_id and b.source = run.source
  where h.organization_id = run.organization_id and h.kind = 'deleted' and h.released_at is null and h.settled_at is null
    and coalesce(h.by, '') <> 'system' and b.status = 'CONFIRMED'
  on conflict (run_id, external_id, field) do nothing
$$;

comment on function sync.report_absences(sync.runs) is
  'Records as drift the bookings that existed when a run began and that it did not see, and the deletions that wait for a person or that one has dismissed.';

create function sync.count_absences(run sync.runs) returns void
language sql
set search_path = ''
as $$
  insert into sync.source_states (organization_id, source, external_id)
  select run.organization_id, run.source, d.external_id from sync.drift d
  where d.run_id = run.id and d.cause = 'missing_at_source'
  on conflict do nothing;

  update sync.source_states s set missing_sightings = s.missing_sightings + 1,
    missing_first_seen_at = coalesce(s.missing_first_seen_at, now()), updated_at = now()
  from sync.drift d
  where d.run_id = run.id and d.cause = 'missing_at_source'
    and s.organization_id = run.organization_id and s.source = run.source and s.external_id = d.external_id
$$;

comment on function sync.count_absences(sync.runs) is 'Counts one more run in a row that did not see a booking.';

create function sync.request_absent_bookings(run sync.runs) returns void
language plpgsql
set search_path = ''
as $$
declare
  connection sync.connections;
begin
  select * into connection from sync.connections c
  where c.organization_id = run.organization_id and c.source = run.source;
  perform sync.request_refetch(gen_random_uuid(), connection, d.external_id, 'missing')
  from sync.drift d
  join sync.source_states s on s.organization_id = run.organization_id and s.source = run.source
    and s.external_id = d.external_id and (s.missing_sightings = 2 or run.parameters -> 'repair' = 'true')
  where d.run_id = run.id and d.cause = 'missing_at_source';
end;
$$;

comment on function sync.request_absent_bookings(sync.runs) is
  'Requests a read of each booking that two runs in a row did not see, or of all that this one did not see if it was asked to repair in full. Only its answer may mark the booking missing.';

create function sync.record_absences(run sync.runs) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform sync.lock_absent_states(run);
  perform sync.forget_absences(run);
  perform sync.report_absences(run);
  perform sync.count_absences(run);
  perform sync.request_absent_bookings(run);
end;
$$;

comment on function sync.record_absences(sync.runs) is
  'Reports the bookings that a complete reconcile run did not see, and has some of them read; it changes none (rule: absence is not a statement).';

create function public.list_drift(run_id uuid, max_rows integer default 100)
returns table (
  external_id text, field text, booking_id bigint, theirs jsonb, ours jsonb,
  first_seen_at timestamptz, cause text, repaired_at timestamptz
)
language sql stable
set search_path = ''
as $$
  select d.external_id, d.field, d.booking_id, d.theirs, d.ours, d.first_seen_at, d.cause, d.repaired_at
  from sync.drift d
  where d.run_id = list_drift.run_id
  order by d.first_seen_at, d.external_id, d.field
  limit list_drift.max_rows
$$;

comment on function public.list_drift(uuid, integer) is 'The drift that a reconcile run found, oldest first.';

create function public.count_drift(run_id uuid)
returns table (cause text, fields bigint, bookings bigint, repaired bigint)
language sql stable
set search_path = ''
as $$
  select d.cause, count(*), count(distinct d.external_id), count(d.repaired_at)
  from sync.drift d
  where d.run_id = count_drift.run_id
  group by d.cause
  order by d.cause
$$;

comment on function public.count_drift(uuid) is
  'For each cause, how many fields of how many bookings differ, and how many of those fields were repaired.';

-- schemas/80_planner_triggers.sql

-- What follows when a person changes a row through the API: the adjustment is remembered, a decision
-- about packing takes effect, and history says who did it.
-- Every trigger fires for `authenticated` only, so the import pays nothing. Functions that write what
-- people may not write themselves are security definer.
-- Rules: a person's work is never overwritten; every change can be explained.

-- The import writes as service_role and sets updated_at in its own statements.

create trigger bookings_touch_updated_at before update on public.bookings
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create trigger calendar_events_touch_updated_at before update on public.calendar_events
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create trigger warehouse_events_touch_updated_at before update on public.warehouse_events
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create trigger packing_projects_touch_updated_at before update on public.packing_projects
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create trigger packing_tasks_touch_updated_at before update on public.packing_tasks
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create trigger packing_items_touch_updated_at before update on public.packing_items
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create trigger packing_change_requests_touch_updated_at before update on public.packing_change_requests
  for each row when (current_user = 'authenticated') execute function sync.touch_updated_at();

create function sync.note_adjustment() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if (new.starts_at, new.ends_at) is distinct from (old.starts_at, old.ends_at) then
    -- Times set to what the source says follow the source again.
    new.adjusted_at := case
      when (new.starts_at, new.ends_at) is distinct from (new.derived_starts_at, new.derived_ends_at) then now() end;
    -- A person who sets the times has seen what the source said.
    new.has_source_changes := false;
  end if;
  -- Nobody holds on to the row any more, and its day is gone.
  if new.day_dropped and new.adjusted_at is null and not coalesce((to_jsonb(new) ->> 'times_locked')::boolean, false)
    and (new.starts_at, new.ends_at) is not distinct from (new.derived_starts_at, new.derived_ends_at) then
    new.active := false;
    new.day_dropped := false;
    new.has_source_changes := false;
  end if;
  return new;
end;
$$;

comment on function sync.note_adjustment() is 'Trigger: times that a person sets stay, until they are set back to the derived ones. A row that only this kept alive goes with it.';

create trigger calendar_events_note_adjustment before update of starts_at, ends_at, times_locked on public.calendar_events
  for each row when (current_user = 'authenticated') execute function sync.note_adjustment();

create trigger warehouse_events_note_adjustment before update of starts_at, ends_at on public.warehouse_events
  for each row when (current_user = 'authenticated') execute function sync.note_adjustment();

create function sync.review_undropped() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform from sync.review(array[new.booking_id]);
  return null;
end;
$$;

comment on function sync.review_undropped() is 'Trigger: a row that a person lets go of asks for no review any more.';

create trigger calendar_events_review_undropped after update of starts_at, ends_at, times_locked on public.calendar_events
  for each row when (current_user = 'authenticated' and old.day_dropped and not new.day_dropped)
  execute function sync.review_undropped();

create trigger warehouse_events_review_undropped after update of starts_at, ends_at on public.warehouse_events
  for each row when (current_user = 'authenticated' and old.day_dropped and not new.day_dropped)
  execute function sync.review_undropped();

create function sync.note_review() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if not new.review_reasons <@ old.review_reasons then
    raise exception 'Cannot add a review reason to booking %: a person can only take reasons away', new.id using errcode = '23514';
  end if;
  update sync.review_causes c set acknowledged_at = now(), acknowledged_by = (select auth.uid())::text
  where c.booking_id = new.id and c.acknowledged_at is null
    and c.reason = any (old.review_reasons) and c.reason <> all (new.review_reasons);
  new.review_reasons := array(select distinct r from unnest(new.review_reasons) r order by r);
  return new;
end;
$$;

comment on function sync.note_review() is
  'Trigger: a review reason that a person takes away is acknowledged with all that caused it; nobody adds one.';

create trigger bookings_note_review before update of review_reasons on public.bookings
  for each row when (current_user = 'authenticated' and old.review_reasons is distinct from new.review_reasons)
  execute function sync.note_review();

create function sync.note_due_date() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.due_on is distinct from old.due_on then
    new.adjusted_at := case when new.due_on is distinct from new.derived_due_on then now() end;
  end if;
  return new;
end;
$$;

comment on function sync.note_due_date() is 'Trigger: a due date that a person sets stays, until it is set back to the derived one.';

create trigger packing_tasks_note_due_date before update of due_on on public.packing_tasks
  for each row when (current_user = 'authenticated') execute function sync.note_due_date();

create function sync.note_attachment() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  new.origin := 'user';
  new.url_key := sync.url_key(new.url);
  return new;
end;
$$;

comment on function sync.note_attachment() is 'Trigger: a file that a person adds gets origin user, and its url_key from its URL.';

create trigger booking_attachments_note_attachment before insert on public.booking_attachments
  for each row when (current_user = 'authenticated') execute function sync.note_attachment();

create function sync.refuse_removal_of_packed(request public.packing_change_requests) returns void
language plpgsql
set search_path = ''
as $$
declare
  item record;
begin
  select p.name, i.quantity_packed - coalesce(i.quantity_returned, 0) as quantity into item
  from public.packing_items i
  join public.booking_products p on p.id = i.booking_product_id
  where i.packing_project_id = request.packing_project_id and i.booking_product_id = request.booking_product_id
    and i.quantity_packed > coalesce(i.quantity_returned, 0);
  if found then
    raise exception 'Cannot accept the removal of %: % of it packed and not returned', coalesce(item.name, 'this item'), item.quantity
      using errcode = '23514', hint = 'Take it out and set quantity_packed to 0, or record its return in quantity_returned, and accept again.';
  end if;
end;
$$;

comment on function sync.refuse_removal_of_packed(public.packing_change_requests) is
  'Refuses to take an item off the list while some of it is packed: its return comes first.';

create function sync.note_resolution() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if old.status = 'pending' and new.status = 'accepted' and new.change_type = 'item_removed' then
    perform sync.refuse_removal_of_packed(new);
  end if;
  if old.status <> 'pending' and new.status <> old.status then
    raise exception 'Cannot change packing change request %: it is already %', old.id, old.status
      using errcode = '23514';
  end if;
  if new.status <> 'pending' and old.status = 'pending' then
    new.resolved_at := now();
    new.resolved_by := coalesce((select auth.uid())::text, new.resolved_by);
  end if;
  return new;
end;
$$;

comment on function sync.note_resolution() is 'Trigger: a request is decided once, and records when and by whom.';

create function sync.apply_resolution() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if old.status = 'pending' and new.status = 'accepted' then
    insert into public.packing_items as i (organization_id, packing_project_id, booking_product_id, quantity_to_pack)
    select new.organization_id, new.packing_project_id, new.booking_product_id, new.new_quantity
    where new.change_type <> 'item_removed'
    on conflict on constraint packing_items_project_product_key
    do update set quantity_to_pack = excluded.quantity_to_pack, active = true, updated_at = now();
    update public.packing_items i set active = false, updated_at = now()
    where new.change_type = 'item_removed'
      and i.packing_project_id = new.packing_project_id and i.booking_product_id = new.booking_product_id;
  end if;
  if new.status <> old.status then
    perform sync.review_packing(array[new.packing_project_id]);
  end if;
  return null;
end;
$$;

comment on function sync.apply_resolution() is 'Trigger: an accepted request changes the packing list; the project then says how many requests still wait.';

create trigger packing_change_requests_note_resolution before update of status on public.packing_change_requests
  for each row when (current_user = 'authenticated') execute function sync.note_resolution();

create trigger packing_change_requests_apply_resolution after update of status on public.packing_change_requests
  for each row when (current_user = 'authenticated') execute function sync.apply_resolution();

create function sync.record_planner_change() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  row_now constant jsonb := to_jsonb(new);
  booking bigint := (row_now ->> 'booking_id')::bigint;
  name text := tg_table_name || '[' || new.id || '].';
  fields jsonb;
begin
  if tg_table_name = 'bookings' then
    booking := new.id;
    name := 'bookings.';
  elsif row_now ? 'packing_project_id' then
    select p.booking_id into booking from public.packing_projects p
    where p.id = (row_now ->> 'packing_project_id')::bigint;
  end if;
  fields := case when tg_op = 'INSERT' then jsonb_build_object('*', jsonb_build_array(null, row_now - array['id', 'organization_id', 'created_at', 'updated_at']))
    else sync.changed_fields(to_jsonb(old), row_now) end;
  if booking is not null and fields <> '{}' then
    insert into public.booking_history (organization_id, booking_id, actor, actor_id, verdict, changes)
    select new.organization_id, booking, 'planner', (select auth.uid())::text, 'updated',
      jsonb_object_agg(name || f.key, f.value)
    from jsonb_each(fields) f;
  end if;
  return null;
end;
$$;

comment on function sync.record_planner_change() is 'Trigger: records in the history of the booking what a person changed, under their user id.';

create trigger bookings_record_planner_change after update on public.bookings
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger calendar_events_record_planner_change after update on public.calendar_events
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger warehouse_events_record_planner_change after update on public.warehouse_events
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger packing_projects_record_planner_change after update on public.packing_projects
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger packing_tasks_record_planner_change after update on public.packing_tasks
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger packing_items_record_planner_change after update on public.packing_items
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger packing_change_requests_record_planner_change after update on public.packing_change_requests
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger packing_items_record_planner_insert after insert on public.packing_items
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

create trigger booking_attachments_record_planner_insert after insert on public.booking_attachments
  for each row when (current_user = 'authenticated') execute function sync.record_planner_change();

-- schemas/81_policies.sql

-- Which rows people see and write through the API: those of the organizations they are members of, one
-- policy for each table and command. Which columns they may write is granted in 99_privileges.sql; who
-- may write quantity_packed, for example, stands there. Tables of schema sync have no policy, so nobody
-- but service_role, which passes row level security, sees a row.
-- Memberships are looked up once per statement: `(select auth.uid())` is a constant to the planner.
-- Rules: one writer per table; a person's work is never overwritten.

alter table public.organizations enable row level security;
alter table public.organization_members enable row level security;
alter table public.bookings enable row level security;
alter table public.booking_dates enable row level security;
alter table public.booking_products enable row level security;
alter table public.booking_attachments enable row level security;
alter table public.booking_history enable row level security;
alter table public.calendar_events enable row level security;
alter table public.warehouse_events enable row level security;
alter table public.packing_projects enable row level security;
alter table public.packing_tasks enable row level security;
alter table public.packing_items enable row level security;
alter table public.packing_change_requests enable row level security;

alter table sync.connections enable row level security;
alter table sync.deliveries enable row level security;
alter table sync.source_states enable row level security;
alter table sync.runs enable row level security;
alter table sync.sightings enable row level security;
alter table sync.held_changes enable row level security;
alter table sync.doubts enable row level security;
alter table sync.disagreements enable row level security;
alter table sync.review_causes enable row level security;
alter table sync.freshness_rules enable row level security;
alter table sync.status_words enable row level security;
alter table sync.source_observations enable row level security;
alter table sync.missing_files enable row level security;
alter table sync.freshness_claims enable row level security;
alter table sync.believed_absences enable row level security;
alter table sync.drift enable row level security;
alter table sync.projection_rules enable row level security;

create policy organization_members_select on public.organization_members for select to authenticated
  using (user_id = (select auth.uid()));

create policy organizations_select on public.organizations for select to authenticated
  using (id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

-- Members read everything of their organization.

create policy bookings_select on public.bookings for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy booking_dates_select on public.booking_dates for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy booking_products_select on public.booking_products for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy booking_attachments_select on public.booking_attachments for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy booking_history_select on public.booking_history for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy calendar_events_select on public.calendar_events for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy warehouse_events_select on public.warehouse_events for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_projects_select on public.packing_projects for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_tasks_select on public.packing_tasks for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_items_select on public.packing_items for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_change_requests_select on public.packing_change_requests for select to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

-- Planners and packers update the columns that are theirs.

create policy bookings_update on public.bookings for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy calendar_events_update on public.calendar_events for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy warehouse_events_update on public.warehouse_events for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_projects_update on public.packing_projects for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_tasks_update on public.packing_tasks for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_items_update on public.packing_items for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_change_requests_update on public.packing_change_requests for update to authenticated
  using (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())))
  with check (organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

-- They add activities and todos, manual packing items and files of their own.

create policy calendar_events_insert on public.calendar_events for insert to authenticated
  with check (event_type in ('activity', 'todo') and organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy packing_items_insert on public.packing_items for insert to authenticated
  with check (manual_name is not null and organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

create policy booking_attachments_insert on public.booking_attachments for insert to authenticated
  with check (origin = 'user' and organization_id in (
    select m.organization_id from public.organization_members m where m.user_id = (select auth.uid())));

-- The first folder of a file's path is its organization.
create policy booking_files_select on storage.objects for select to authenticated
  using (bucket_id = 'booking-files' and (storage.foldername(name))[1] in (
    select m.organization_id::text from public.organization_members m where m.user_id = (select auth.uid())));

-- schemas/90_explain.sql

-- Why does this booking look as it does? Its timeline in plain words: one function per kind of line.
-- Each thing that happened has one line, and a cause stands before its effect.
-- Rules: every change can be explained.

create function sync.describe_subject(history_key text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select case k.table_name when 'booking_dates' then 'the day ' when 'booking_products' then 'the product '
      when 'booking_attachments' then 'the file ' else 'the booking' end
    || coalesce(substring(history_key from '\[(.*)\]'), '')
  from (select split_part(split_part(history_key, '[', 1), '.', 1)) k (table_name)
$$;

comment on function sync.describe_subject(text) is
  'What a key of booking_history.changes is about: table[external_id].field as "the product p-1".';

create function sync.describe_changes(changes jsonb) returns text
language sql stable
set search_path = ''
as $$
  select string_agg(w.words, '; ' order by w.place, w.words)
  from (
    select 1 as place, case
        when right(c.key, 21) = '.source_doubted_since' then sync.describe_subject(c.key) || case
          when c.value ->> 1 is not null then ' is no longer listed by the source, which is not believed yet'
          else ' is in force without a doubt again' end
        when right(c.key, 21) = '.source_missing_since' then sync.describe_subject(c.key) || case
          when c.value ->> 1 is not null then ' is no longer listed by the source' else ' is listed by the source again' end
        else regexp_replace(c.key, '^(bookings\.|booking_(?=[a-z]+\[))', '') || ': '
          || coalesce(c.value ->> 0, 'nothing') || ' → ' || coalesce(c.value ->> 1, 'nothing') end as words
    from jsonb_each(changes) c
    where right(c.key, 2) <> '.*'
      -- A doubt that was believed says so once.
      and not (right(c.key, 21) = '.source_doubted_since' and changes #>> array[left(c.key, -21) || '.source_missing_since', '1'] is not null)
      and c.key not in ('bookings.status_changed_at', 'bookings.confirmed_at', 'bookings.completed_at',
        'bookings.cancelled_at', 'bookings.rejected_at', 'bookings.extra', 'bookings.economics')
    union all
    -- New rows: the days by name, since people plan by them; of the others the number is enough.
    select 2, case when n.table_name = 'booking_dates' then 'new: ' || n.days
      else n.count || ' new in ' || n.table_name end
    from (
      select split_part(c.key, '[', 1) as table_name, count(*) as count,
        string_agg(sync.describe_subject(c.key), ', ' order by c.key) as days
      from jsonb_each(changes) c
      where right(c.key, 2) = '.*'
      group by split_part(c.key, '[', 1)
    ) n
  ) w
$$;

comment on function sync.describe_changes(jsonb) is
  'History changes as part of a sentence: each changed field with its value before and after, new rows by their number.';

create function sync.describe_error(error jsonb) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select rtrim(coalesce(error ->> 'message', 'no reason is known'), '. ')
    || coalesce(' (' || (
      select string_agg(concat_ws(': ', d.detail ->> 'field', rtrim(d.detail ->> 'message', '.')), '; ' order by d.place)
      from jsonb_array_elements(case jsonb_typeof(error -> 'details') when 'array' then error -> 'details' else '[]' end)
        with ordinality d (detail, place)
      where d.detail ->> 'message' is distinct from error ->> 'message') || ')', '') || '.'
$$;

comment on function sync.describe_error(jsonb) is
  'last_error of a delivery as a sentence: its message, and in brackets which field was wrong.';

create function sync.describe_outcome(outcome text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select case outcome
    when 'created' then 'the booking is new' when 'updated' then 'the booking has changed'
    when 'unchanged' then 'nothing has changed' when 'revision' then 'nothing has changed'
    when 'stale' then 'what was read is older than what is known'
    when 'skipped' then 'the booking was over before the first day that counts here'
    when 'not_found' then 'the source does not know the booking, or cannot confirm it; nothing was changed'
    when 'held' then 'the brake has stopped the change'
    when 'settled' then 'nothing was left to confirm'
    else coalesce(outcome, 'done') end
$$;

comment on function sync.describe_outcome(text) is 'The outcome of an import in words.';

create function sync.describe_delivery(delivery sync.deliveries) returns text
language sql stable
set search_path = ''
as $$
  select case when delivery.status = 'invalid' then format('%s sent something that could not be used', s.sender)
    else format('%s said "%s"%s', s.sender, coalesce(delivery.event_type, 'changed'),
      coalesce(' (its clock: ' || delivery.event_timestamp || ')', '')) end
  from (select case delivery.function when 'headout-webhook' then 'Headout' else 'EventFlow' end) s (sender)
$$;

comment on function sync.describe_delivery(sync.deliveries) is 'What a delivery says, without a full stop.';

create function sync.describe_arrival(delivery sync.deliveries) returns text
language sql stable
set search_path = ''
as $$
  select case
    when delivery.replay_of is not null then coalesce((
        select format('An operator replayed a delivery of %s: %s.',
          sync.describe_instant(o.received_at), sync.describe_delivery(o))
        from sync.deliveries o where o.id = delivery.replay_of), 'An operator replayed a delivery.')
    when delivery.function = 'confirm' and delivery.event_type = 'agreement'
      then 'The booking will be read again: what was read does not show what the sender said.'
    when delivery.function = 'confirm' then 'The booking will be read again to confirm that the source no longer lists something.'
    when delivery.event_type = 'release' then 'The booking is read again after a release.'
    when delivery.event_type = 'missing' then 'The booking is read on its own: it was missing from two lists in a row.'
    when delivery.event_type = 'refetch' then 'The booking is read because a delivery could not be used as it was.'
    when delivery.status = 'duplicate' then format('%s, which delivery %s had already said.',
      sync.describe_delivery(delivery), coalesce(delivery.duplicate_of::text, '(pruned)'))
    else sync.describe_delivery(delivery) || '.' end
$$;

comment on function sync.describe_arrival(sync.deliveries) is 'The line about a delivery when it was stored.';

create function sync.describe_warnings(warnings jsonb) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select string_agg(distinct w.warning ->> 'field', ', ')
  from jsonb_array_elements(case jsonb_typeof(warnings) when 'array' then warnings else '[]' end) w (warning)
$$;

comment on function sync.describe_warnings(jsonb) is 'The fields of some warnings; null if there are none.';

create function sync.describe_end(delivery sync.deliveries) returns text
language sql stable
set search_path = ''
as $$
  select case delivery.status
    when 'pending' then format('Attempt %s failed: %s It will be tried again at %s.', delivery.attempts,
      sync.describe_error(delivery.last_error), sync.describe_instant(delivery.next_attempt_at))
    when 'processing' then format('Attempt %s is running.', delivery.attempts)
    when 'stale' then 'Older than what was already known; nothing changed.'
    when 'invalid' then 'Kept, but it could not be used: ' || sync.describe_error(delivery.last_error)
    when 'dead' then format('Given up after %s %s: %s', delivery.attempts,
      case delivery.attempts when 1 then 'attempt' else 'attempts' end, sync.describe_error(delivery.last_error))
    else case
      when (delivery.result || coalesce(delivery.result -> 'refetch', '{}')) ? 'coalesced_into'
        then 'Covered by a read for another delivery of this booking.'
      else format('%s: %s%s.', case when delivery.result ? 'refetch' then 'Checked at the source' else 'Processed' end,
        sync.describe_outcome(coalesce(delivery.result #>> '{refetch,outcome}', delivery.result ->> 'outcome')),
        case when delivery.attempts > 1 then format(' (attempt %s)', delivery.attempts) end)
        || coalesce(' Not used as it was sent: ' || sync.describe_warnings(
          coalesce(delivery.result #> '{refetch,warnings}', delivery.result -> 'warnings')) || '.', '') end
    end
$$;

comment on function sync.describe_end(sync.deliveries) is 'The line about what became of a delivery, or what its last attempt came to.';

create function sync.describe_hold(booking_id bigint, verdict text, at timestamptz, actor_id text) returns text
language sql stable
set search_path = ''
as $$
  select case describe_hold.verdict
    when 'held' then coalesce(k.what, 'A change') || case k.what when 'The deletion' then ' at the source'
      else ' was stopped by the brake and' end || ' waits for a person'
    when 'released' then coalesce(k.what || ' was released', 'Released')
      || ' by ' || coalesce(describe_hold.actor_id, 'an operator')
    when 'dismissed' then coalesce(k.what || ' was dismissed', 'Dismissed')
      || ' by ' || coalesce(describe_hold.actor_id, 'an operator')
    end
  from (select (
    select case h.class when 'status' then 'The change to ' || h.kind when 'deleted' then 'The deletion'
      else 'The removal of ' || case h.kind when 'products' then 'products' when 'files' then 'files' else h.kind || ' days' end end
    from sync.held_changes h
    where h.booking_id = describe_hold.booking_id and describe_hold.at = case describe_hold.verdict
      when 'held' then h.held_at when 'released' then h.released_at else h.dismissed_at end
    limit 1)) k (what)
$$;

comment on function sync.describe_hold(bigint, text, timestamptz, text) is
  'A row of history about a hold in words: opened (held), released or dismissed; null for another verdict.';

create function sync.describe_disagreement(changes jsonb) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select format('The sender said "%s", and every read since then shows %s: a person has to look',
    c.value #>> '{1,word}', c.value #>> '{1,read}')
  from jsonb_each(changes) c
  limit 1
$$;

comment on function sync.describe_disagreement(jsonb) is 'A row of history about a sender''s word that no read bore out, in words.';

create function sync.describe_review(changes jsonb) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select case when changes #> '{bookings.review_reasons,1}' = '[]' then 'Nothing is left to review'
    else 'For a person to review: ' || (
      select string_agg(replace(r.reason, '_', ' '), ', ')
      from jsonb_array_elements_text(changes #> '{bookings.review_reasons,1}') r (reason)) end
$$;

comment on function sync.describe_review(jsonb) is 'A row of history about review_reasons, in words.';

create function sync.describe_history(entry public.booking_history) returns text
language sql stable
set search_path = ''
as $$
  select coalesce(sync.describe_hold(entry.booking_id, entry.verdict, entry.at, entry.actor_id), case entry.verdict
      when 'created' then 'The booking appeared' when 'updated' then 'Changed' when 'applied' then 'The event was applied'
      when 'stub_created' then 'The booking became known from an event'
      when 'conflict' then 'The event contradicts a final status; a read decides'
      when 'disagrees' then sync.describe_disagreement(entry.changes)
      when 'review' then sync.describe_review(entry.changes)
      when 'absence_accepted' then 'Accepted as gone by ' || coalesce(entry.actor_id, 'an operator')
      when 'absence_dismissed' then 'Kept by ' || coalesce(entry.actor_id, 'an operator')
      when 'marked_missing' then 'Marked missing: it was in neither of two lists in a row, and a read of it alone did not find it'
      else entry.verdict end)
    || case
      when entry.actor = 'planner' then ' by planner ' || coalesce(entry.actor_id, '')
      when entry.actor = 'import' and entry.verdict not in ('marked_missing', 'disagrees', 'review') then coalesce((
        select ' (' || r.mode || ' run)' from sync.runs r where r.id = entry.run_id), ' (import)')
      else '' end
    || coalesce(': ' || sync.describe_changes(case when entry.verdict not in ('marked_missing', 'disagrees', 'review') then entry.changes else '{}' end), '')
    || '.'
$$;

comment on function sync.describe_history(public.booking_history) is 'A row of history in words: what, by whom, and which fields.';

create type sync.timeline_entry as (
  at timestamptz,
  place integer,
  what text,
  summary text,
  delivery_id uuid,
  run_id uuid,
  details jsonb
);

comment on type sync.timeline_entry is
  'A line of a booking''s timeline. place orders lines of one moment: received (1), decided by a person (2), read requested (3), changed (4), hold ended or confirming read put up (5), result (6).';

create function sync.booking_deliveries(booking_id bigint) returns setof sync.deliveries
language sql stable
set search_path = ''
as $$
  select d.*
  from public.bookings b
  join sync.connections c on c.organization_id = b.organization_id and c.source = b.source
  join sync.deliveries d on d.connection_id = c.id and d.external_id = b.external_id
  where b.id = booking_deliveries.booking_id
$$;

comment on function sync.booking_deliveries(bigint) is 'All deliveries about a booking.';

create function sync.explain_arrivals(booking_id bigint) returns setof sync.timeline_entry
language sql stable
set search_path = ''
as $$
  select d.received_at, case d.function when 'import-bookings' then 3 when 'confirm' then 5 else 1 end,
    case when d.replay_of is not null then 'replayed'
      when d.status = 'duplicate' then 'repeated'
      when d.event_type = 'release' then 'release'
      when d.function = 'confirm' then 'confirm'
      when d.event_type in ('refetch', 'missing') then 'refetch'
      else 'received' end,
    sync.describe_arrival(d), d.id, null::uuid, d.body
  from sync.booking_deliveries(explain_arrivals.booking_id) d
$$;

comment on function sync.explain_arrivals(bigint) is 'One line for each delivery about a booking, when it was stored.';

create function sync.explain_ends(booking_id bigint) returns setof sync.timeline_entry
language sql stable
set search_path = ''
as $$
  select coalesce(d.finished_at, d.claimed_at), 6,
    case when d.status in ('pending', 'processing') then 'waiting' else d.status end,
    sync.describe_end(d), d.id, null::uuid, coalesce(d.last_error, d.result)
  from sync.booking_deliveries(explain_ends.booking_id) d
  -- A held change has its line in history.
  where d.status not in ('duplicate', 'held') and (d.status <> 'pending' or d.attempts > 0)
$$;

comment on function sync.explain_ends(bigint) is 'One line for each delivery about a booking that was tried: what became of it.';

create function sync.explain_history(booking_id bigint) returns setof sync.timeline_entry
language sql stable
set search_path = ''
as $$
  select h.at, case when h.verdict in ('released', 'dismissed') then 2 else 4 end, h.verdict,
    sync.describe_history(h), h.delivery_id, h.run_id, h.changes
  from public.booking_history h
  where h.booking_id = explain_history.booking_id
$$;

comment on function sync.explain_history(bigint) is 'One line for each change of a booking and each decision about its holds.';

create function sync.explain_hold_ends(booking_id bigint) returns setof sync.timeline_entry
language sql stable
set search_path = ''
as $$
  select h.dismissed_at, 5, 'hold_ended', format('The hold on %s ended: a later statement was applied.', h.kind),
    h.delivery_id, h.run_id, h.snapshot
  from sync.held_changes h
  where h.booking_id = explain_hold_ends.booking_id and h.dismissed_at is not null and h.by = 'system'
$$;

comment on function sync.explain_hold_ends(bigint) is 'One line for each hold that ended because of a later statement.';

create function public.explain_booking(booking_id bigint)
returns table (at timestamptz, what text, summary text, delivery_id uuid, run_id uuid, details jsonb)
language sql stable
set search_path = ''
as $$
  select t.at, t.what, t.summary, t.delivery_id, t.run_id, t.details
  from (
    select * from sync.explain_arrivals(explain_booking.booking_id)
    union all
    select * from sync.explain_ends(explain_booking.booking_id)
    union all
    select * from sync.explain_history(explain_booking.booking_id)
    union all
    select * from sync.explain_hold_ends(explain_booking.booking_id)
  ) t
  order by t.at, t.place, t.delivery_id
$$;

comment on function public.explain_booking(bigint) is
  'Everything that happened to a booking, in order and in words: deliveries, what became of them, field changes with before and after, holds, releases, replays.';

-- schemas/91_operators.sql

-- What an operator does by hand: replay, release or dismiss, pause and resume; the state of every
-- connection at a glance; retention.

create function sync.queue_replays(delivery_ids uuid[]) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  written bigint;
begin
  with originals as (
    select d.*, c.organization_id, c.source
    from sync.deliveries d
    join sync.connections c on c.id = d.connection_id
    where d.id = any (delivery_ids)
  ), requested as materialized (
    select r.* from sync.request_reads(array(
      select row(o.organization_id, o.source, o.external_id)::sync.lane from originals o)) r
  ), replays as (
    -- A key of its own, so that dedupe never swallows it.
    insert into sync.deliveries (connection_id, function, dedupe_key, replay_of, event_type,
      external_id, event_timestamp, headers, body, seq, next_attempt_at)
    select o.connection_id, o.function, 'replay:' || gen_random_uuid(), coalesce(o.replay_of, o.id), o.event_type,
      o.external_id, o.event_timestamp, o.headers, o.body, r.requested_seq, now()
    from originals o
    join requested r on r.organization_id = o.organization_id and r.source = o.source and r.external_id = o.external_id
    returning 1
  )
  select count(*) into written from replays;
  return written;
end;
$$;

comment on function sync.queue_replays(uuid[]) is
  'Queues a replay of each of these deliveries and returns how many (rule: same event, one effect; a replay is another event).';

create function public.replay_deliveries(
  delivery_ids uuid[] default null,
  organization_id uuid default null,
  source public.booking_source default null,
  external_id text default null,
  status text default null,
  received_from timestamptz default null,
  received_to timestamptz default null,
  count_only boolean default true
) returns table (matched bigint, replayed bigint, without_booking bigint)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  chosen uuid[];
  nameless bigint;
begin
  if num_nonnulls(replay_deliveries.delivery_ids, replay_deliveries.external_id,
      replay_deliveries.status, replay_deliveries.received_from, replay_deliveries.received_to) = 0 then
    raise exception 'Cannot replay: name deliveries, a booking, a status or a time window'
      using errcode = '22023';
  end if;
  if replay_deliveries.status not in ('pending', 'processing', 'succeeded', 'duplicate', 'stale', 'held', 'invalid', 'dead') then
    raise exception 'Cannot replay: % is not a status of deliveries', replay_deliveries.status using errcode = '22023';
  end if;

  select array_agg(d.id) filter (where d.connection_id is not null and d.external_id is not null),
    count(*) filter (where d.connection_id is null or d.external_id is null)
  into chosen, nameless
  from sync.deliveries d
  left join sync.connections c on c.id = d.connection_id
  where (replay_deliveries.delivery_ids is null or d.id = any (replay_deliveries.delivery_ids))
    and (replay_deliveries.organization_id is null or c.organization_id = replay_deliveries.organization_id)
    and (replay_deliveries.source is null or c.source = replay_deliveries.source)
    and (replay_deliveries.external_id is null or d.external_id = replay_deliveries.external_id)
    and (replay_deliveries.status is null or d.status = replay_deliveries.status)
    -- A window or a status means what was sent to us, once; of dead deliveries only those that no replay
    -- has brought to an end. A replay itself is named by its id.
    and (replay_deliveries.delivery_ids is not null or d.replay_of is null
      and (d.status <> 'dead' or sync.is_given_up(d.id)))
    and (replay_deliveries.received_from is null or d.received_at >= replay_deliveries.received_from)
    and (replay_deliveries.received_to is null or d.received_at < replay_deliveries.received_to);

  return query select coalesce(cardinality(chosen), 0) + nameless,
    case when replay_deliveries.count_only or chosen is null then 0 else sync.queue_replays(chosen) end, nameless;
end;
$$;

comment on function public.replay_deliveries(uuid[], uuid, public.booking_source, text, text, timestamptz, timestamptz, boolean) is
  'Has kept deliveries processed again, by id, by booking, by status and time window; replays themselves by id only, dead ones until a replay has ended well. Counts only, unless count_only is false. Deliveries that name no booking cannot be replayed and are counted apart.';

create function sync.decide_holds(held_change_ids bigint[], by text, dismiss boolean) returns setof sync.held_changes
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  -- The bookings first and in one order, as a page does.
  perform from sync.held_changes h
  join public.bookings b on b.id = h.booking_id
  join sync.source_states s on s.organization_id = b.organization_id and s.source = b.source
    and s.external_id = b.external_id
  where h.id = any (decide_holds.held_change_ids)
  order by s.organization_id, s.source, s.external_id
  for update of s;

  return query
  with decided as (
    update sync.held_changes h set
      released_at = case when not decide_holds.dismiss then now() end,
      dismissed_at = case when decide_holds.dismiss then now() end,
      by = decide_holds.by
    where h.id = any (decide_holds.held_change_ids) and h.released_at is null and h.dismissed_at is null
    returning h.*
  ), noted as (
    insert into public.booking_history (organization_id, booking_id, actor, actor_id, verdict)
    select d.organization_id, d.booking_id, 'operator', decide_holds.by,
      case when decide_holds.dismiss then 'dismissed' else 'released' end
    from decided d
  )
  select d.* from decided d;
end;
$$;

comment on function sync.decide_holds(bigint[], text, boolean) is
  'Releases or dismisses those of these holds that are open, with their history; returns them.';

-- The same statement is known from now on and is not held again; another one is.
create function sync.note_dismissals(decided sync.held_changes[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  update sync.source_states s set content_hash = d.snapshot ->> 'content_hash', updated_at = now()
  from unnest(decided) d
  join public.bookings b on b.id = d.booking_id
  where s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id;
end;
$$;

comment on function sync.note_dismissals(sync.held_changes[]) is 'Takes the statements that were dismissed as known.';

-- What is true now is read afresh and passes the brake; it is compared with the rows, not with a hash.
create function sync.queue_releases(decided sync.held_changes[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  with bookings as materialized (
    select d.id as held_change_id, b.organization_id, b.source, b.external_id, c.id as connection_id
    from unnest(decided) d
    join public.bookings b on b.id = d.booking_id
    join sync.connections c on c.organization_id = b.organization_id and c.source = b.source
  ), requested as materialized (
    select r.* from sync.request_reads(array(
      select row(b.organization_id, b.source, b.external_id)::sync.lane from bookings b)) r
  )
  insert into sync.deliveries (connection_id, function, dedupe_key, event_type, external_id, seq, next_attempt_at)
  select b.connection_id, 'import-bookings', 'release:' || b.held_change_id, 'release', b.external_id, r.requested_seq, now()
  from bookings b
  join requested r on r.organization_id = b.organization_id and r.source = b.source and r.external_id = b.external_id
  on conflict (dedupe_key) where status <> 'duplicate' do nothing;

  update sync.source_states s set content_hash = null
  from unnest(decided) d
  join public.bookings b on b.id = d.booking_id
  where s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id;
end;
$$;

comment on function sync.queue_releases(sync.held_changes[]) is 'Queues a read of each booking that a person has released.';

-- A deletion is not read again: its tombstone may be gone by now. What a person releases is what was stated.
create function sync.release_deletions(decided sync.held_changes[]) returns void
language plpgsql
set search_path = ''
as $$
declare
  departed bigint[];
begin
  with cancelled as (
    update public.bookings b set
      status = (c.booking).status, status_changed_at = now(), cancelled_at = now(), updated_at = now()
    from (
      select jsonb_populate_record(k, sync.status_patch(k.status, 'CANCELLED', now())) as booking, d.by
      from unnest(decided) d
      join public.bookings k on k.id = d.booking_id and k.status = 'CONFIRMED'
    ) c
    where b.id = (c.booking).id
    returning b.id, b.organization_id, c.by
  ), noted as (
    insert into public.booking_history (organization_id, booking_id, actor, actor_id, verdict, changes)
    select c.organization_id, c.id, 'operator', c.by, 'updated',
      jsonb_build_object('bookings.status', jsonb_build_array('CONFIRMED', 'CANCELLED'))
    from cancelled c
  )
  select array_agg(c.id) into departed from cancelled c;
  update sync.held_changes h set settled_at = now() from unnest(decided) d where h.id = d.id;
  perform from public.project_bookings(departed);
  perform sync.note_unsettled(array(select d.booking_id from unnest(decided) d));
end;
$$;

comment on function sync.release_deletions(sync.held_changes[]) is
  'Cancels the bookings whose deletion a person has released; the mark that the source has deleted them stays.';

create function public.release_held_changes(
  held_change_ids bigint[],
  by text,
  dismiss boolean default false
) returns table (held_change_id bigint, booking_id bigint, outcome text)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  decided sync.held_changes[];
begin
  if coalesce(release_held_changes.by, '') = '' then
    raise exception 'Cannot release held changes: by must say who decides' using errcode = '22023';
  end if;
  decided := array(select h from sync.decide_holds(
    release_held_changes.held_change_ids, release_held_changes.by, release_held_changes.dismiss) h);
  if release_held_changes.dismiss then
    perform sync.note_dismissals(array(select d from unnest(decided) d where d.class = 'status'));
    perform public.dismiss_absence(d.booking_id, d.class, release_held_changes.by)
    from unnest(decided) d where d.class not in ('status', 'deleted');
    perform sync.note_unsettled(array(select d.booking_id from unnest(decided) d where d.class = 'deleted'));
  else
    perform sync.queue_releases(array(select d from unnest(decided) d where d.class <> 'deleted'));
    perform sync.release_deletions(array(select d from unnest(decided) d where d.class = 'deleted'));
    perform public.accept_absence(d.booking_id, d.class, release_held_changes.by)
    from unnest(decided) d where d.class not in ('status', 'deleted');
  end if;

  perform from sync.review(array(select d.booking_id from unnest(decided) d));
  return query
  select d.id, d.booking_id, case when release_held_changes.dismiss then 'dismissed' else 'released' end
  from unnest(decided) d
  union all
  select n.id, h.booking_id, case when h.id is null then 'unknown' else 'decided_before' end
  from unnest(release_held_changes.held_change_ids) n (id)
  left join sync.held_changes h on h.id = n.id
  where n.id not in (select d.id from unnest(decided) d);
end;
$$;

comment on function public.release_held_changes(bigint[], text, boolean) is
  'Lets held changes pass: each booking is read afresh and what is then true is applied, past the brake; a deletion cancels its booking at once. With dismiss the held statement is dropped instead.';

create function sync.apply_status_words(organization_id uuid, source public.booking_source, words text[])
returns setof sync.snapshot_verdict
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  page sync.page;
  snapshots jsonb;
  last_id bigint := 0;
begin
  page.organization_id := apply_status_words.organization_id;
  page.source := apply_status_words.source;
  page.force := false;
  page.detailed := false;
  page.compares := true;
  loop
    -- What was read last, said once more: the rows are compared, and nothing newer is undone.
    select jsonb_agg(jsonb_build_object('external_id', k.external_id, 'fetched_at', k.fetched_at,
        'content_hash', k.content_hash, 'source_version', k.source_version, 'source_updated_at', k.source_updated_at,
        'booking', jsonb_build_object('source_status', k.source_status)) order by k.external_id), max(k.id)
    into snapshots, last_id
    from (
      select b.id, b.external_id, b.source_status, coalesce(s.fetched_at, now()) as fetched_at,
        coalesce(s.content_hash, '') as content_hash, s.source_version, s.source_updated_at
      from public.bookings b
      join sync.source_states s on s.organization_id = b.organization_id and s.source = b.source and s.external_id = b.external_id
      where b.organization_id = apply_status_words.organization_id and b.source = apply_status_words.source
        and b.id > last_id and b.source_status = any (words)
      order by b.id
      limit 500
    ) k;
    exit when snapshots is null;
    return query select v.* from unnest(sync.apply_page(page, snapshots)) v;
  end loop;
end;
$$;

comment on function sync.apply_status_words(uuid, public.booking_source, text[]) is
  'Reads the status words of stored bookings again, as they were last sent, and applies what they mean now, through the brake.';

create function public.map_status_word(
  organization_id uuid, source public.booking_source, word text, status text, by text
) returns table (external_id text, verdict text)
language plpgsql
set search_path = ''
set enable_nestloop = off
set jit = off
as $$
#variable_conflict use_column
declare
  normal constant text := sync.normalize_word(map_status_word.word);
begin
  if coalesce(normal, '') = '' or coalesce(map_status_word.by, '') = '' then
    raise exception 'Cannot map a status word: word and by must say something' using errcode = '22023';
  end if;
  insert into sync.status_words as w (organization_id, source, word, means, by)
  values (map_status_word.organization_id, map_status_word.source, normal, map_status_word.status, map_status_word.by)
  on conflict on constraint status_words_key do update set means = excluded.means, by = excluded.by;
  return query
  select v.external_id, v.verdict
  from public.organizations o
  cross join lateral (
    select array_agg(distinct b.source_status) as words from public.bookings b
    where b.organization_id = o.id and b.source = map_status_word.source
      and sync.normalize_word(b.source_status) = normal
  ) k
  cross join lateral sync.apply_status_words(o.id, map_status_word.source, k.words) v
  where (map_status_word.organization_id is null or o.id = map_status_word.organization_id) and k.words is not null;
end;
$$;

comment on function public.map_status_word(uuid, public.booking_source, text, text, text) is
  'Says what a status word of a source means, for one organization or (null) for all that have not mapped it: a status of ours, deleted or unchanged. The bookings that have it follow at once, through the brake; one row for each.';

create function public.pause_connection(organization_id uuid, source public.booking_source, reason text)
returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  update sync.connections c set paused_at = coalesce(c.paused_at, now()), pause_reason = pause_connection.reason, updated_at = now()
  where c.organization_id = pause_connection.organization_id and c.source = pause_connection.source;
  if not found then
    raise exception 'Cannot pause: organization % has no connection to %', pause_connection.organization_id, pause_connection.source
      using errcode = 'P0002';
  end if;
end;
$$;

comment on function public.pause_connection(uuid, public.booking_source, text) is
  'Stops claiming for a connection; deliveries are still kept, and no attempt is used up (rule: pausing costs nothing).';

create function public.resume_connection(organization_id uuid, source public.booking_source)
returns void
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
begin
  update sync.connections c set paused_at = null, pause_reason = null, updated_at = now()
  where c.organization_id = resume_connection.organization_id and c.source = resume_connection.source;
  if not found then
    raise exception 'Cannot resume: organization % has no connection to %', resume_connection.organization_id, resume_connection.source
      using errcode = 'P0002';
  end if;
end;
$$;

comment on function public.resume_connection(uuid, public.booking_source) is 'Lets a paused connection work again.';

create function public.sync_status()
returns table (
  organization_id uuid, organization_name text, source public.booking_source, enabled boolean,
  paused_at timestamptz, pause_reason text, cursor timestamptz, cursor_lag interval,
  oldest_undone_at timestamptz, due bigint, processing bigint, dead bigint, held bigint,
  last_delivery_at timestamptz, last_success_at timestamptz, deliveries_last_hour bigint,
  usual_deliveries_in_this_hour numeric, runs jsonb, doubted bigint, disagreeing bigint,
  stalest_read_at timestamptz, overdue bigint, odd_today jsonb
)
language sql stable
set search_path = ''
as $$
  select c.organization_id, o.name, c.source, c.enabled, c.paused_at, c.pause_reason, c.cursor,
    now() - c.cursor, q.oldest, q.due, q.processing, q.dead,
    (select count(*) from sync.held_changes h join public.bookings b on b.id = h.booking_id
     where h.organization_id = c.organization_id and b.source = c.source
       and h.released_at is null and h.dismissed_at is null),
    -- The column is to within seconds, and events that change nothing do not touch it.
    greatest(c.last_delivery_at, (select d.received_at from sync.deliveries d
       where d.connection_id = c.id and d.replay_of is null and d.function not in ('import-bookings', 'confirm')
       order by d.received_at desc limit 1)),
    -- What changed nothing is a success too.
    greatest(c.last_success_at,
      (select d.finished_at from sync.deliveries d where d.connection_id = c.id and d.status = 'succeeded'
       order by d.received_at desc limit 1),
      (select max(r.finished_at) from sync.runs r
       where r.organization_id = c.organization_id and r.source = c.source and r.status = 'completed')),
    (select count(*) from sync.deliveries d
     where d.connection_id = c.id and d.received_at > now() - interval '1 hour'
       and d.replay_of is null and d.function not in ('import-bookings', 'confirm')),
    -- The same hour of the last four weeks: silence shows.
    (select round(count(*) / 4.0, 1) from generate_series(1, 4) w (weeks_ago)
     join sync.deliveries d on d.connection_id = c.id
       and d.received_at > now() - interval '1 hour' - w.weeks_ago * interval '7 days'
       and d.received_at <= now() - w.weeks_ago * interval '7 days'
       and d.replay_of is null and d.function not in ('import-bookings', 'confirm')),
    (select jsonb_agg(jsonb_build_object('run_id', r.id, 'mode', r.mode, 'status', r.status,
        'started_at', r.started_at, 'heartbeat_at', r.heartbeat_at, 'counters', r.counters) order by r.started_at)
     from sync.runs r
     where r.organization_id = c.organization_id and r.source = c.source and r.status in ('running', 'stopped')),
    (select count(*) from sync.doubts d join public.bookings b on b.id = d.booking_id
     where d.organization_id = c.organization_id and b.source = c.source and d.dismissed_at is null),
    (select count(*) from sync.disagreements g join public.bookings b on b.id = g.booking_id
     where g.organization_id = c.organization_id and b.source = c.source and g.outcome = 'disagrees'),
    f.stalest, f.overdue,
    (select jsonb_object_agg(n.kind, n.count) from (
      select o.kind, sum(o.count) as count from sync.source_observations o
      where o.connection_id = c.id and o.day = (now() at time zone 'UTC')::date group by o.kind) n)
  from sync.connections c
  join public.organizations o on o.id = c.organization_id
  cross join lateral (
    -- A confirming read waits for its time: it is not behind.
    select min(d.received_at) filter (where d.status in ('pending', 'processing') and d.function <> 'confirm') as oldest,
      count(*) filter (where d.status = 'pending' and d.next_attempt_at <= now()) as due,
      count(*) filter (where d.status = 'processing') as processing,
      count(*) filter (where d.status = 'dead' and d.replay_of is null and sync.is_given_up(d.id)) as dead
    from sync.deliveries d
    where d.connection_id = c.id and d.status in ('pending', 'processing', 'dead')
  ) q
  cross join lateral (
    select min(s.read_at) as stalest, count(*) filter (where s.read_at + s.refresh_after < now()) as overdue
    from sync.source_states s
    where s.organization_id = c.organization_id and s.source = c.source and s.refresh_due_at is not null
  ) f
  order by o.name, c.source
$$;

comment on function public.sync_status() is
  'One row per connection: cursor and its lag, undone and dead deliveries, held changes, last success, this hour''s rate against the same hour of the last four weeks, open runs, rows in doubt (doubted), bookings whose sender and source do not agree (disagreeing), the oldest read of a booking that is kept fresh (stalest_read_at) and how many are older than their rule allows (overdue), what was odd in the source''s answers today (odd_today).';

create function public.prune_deliveries(max_rows integer default 10000)
returns table (bodies bigint, deliveries bigint, runs bigint)
language sql
set search_path = ''
as $$
  with believed as (
    -- They count for an hour.
    delete from sync.believed_absences a where a.believed_at < now() - interval '1 day'
  ), bodies as (
    update sync.deliveries d set body = null, headers = '{}',
      body_hash = encode(sha256(convert_to(d.body::text, 'UTF8')), 'hex')
    where d.id in (
      select o.id from sync.deliveries o
      where o.body is not null and o.finished_at is not null
        and o.received_at < now() - interval '90 days'
        -- What goes altogether needs no hash first.
        and o.received_at >= now() - interval '1 year'
      order by o.received_at
      limit prune_deliveries.max_rows
      for update skip locked)
    returning 1
  ), old as (
    select o.id
    from sync.connections c
    cross join lateral (
      select e.id from sync.deliveries e
      where e.connection_id = c.id and e.finished_at is not null and e.received_at < now() - interval '1 year'
      order by e.received_at
      limit prune_deliveries.max_rows
      for update skip locked
    ) o
    limit prune_deliveries.max_rows
  ), homeless as (
    select e.id from sync.deliveries e
    where e.connection_id is null and e.finished_at is not null and e.received_at < now() - interval '1 year'
    order by e.received_at
    limit prune_deliveries.max_rows
    for update skip locked
  ), deleted as (
    delete from sync.deliveries d
    where d.id in (select o.id from old o union all select h.id from homeless h)
    returning 1
  ), deleted_runs as (
    delete from sync.runs r
    where r.id in (
      select o.id from sync.runs o
      where o.status in ('completed', 'failed') and o.finished_at < now() - interval '1 year'
      order by o.finished_at
      limit prune_deliveries.max_rows / 100 + 1
      for update skip locked)
    returning 1
  )
  select (select count(*) from bodies), (select count(*) from deleted), (select count(*) from deleted_runs)
$$;

comment on function public.prune_deliveries(integer) is
  'One batch of retention: bodies and headers of deliveries finished over 90 days ago (their hash stays), rows over a year old, runs over a year old. Call it again until it returns zeros.';

-- schemas/92_schedule.sql

-- When import-bookings is called: pg_cron keeps the time, pg_net makes the call, the Vault holds the URL
-- and the key. Local stacks have a ticker instead.
-- Nothing is scheduled on a database without pg_cron, pg_net or the Vault; `select sync.schedule_jobs()`
-- does it later. Calls fail until the Vault has the secrets booking_sync_url (https://<ref>.supabase.co)
-- and booking_sync_key (a secret key or the service role key); cron.job_run_details says why.

-- Queries are text because pg_net and the Vault need not exist.
create function sync.call_import_bookings(sync_mode text) returns bigint
language plpgsql
set search_path = ''
as $$
declare
  url text;
  key text;
  request_id bigint;
begin
  if to_regclass('vault.decrypted_secrets') is null or to_regnamespace('net') is null then
    raise exception 'Cannot call import-bookings: pg_net or the Vault is not installed';
  end if;
  execute format('select (select s.decrypted_secret from %1$s s where s.name = ''booking_sync_url''),
    (select s.decrypted_secret from %1$s s where s.name = ''booking_sync_key'')', to_regclass('vault.decrypted_secrets'))
  into url, key;
  if coalesce(url, '') = '' or coalesce(key, '') = '' then
    raise exception 'Cannot call import-bookings: the Vault has no secret booking_sync_url or booking_sync_key'
      using hint = 'select vault.create_secret(''https://<ref>.supabase.co'', ''booking_sync_url'');';
  end if;
  -- Waits as long as a run may take; the answer stays in net._http_response for a while.
  execute format('select %s.http_post(url := $1, body := $2, headers := $3, timeout_milliseconds := 150000)', to_regnamespace('net'))
  into request_id
  using rtrim(btrim(url), '/') || '/functions/v1/import-bookings', jsonb_build_object('syncMode', call_import_bookings.sync_mode),
    -- New secret keys are not JWTs and go in apikey only.
    jsonb_build_object('content-type', 'application/json', 'apikey', btrim(key))
      || case when btrim(key) like 'sb\_%' then '{}'::jsonb
        else jsonb_build_object('authorization', 'Bearer ' || btrim(key)) end;
  return request_id;
end;
$$;

comment on function sync.call_import_bookings(text) is
  'Calls import-bookings through pg_net with URL and key from the Vault; returns pg_net''s request id.';

create function sync.schedule_jobs() returns boolean
language plpgsql
set search_path = ''
as $$
declare
  job record;
begin
  if to_regnamespace('cron') is null or to_regnamespace('net') is null
    or to_regclass('vault.decrypted_secrets') is null then
    return false;
  end if;
  for job in
    select * from (values
      ('booking-sync-drain', '* * * * *', 'select sync.call_import_bookings(''drain'')'),
      ('booking-sync-incremental', '*/5 * * * *', 'select sync.call_import_bookings(''incremental'')'),
      ('booking-sync-reconcile', '15 1 * * *', 'select sync.call_import_bookings(''reconcile'')'),
      -- One bounded batch a minute, for an hour.
      ('booking-sync-prune', '* 3 * * *', 'select * from public.prune_deliveries()')
    ) as j (name, schedule, command)
  loop
    -- A job of the same name is replaced.
    execute format('select %s.schedule($1, $2, $3)', to_regnamespace('cron')) using job.name, job.schedule, job.command;
  end loop;
  return true;
end;
$$;

comment on function sync.schedule_jobs() is
  'Schedules drain (every minute), incremental (every five), reconcile and pruning (nightly, UTC) with pg_cron; false if pg_cron, pg_net or the Vault is missing. May be called again.';

do $$
begin
  if (select count(*) from pg_available_extensions e where e.name in ('pg_cron', 'pg_net', 'supabase_vault')) < 3 then
    return;
  end if;
  begin
    create extension if not exists supabase_vault;
    create extension if not exists pg_net with schema extensions;
    create extension if not exists pg_cron;
    perform sync.schedule_jobs();
  exception when others then
    -- Available but not usable: not preloaded, in another database, or not permitted.
    raise warning 'Cannot schedule the jobs of the booking sync: %', sqlerrm
      using hint = 'Enable pg_cron, pg_net and the Vault, then: select sync.schedule_jobs();';
  end;
end;
$$;

-- schemas/95_realtime.sql

-- Open screens follow the rows: what planners and packers look at is published where a project has
-- Supabase Realtime. It checks the policies of each row (81) for every listener.

do $$
begin
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    alter publication supabase_realtime add table public.bookings, public.booking_dates,
      public.booking_products, public.booking_attachments, public.calendar_events, public.warehouse_events,
      public.packing_projects, public.packing_tasks, public.packing_items, public.packing_change_requests;
  end if;
end;
$$;

-- schemas/99_privileges.sql

-- Who may do what. The schema sync is private: service_role reaches it, through the functions in public
-- that are the API of the database. Members read the rows of their organizations (policies: 81); planners
-- and packers write the columns that are theirs, named here, and nothing else.

-- The machinery.
revoke all on schema sync from public, anon, authenticated;
grant usage on schema sync to service_role;
revoke all on all tables in schema sync from public, anon, authenticated;
grant select, insert, update, delete on all tables in schema sync to service_role;
grant usage, select on all sequences in schema sync to service_role;
revoke all on all functions in schema sync from public, anon, authenticated;
grant execute on all functions in schema sync to service_role;
-- These call out with the keys of the Vault: the owner schedules them.
revoke all on function sync.call_import_bookings, sync.schedule_jobs from service_role;

-- The API of the database.
revoke all on function
  public.receive_delivery, public.claim_deliveries, public.claim_refreshes, public.finish_delivery,
  public.apply_headout_event, public.apply_snapshots, public.accept_absence, public.dismiss_absence, public.map_status_word, public.project_bookings, public.begin_run,
  public.checkpoint_run, public.finish_run, public.list_connections, public.list_resumable_runs,
  public.resume_run, public.list_drift, public.count_drift, public.explain_booking,
  public.replay_deliveries, public.release_held_changes, public.pause_connection,
  public.resume_connection, public.sync_status, public.prune_deliveries,
  public.stored_files, public.sweep_files, public.pass_unchanged
  from public, anon, authenticated;
grant execute on function
  public.receive_delivery, public.claim_deliveries, public.claim_refreshes, public.finish_delivery,
  public.apply_headout_event, public.apply_snapshots, public.accept_absence, public.dismiss_absence, public.map_status_word, public.project_bookings, public.begin_run,
  public.checkpoint_run, public.finish_run, public.list_connections, public.list_resumable_runs,
  public.resume_run, public.list_drift, public.count_drift, public.explain_booking,
  public.replay_deliveries, public.release_held_changes, public.pause_connection,
  public.resume_connection, public.sync_status, public.prune_deliveries,
  public.stored_files, public.sweep_files, public.pass_unchanged
  to service_role;

-- The domain tables: every member reads, the functions write as service_role.
revoke all on public.organizations, public.organization_members, public.bookings, public.booking_dates,
  public.booking_products, public.booking_attachments, public.booking_history, public.calendar_events,
  public.warehouse_events, public.packing_projects, public.packing_tasks, public.packing_items,
  public.packing_change_requests from anon, authenticated;
grant select on public.organizations, public.organization_members, public.bookings, public.booking_dates,
  public.booking_products, public.booking_attachments, public.booking_history, public.calendar_events,
  public.warehouse_events, public.packing_projects, public.packing_tasks, public.packing_items,
  public.packing_change_requests to authenticated;
grant select, insert, update, delete on public.organizations, public.organization_members, public.bookings,
  public.booking_dates, public.booking_products, public.booking_attachments, public.booking_history,
  public.calendar_events, public.warehouse_events, public.packing_projects, public.packing_tasks,
  public.packing_items, public.packing_change_requests to service_role;
-- A role that may insert needs no right to the sequence of an identity column.
revoke all on all sequences in schema public from public, anon, authenticated;
grant usage, select on all sequences in schema public to service_role;

-- What planners and packers write (rule: a person's work is never overwritten).
grant update (planner_notes, review_reasons) on public.bookings to authenticated;
grant update (starts_at, ends_at, resource_id, times_locked, adjusted_at) on public.calendar_events to authenticated;
grant update (starts_at, ends_at, adjusted_at) on public.warehouse_events to authenticated;
grant update (status) on public.packing_projects to authenticated;
grant update (completed_at, due_on, adjusted_at) on public.packing_tasks to authenticated;
grant update (quantity_packed, quantity_returned, packed_at, excluded, notes) on public.packing_items to authenticated;
grant update (status, resolved_at, resolved_by) on public.packing_change_requests to authenticated;
grant insert (organization_id, event_type, day, starts_at, ends_at, title, delivery_address, resource_id, times_locked)
  on public.calendar_events to authenticated;
grant insert (organization_id, packing_project_id, manual_name, quantity_to_pack, notes)
  on public.packing_items to authenticated;
grant insert (organization_id, booking_id, url, url_key, file_name, file_type, origin)
  on public.booking_attachments to authenticated;
