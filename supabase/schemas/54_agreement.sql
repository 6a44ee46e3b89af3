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
