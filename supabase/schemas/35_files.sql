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
