-- Purpose: why does this row look as it does? One ordered timeline in words (invariant 17), and the
-- state of every connection at a glance.

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

-- One changed field in words. Whole new rows are counted by their table, not spelled out.
create function sync.describe_changes(changes jsonb) returns text
language sql stable
set search_path = ''
as $$
  select string_agg(w.words, '; ' order by w.place, w.words)
  from (
    select 1 as place, case
        when right(c.key, 21) = '.source_missing_since' then sync.describe_subject(c.key) || case
          when c.value ->> 1 is not null then ' is no longer listed by the source' else ' is listed by the source again' end
        else regexp_replace(c.key, '^(bookings\.|booking_(?=[a-z]+\[))', '') || ': '
          || coalesce(c.value ->> 0, 'nothing') || ' → ' || coalesce(c.value ->> 1, 'nothing') end as words
    from jsonb_each(changes) c
    where right(c.key, 2) <> '.*'
      and c.key not in ('bookings.status_changed_at', 'bookings.confirmed_at', 'bookings.completed_at',
        'bookings.cancelled_at', 'bookings.rejected_at', 'bookings.extra', 'bookings.economics')
    union all
    -- Days are what people plan by; of the rest the number tells enough.
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

comment on function sync.describe_changes(jsonb) is 'History changes as a sentence.';

-- Purpose: explain_booking says in words a planner understands what it said in the names of columns:
-- which day, product or file is new or no longer listed, which run an import was part of, what the
-- brake stopped, what the read after an event said, which field of a body was wrong. One thing has one
-- line, and a cause stands before its effect.
-- Compatible: same arguments, same columns; other texts in summary, and no second line for a hold that
-- a person has decided on (released, dismissed say it).

-- What is known of a failure, as one sentence with a full stop.
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

comment on function sync.describe_error(jsonb) is 'last_error of a delivery as a sentence: its message, and in brackets which field was wrong.';

-- What a read of the booking came to.
create function sync.describe_outcome(outcome text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select case outcome
    when 'created' then 'the booking is new' when 'updated' then 'the booking has changed'
    when 'unchanged' then 'nothing has changed' when 'revision' then 'nothing has changed'
    when 'stale' then 'what was read is older than what is known'
    when 'skipped' then 'over before the first day that counts here'
    when 'not_found' then 'the source does not know the booking, or cannot confirm it; nothing was changed'
    when 'held' then 'the brake has stopped the change'
    else coalesce(outcome, 'done') end
$$;

comment on function sync.describe_outcome(text) is 'The outcome of an import in words.';

-- A delivery as its sender said it.
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

create function public.explain_booking(booking_id bigint)
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
    select d as delivery, d.* from booking b
    join sync.deliveries d on d.connection_id = b.connection_id and d.external_id = b.external_id
  ), timeline as (
    -- Within one instant: what was received, what a person decided, what was asked for then, what
    -- changed, what came of it.
    select d.received_at as at, case when d.function = 'import-bookings' then 3 else 1 end as place,
      case when d.replay_of is not null then 'replayed'
        when d.status = 'duplicate' then 'repeated' when d.event_type = 'release' then 'release'
        when d.event_type in ('refetch', 'missing') then 'refetch' else 'received' end as what,
      case when d.replay_of is not null then coalesce((
          select format('An operator has a delivery of %s processed again: %s.',
            to_char(o.received_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), sync.describe_delivery(o))
          from sync.deliveries o where o.id = d.replay_of), 'An operator has a delivery processed again.')
        when d.event_type = 'release' then 'The booking is read afresh after a release.'
        when d.event_type = 'missing' then 'The booking is asked for alone: two lists in a row have not had it.'
        when d.event_type = 'refetch' then 'The booking is read because a delivery could not be used as it was.'
        else sync.describe_delivery(d.delivery) || case when d.status = 'duplicate' then ', which delivery '
          || coalesce(d.duplicate_of::text, '(pruned)') || ' had said already' else '' end || '.'
      end as summary,
      d.id as delivery_id, null::uuid as run_id, d.body as details
    from deliveries d
    union all
    select coalesce(d.finished_at, d.claimed_at), 6,
      case when d.status in ('pending', 'processing') then 'waiting' else d.status end,
      case d.status
        when 'pending' then format('Attempt %s failed: %s To be tried again at %s.', d.attempts, sync.describe_error(d.last_error),
          to_char(d.next_attempt_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
        when 'processing' then format('Attempt %s is running.', d.attempts)
        when 'stale' then 'Older than what was known already; nothing changed.'
        when 'invalid' then 'Kept, but it could not be used: ' || sync.describe_error(d.last_error)
        when 'dead' then format('Given up after %s %s: %s', d.attempts, case d.attempts when 1 then 'attempt' else 'attempts' end,
          sync.describe_error(d.last_error))
        else case
          when (d.result || coalesce(d.result -> 'refetch', '{}')) ? 'coalesced_into'
            then 'Covered by a read for another delivery of this booking.'
          else case when d.result ? 'refetch' then 'Checked at the source: ' else 'Processed: ' end
            || sync.describe_outcome(coalesce(d.result #>> '{refetch,outcome}', d.result ->> 'outcome'))
            || case when d.attempts > 1 then format(' (attempt %s)', d.attempts) else '' end || '.' end
      end,
      d.id, null, coalesce(d.last_error, d.result)
    from deliveries d
    -- What is held says so where it was stopped.
    where d.status not in ('duplicate', 'held') and (d.status <> 'pending' or d.attempts > 0)
    union all
    select h.at, case when h.verdict in ('released', 'dismissed') then 2 else 4 end, h.verdict, case h.verdict
        when 'created' then 'The booking appeared' when 'updated' then 'Changed' when 'applied' then 'The event was applied'
        when 'stub_created' then 'The booking became known from an event'
        when 'conflict' then 'The event contradicts a final status; a read decides'
        when 'marked_missing' then 'Neither two lists in a row nor a read of it alone have had it: marked missing'
        when 'held' then coalesce('The change to ' || (
          select k.kind from sync.held_changes k where k.booking_id = h.booking_id and k.held_at = h.at limit 1),
          'A change') || ' was stopped by the brake and waits for a person'
        when 'released' then coalesce((
          select 'The change to ' || k.kind || ' was let pass' from sync.held_changes k
          where k.booking_id = h.booking_id and k.released_at = h.at limit 1), 'Let pass') || ' by ' || coalesce(h.actor_id, 'an operator')
        when 'dismissed' then coalesce((
          select 'The change to ' || k.kind || ' was dropped' from sync.held_changes k
          where k.booking_id = h.booking_id and k.dismissed_at = h.at limit 1), 'Dropped') || ' by ' || coalesce(h.actor_id, 'an operator')
        else h.verdict end
      || case h.actor when 'planner' then ' by planner ' || coalesce(h.actor_id, '') when 'import' then
          case when h.verdict = 'marked_missing' then '' else coalesce(' (' || r.mode || ' run)', ' (import)') end else '' end
      || coalesce(': ' || sync.describe_changes(case when h.verdict = 'marked_missing' then '{}' else h.changes end), '') || '.',
      h.delivery_id, h.run_id, h.changes
    from public.booking_history h
    left join sync.runs r on r.id = h.run_id
    where h.booking_id = $1
    union all
    select h.dismissed_at, 5, 'hold_ended', format('The hold on %s ended: a later statement was believed.', h.kind),
      h.delivery_id, h.run_id, h.snapshot
    from sync.held_changes h
    where h.booking_id = $1 and h.dismissed_at is not null and h.by = 'system'
  )
  select t.at, t.what, t.summary, t.delivery_id, t.run_id, t.details
  from timeline t
  order by t.at, t.place, t.delivery_id
$$;

comment on function public.explain_booking(bigint) is
  'Everything that happened to a booking, in order and in words: deliveries, what became of them, field changes with before and after, holds, releases, replays.';
