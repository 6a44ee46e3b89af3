-- Every unique rule is a constraint of the database (rule: one writer per table).
begin;
select plan(16);

insert into public.organizations (id, name) values
  ('00000000-0000-4000-8000-00000000000a', 'A'), ('00000000-0000-4000-8000-00000000000b', 'B');

select set_eq(
  $$ select source::text from sync.connections where organization_id = '00000000-0000-4000-8000-00000000000a' and enabled $$,
  array['eventflow', 'headout'], 'a new organization has an enabled connection to each source');
select throws_ok(
  $$ insert into public.organizations (name, time_zone) values ('C', 'Mars/Olympus') $$,
  '22023', null, 'a time zone that does not exist is refused');
select throws_ok(
  $$ insert into sync.connections (organization_id, source) values ('00000000-0000-4000-8000-00000000000a', 'eventflow') $$,
  '23505', null, 'one connection per organization and source');

insert into public.bookings (organization_id, source, external_id) values
  ('00000000-0000-4000-8000-00000000000a', 'eventflow', '1');
select throws_ok(
  $$ insert into public.bookings (organization_id, source, external_id) values ('00000000-0000-4000-8000-00000000000a', 'eventflow', '1') $$,
  '23505', null, 'one booking per organization, source and external id');
select lives_ok(
  $$ insert into public.bookings (organization_id, source, external_id) values
     ('00000000-0000-4000-8000-00000000000b', 'eventflow', '1'), ('00000000-0000-4000-8000-00000000000a', 'headout', '1') $$,
  'the same id at another organization or source is another booking');

create temporary table subject as
  select id as booking_id, organization_id from public.bookings
  where organization_id = '00000000-0000-4000-8000-00000000000a' and source = 'eventflow';

select throws_ok(
  $$ insert into public.booking_dates (organization_id, booking_id, phase, day)
     select '00000000-0000-4000-8000-00000000000b', booking_id, 'rig', '2027-01-01' from subject $$,
  '23503', null, 'a child cannot belong to another organization than its booking');
select throws_ok(
  $$ update public.bookings set organization_id = '00000000-0000-4000-8000-00000000000b'
     where external_id = '1' and source = 'headout' and exists (
       select from public.booking_dates) $$ || ';' ||
  $$ insert into public.booking_dates (organization_id, booking_id, phase, day) select organization_id, booking_id, 'rig', '2027-01-01' from subject;
     update public.bookings set organization_id = '00000000-0000-4000-8000-00000000000b' where id = (select booking_id from subject) $$,
  '23505', null, 'an organization never changes under its children');

insert into public.booking_dates (organization_id, booking_id, phase, day)
select organization_id, booking_id, 'rig', '2027-01-01' from subject;
select throws_ok(
  $$ insert into public.booking_dates (organization_id, booking_id, phase, day) select organization_id, booking_id, 'rig', '2027-01-01' from subject $$,
  '23505', null, 'one row per phase and day');

insert into public.booking_products (organization_id, booking_id, external_id, name)
select organization_id, booking_id, n::text, 'Stol' from subject, generate_series(1, 2) n;
select throws_ok(
  $$ insert into public.booking_products (organization_id, booking_id, external_id) select organization_id, booking_id, '1' from subject $$,
  '23505', null, 'one row per product row of the source; equal names are two rows');

insert into public.booking_attachments (organization_id, booking_id, url, url_key)
select organization_id, booking_id, 'https://x/a?t=1', 'https://x/a' from subject;
select throws_ok(
  $$ insert into public.booking_attachments (organization_id, booking_id, url, url_key) select organization_id, booking_id, 'https://x/a?t=2', 'https://x/a' from subject $$,
  '23505', null, 'one row per file, whatever its token');

select throws_ok(
  $$ insert into public.calendar_events (organization_id, booking_id, event_type, day, starts_at, ends_at, title)
     select organization_id, booking_id, 'rig', '2027-01-01', '2027-01-01 20:00Z', '2027-01-01 08:00Z', 't' from subject $$,
  '23514', null, 'an end before its start is refused (incident: an end before its start)');

insert into public.packing_projects (organization_id, booking_id, name) select organization_id, booking_id, 'P' from subject;
select throws_ok(
  $$ insert into public.packing_projects (organization_id, booking_id, name) select organization_id, booking_id, 'P' from subject $$,
  '23505', null, 'one packing project per booking (incident: five packing projects for one booking)');

insert into sync.deliveries (id, function, dedupe_key) values ('00000000-0000-4000-8000-000000000001', 'receive-booking', 'k');
select throws_ok(
  $$ insert into sync.deliveries (function, dedupe_key) values ('receive-booking', 'k') $$,
  '23505', null, 'one delivery per dedupe key');
select lives_ok(
  $$ insert into sync.deliveries (function, dedupe_key, status, duplicate_of, finished_at)
     values ('receive-booking', 'k', 'duplicate', '00000000-0000-4000-8000-000000000001', now()) $$,
  'but its duplicates are kept');
select throws_ok(
  $$ insert into sync.deliveries (connection_id, external_id, function, dedupe_key, status, lease_token)
     select id, '1', 'receive-booking', n::text, 'processing', gen_random_uuid()
     from sync.connections, generate_series(1, 2) n where organization_id = '00000000-0000-4000-8000-00000000000a' and source = 'eventflow' $$,
  '23505', null, 'never two workers on one booking');
select throws_ok(
  $$ insert into sync.held_changes (organization_id, booking_id, kind, snapshot, reason)
     select organization_id, booking_id, 'CANCELLED', '{}', 'r' from subject, generate_series(1, 2) $$,
  '23505', null, 'at most one open hold per booking');

select * from finish();
rollback;
