-- What the status words of a source mean. They are data: an operator maps a new one with
-- map_status_word, and the bookings it concerns follow without another read. An organization's own
-- words come before the general ones.
--
-- A snapshot that names no status but a word (source_status) gets the word's meaning here, when it is
-- decided on (50_plan). A word that nobody has mapped leaves the status as it is, and is watched.
-- Rules: every word of the source is read; absence is not a statement.

create table sync.status_words (
  id bigint generated always as identity primary key,
  organization_id uuid references public.organizations (id) on delete cascade,
  source public.booking_source not null,
  word text not null,
  means text not null constraint status_words_means_check
    check (means in ('OFFER', 'PENDING', 'CONFIRMED', 'CANCELLED', 'REJECTED', 'deleted', 'unchanged')),
  by text,
  created_at timestamptz not null default now(),
  constraint status_words_key unique nulls not distinct (organization_id, source, word)
);

comment on table sync.status_words is 'What the status words of a source mean.';
comment on column sync.status_words.organization_id is 'Null: for every organization that has not mapped the word itself.';
comment on column sync.status_words.word is 'The word as sync.normalize_word writes it.';
comment on column sync.status_words.means is 'A status of ours; deleted: the source has deleted the booking; unchanged: it says nothing about the status.';
comment on column sync.status_words.by is 'Who mapped it; null: it came with the system.';

-- The letters with marks first: in a database with the locale C upper() knows only those without.
create function sync.normalize_word(word text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
  select btrim(regexp_replace(regexp_replace(
    upper(translate(normalize(normalize_word.word, nfc), 'åäöéüÅÄÖÉÜ', 'aaoeuAAOEU')), '[-_\s]+', ' ', 'g'), '[[:punct:]\s]+$', ''))
$$;

comment on function sync.normalize_word(text) is
  'A word in the form in which words are compared: upper case, å, ä and ö without dots, hyphens, underscores and spaces alike, without punctuation at the end.';

insert into sync.status_words (source, word, means)
select 'eventflow', sync.normalize_word(w.word), m.means
from (values
  ('CONFIRMED', array['bekräftad', 'bekräftat', 'confirmed', 'completed', 'slutförd', 'avslutad', 'genomförd', 'fakturerad',
    'invoiced', 'delivered', 'levererad', 'returned', 'återlämnad']),
  ('CANCELLED', array['avbokad', 'avbokat', 'cancelled', 'canceled', 'annullerad', 'inställd', 'makulerad']),
  ('OFFER', array['draft', 'utkast', 'offer', 'offert', 'quote']),
  ('PENDING', array['pending', 'tentative', 'reserved', 'awaiting approval', 'awaitingapproval', 'preliminär', 'prel',
    'preliminärbokad', 'reserverad', 'option', 'optionerad', 'väntande', 'on hold', 'obekräftad', 'unconfirmed']),
  ('REJECTED', array['rejected', 'declined', 'avböjd', 'nekad', 'expired', 'utgången', 'lost']),
  ('deleted', array['deleted', 'borttagen']),
  ('unchanged', array['archived'])) m (means, words)
cross join unnest(m.words) w (word);

create function sync.meaning_of(organization_id uuid, source public.booking_source, word text) returns text
language sql stable
set search_path = ''
as $$
  select w.means from sync.status_words w
  where w.source = meaning_of.source and w.word = sync.normalize_word(meaning_of.word)
    and (w.organization_id is null or w.organization_id = meaning_of.organization_id)
  order by w.organization_id nulls last
  limit 1
$$;

comment on function sync.meaning_of(uuid, public.booking_source, text) is
  'What a status word means for an organization; null if nobody has mapped it.';
