-- Purpose: explain_booking says in words what it said in the names of columns: that the source no
-- longer lists a day, a product, a file or the booking itself, which run an import was part of, and
-- what it was that the brake stopped.
-- Compatible: same arguments, same columns, other texts in summary.

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

create or replace function sync.describe_changes(changes jsonb) returns text
language sql stable
set search_path = ''
as $$
  select string_agg(w.words, '; ' order by w.place, w.words)
  from (
    select 1 as place, case
        when right(c.key, 21) = '.source_missing_since' then sync.describe_subject(c.key) || case
          when c.value ->> 1 is not null then ' is no longer listed by the source' else ' is listed by the source again' end
        else regexp_replace(regexp_replace(c.key, '^bookings\.', ''), '^booking_', '') || ': '
          || coalesce(c.value ->> 0, 'nothing') || ' → ' || coalesce(c.value ->> 1, 'nothing') end as words
    from jsonb_each(changes) c
    where right(c.key, 2) <> '.*'
      and c.key not in ('bookings.status_changed_at', 'bookings.confirmed_at', 'bookings.completed_at',
        'bookings.cancelled_at', 'bookings.rejected_at', 'bookings.extra', 'bookings.economics')
    union all
    select 2, count(*) || ' new in ' || split_part(c.key, '[', 1)
    from jsonb_each(changes) c
    where right(c.key, 2) = '.*'
    group by split_part(c.key, '[', 1)
  ) w
$$;

create or replace function public.explain_booking(booking_id bigint)
returns table (at timestamptz, what text, summary text, delivery_id uuid, run_id uuid, details jsonb)
language sql stable
set search_path = ''
as $$
  with booking as (
    select b.id, b.organization_id, b.source, b.external_id, c.id as connection_id
    from public.bookings b
    left join sync.connections c on c.organization_id = b.organization_id and c.source = b.source
    where b.id = $1
  ), deliveries as (
    select d.* from booking b
    join sync.deliveries d on d.connection_id = b.connection_id and d.external_id = b.external_id
  ), timeline as (
    select d.received_at as at, 1 as place, case when d.replay_of is not null then 'replayed'
        when d.status = 'duplicate' then 'repeated' when d.event_type = 'release' then 'release'
        when d.event_type in ('refetch', 'missing') then 'refetch' else 'received' end as what,
      case when d.replay_of is not null then 'An operator had delivery ' || d.replay_of || ' processed again.'
        when d.event_type = 'release' then 'The booking is read afresh after a release.'
        when d.event_type = 'missing' then 'The booking is asked for alone: two lists in a row have not had it.'
        when d.event_type = 'refetch' then 'The booking is read because a delivery could not be used as it was.'
        else format('%s said "%s"%s%s.',
          case d.function when 'headout-webhook' then 'Headout' else 'EventFlow' end,
          coalesce(d.event_type, 'changed'),
          coalesce(' (its clock: ' || d.event_timestamp || ')', ''),
          case when d.status = 'duplicate' then ', which delivery ' || coalesce(d.duplicate_of::text, '(pruned)') || ' had said already' else '' end)
      end as summary,
      d.id as delivery_id, null::uuid as run_id, d.body as details
    from deliveries d
    union all
    select coalesce(d.finished_at, d.claimed_at), 4,
      case when d.status in ('pending', 'processing') then 'waiting' else d.status end,
      case d.status
        when 'pending' then format('Attempt %s failed: %s Tried again at %s.', d.attempts,
          coalesce(d.last_error ->> 'message', ''), to_char(d.next_attempt_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
        when 'processing' then format('Attempt %s is running.', d.attempts)
        when 'succeeded' then format('Processed after %s %s: %s.', d.attempts, case d.attempts when 1 then 'attempt' else 'attempts' end,
          coalesce(case when d.result ? 'coalesced_into' then 'covered by the read for delivery ' || (d.result ->> 'coalesced_into') end,
            d.result ->> 'outcome', d.result #>> '{refetch,outcome}', 'done'))
        when 'stale' then 'Older than what was known already; nothing changed.'
        when 'held' then 'Held by the brake until a person decides.'
        when 'invalid' then 'Kept, but it could not be used: ' || coalesce(d.last_error ->> 'message', 'the body is not valid')
        when 'dead' then format('Given up after %s attempts: %s', d.attempts, coalesce(d.last_error ->> 'message', ''))
      end,
      d.id, null, coalesce(d.last_error, d.result)
    from deliveries d
    where d.status <> 'duplicate' and (d.status <> 'pending' or d.attempts > 0)
    union all
    select h.at, 2, h.verdict, case h.verdict
        when 'created' then 'The booking appeared' when 'updated' then 'Changed' when 'applied' then 'The event was applied'
        when 'stub_created' then 'The booking became known from an event'
        when 'conflict' then 'The event contradicts a final status; a read decides'
        when 'held' then coalesce('The change to ' || (
          select k.kind from sync.held_changes k where k.booking_id = h.booking_id and k.held_at = h.at limit 1),
          'A change') || ' was stopped by the brake'
        when 'released' then 'Let pass by ' || coalesce(h.actor_id, 'an operator')
        when 'dismissed' then 'Dropped by ' || coalesce(h.actor_id, 'an operator')
        else h.verdict end
      || case h.actor when 'planner' then ' by planner ' || coalesce(h.actor_id, '') when 'import' then coalesce(' (' || r.mode || ' run)', ' (import)') else '' end
      || coalesce(': ' || sync.describe_changes(h.changes), '') || '.',
      h.delivery_id, h.run_id, h.changes
    from public.booking_history h
    left join sync.runs r on r.id = h.run_id
    where h.booking_id = $1
    union all
    select coalesce(h.released_at, h.dismissed_at, h.held_at), 3,
      case when h.dismissed_at is not null then 'hold_dropped' when h.released_at is not null then 'hold_released' else 'hold_open' end,
      case when h.dismissed_at is not null then format('The hold on %s ended: %s.', h.kind, case when h.by = 'system' then 'a later statement was believed' else 'dropped by ' || h.by end)
        when h.released_at is not null then format('The hold on %s was released by %s%s.', h.kind, h.by, case when h.settled_at is null then '; a read is due' else '' end)
        else h.reason end,
      h.delivery_id, h.run_id, h.snapshot
    from sync.held_changes h
    where h.booking_id = $1
  )
  select t.at, t.what, t.summary, t.delivery_id, t.run_id, t.details
  from timeline t
  order by t.at, t.place, t.delivery_id
$$;

revoke all on function sync.describe_subject(text) from public, anon, authenticated;
grant execute on function sync.describe_subject(text) to service_role;
