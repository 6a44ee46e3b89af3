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
