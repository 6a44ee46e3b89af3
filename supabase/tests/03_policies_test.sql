-- Who sees and writes what through the API. Refusals are asserted as much as permissions.
begin;
select plan(17);

insert into public.organizations (id, name) values
  ('00000000-0000-4000-8000-00000000000a', 'A'), ('00000000-0000-4000-8000-00000000000b', 'B');
insert into public.organization_members (organization_id, user_id, role) values
  ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-0000000000aa', 'planner');
select public.apply_snapshots(o.id, 'eventflow', '[{"external_id": "1", "fetched_at": "2026-01-01T00:00:00Z",
  "content_hash": "h", "booking": {"title": "T", "client_name": "C", "status": "CONFIRMED"},
  "dates": {"complete": true, "items": [{"phase": "rig", "day": "2027-06-01"}]},
  "products": {"complete": true, "items": [{"external_id": "p", "name": "Stol", "quantity": 2}]}}]')
from public.organizations o where o.name in ('A', 'B');

set local role anon;
select throws_ok('select * from public.bookings', '42501', null, 'anon reads no booking');
select throws_ok($$ select public.sync_status() $$, '42501', null, 'anon calls no function');

set local role authenticated;
set local request.jwt.claims = '{"sub": "00000000-0000-4000-8000-0000000000bb", "role": "authenticated"}';
select is_empty('select * from public.bookings', 'a member of nothing sees no booking');
select is_empty('select * from public.organizations', 'nor an organization');

set local request.jwt.claims = '{"sub": "00000000-0000-4000-8000-0000000000aa", "role": "authenticated"}';
select results_eq('select organization_id from public.bookings',
  array['00000000-0000-4000-8000-00000000000a'::uuid], 'a member sees the bookings of their organization alone');
select isnt_empty('select * from public.booking_history', 'and their history');
select throws_ok('select * from sync.deliveries', '42501', null, 'the machinery is private');

select lives_ok($$ update public.bookings set planner_notes = 'ring first' $$, 'a planner writes planner notes');
select throws_ok($$ update public.bookings set title = 'x' $$, '42501', null, 'but nothing that the source owns');
select throws_ok($$ update public.bookings set status = 'CANCELLED' $$, '42501', null, 'nor the status');
select throws_ok($$ delete from public.bookings $$, '42501', null, 'and deletes nothing');
select throws_ok($$ update public.packing_items set quantity_to_pack = 9 $$, '42501', null, 'nor what the projection derives');
select lives_ok($$ update public.packing_items set quantity_packed = 1 $$, 'a packer notes what is packed');
select throws_ok($$ insert into public.calendar_events (organization_id, event_type, day, starts_at, ends_at, title)
  values ('00000000-0000-4000-8000-00000000000b', 'todo', '2027-01-01', '2027-01-01', '2027-01-02', 't') $$,
  '42501', null, 'nobody makes a todo for another organization');
select lives_ok($$ insert into public.calendar_events (organization_id, event_type, day, starts_at, ends_at, title)
  values ('00000000-0000-4000-8000-00000000000a', 'todo', '2027-01-01', '2027-01-01', '2027-01-02', 't') $$,
  'a planner makes a todo');
select lives_ok($$ insert into public.packing_items (organization_id, packing_project_id, manual_name, quantity_to_pack)
  select organization_id, id, 'Spik', 3 from public.packing_projects $$, 'a packer adds an item by hand');
select isnt_empty($$ select from public.booking_history where actor = 'planner' and actor_id = '00000000-0000-4000-8000-0000000000aa' $$,
  'history says which person did it');

select * from finish();
rollback;
