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
