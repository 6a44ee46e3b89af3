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
