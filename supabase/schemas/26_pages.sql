-- The words in which the functions of a page speak to each other: the page, what is planned for each
-- of its snapshots, what was written, and the verdict on each snapshot.

create type sync.page as (
  organization_id uuid,
  source public.booking_source,
  deliveries sync.deliveries[],
  run_id uuid,
  force boolean,
  compares boolean,
  detailed boolean
);

comment on type sync.page is
  'What all snapshots of one call have in common: the connection, the deliveries whose leases are held, the run, whether to compare with the rows instead of hash and revision (force) or instead of the hash alone (compares), and whether to report every changed field (detailed).';

create type sync.planned_snapshot as (
  ord integer,
  external_id text,
  snapshot jsonb,
  content_hash text,
  fetched_at timestamptz,
  source_updated_at timestamptz,
  source_version bigint,
  verdict text,
  error jsonb,
  booking_id bigint,
  is_new boolean,
  old_status public.booking_status,
  new_status public.booking_status,
  unsettled boolean,
  newer boolean,
  contradicts boolean,
  withstood boolean,
  contradicted_at timestamptz,
  ages boolean,
  raw_hash text
);

comment on type sync.planned_snapshot is
  'A snapshot with its verdict: apply, unchanged, revision (same content, newer revision), stale, held, skipped (over before the connection''s first day) or invalid. contradicts: its status is not that of the newest event of the booking (null: there is none, or nothing to compare); withstood: and the event stands against it; contradicted_at: since when such reads count; ages: the booking is kept fresh, and its last noted read is old enough to be noted again; raw_hash: of the text that it was decoded from, if that is to be noted.';

create function sync.with_verdict(planned sync.planned_snapshot, verdict text, error jsonb default null)
returns sync.planned_snapshot
language plpgsql immutable
set search_path = ''
as $$
begin
  planned.verdict := with_verdict.verdict;
  planned.error := with_verdict.error;
  return planned;
end;
$$;

comment on function sync.with_verdict(sync.planned_snapshot, text, jsonb) is 'The same snapshot with another verdict.';

create type sync.snapshot_verdict as (
  ord integer,
  external_id text,
  verdict text,
  booking_id bigint,
  changes jsonb,
  error jsonb,
  warnings jsonb
);

comment on type sync.snapshot_verdict is 'What applying one snapshot did, and what of it could not be used as it was sent.';
