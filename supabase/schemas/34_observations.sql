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
