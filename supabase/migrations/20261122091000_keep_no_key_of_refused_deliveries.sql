-- Purpose: a delivery that is refused (its organization does not exist yet, its body is wrong) is kept
-- under a key of its own. Under the sender's key its repetition was taken for a duplicate and answered
-- 200, though nothing had been or would be done: a retry is an event that has not been accepted.
-- Compatible: same arguments and result.

update sync.deliveries d set dedupe_key = d.id::text
where d.status = 'invalid' and d.dedupe_key <> d.id::text;

create or replace function sync.receive(
  p_function text, p_organization_id uuid, p_source public.booking_source, p_external_id text,
  p_event_type text, p_event_timestamp text, p_headers jsonb, p_body jsonb, p_dedupe_key text,
  p_status text, p_last_error jsonb, p_claim boolean,
  out delivery_id uuid, out outcome text, out organization_id uuid, out lease_token uuid,
  out reason text, out next_attempt_at timestamptz, out duplicate_of uuid
)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  connection sync.connections := sync.resolve_connection(p_organization_id, p_source);
  valid constant boolean := p_status = 'pending' and connection.id is not null;
begin
  if p_status not in ('pending', 'invalid') then
    raise exception 'Cannot receive delivery: status is %', p_status using errcode = '22023';
  end if;
  if connection.id is null and p_source = 'headout' and p_organization_id is null then
    receive.outcome := 'not_configured';
    return;
  end if;

  receive.delivery_id := gen_random_uuid();
  receive.organization_id := connection.organization_id;
  insert into sync.deliveries (id, connection_id, function, dedupe_key, event_type, external_id,
    event_timestamp, headers, body, status, next_attempt_at, last_error, finished_at)
  values (receive.delivery_id, connection.id, p_function,
    case when valid then coalesce(p_dedupe_key, receive.delivery_id::text) else receive.delivery_id::text end,
    p_event_type, p_external_id,
    p_event_timestamp, coalesce(p_headers, '{}'), p_body,
    case when valid then 'pending' else 'invalid' end, case when valid then now() end,
    coalesce(p_last_error, case when connection.id is null then
      '{"code": "unknown_organization", "message": "The body names no organization that exists."}'::jsonb end),
    case when valid then null else now() end)
  on conflict (dedupe_key) where status <> 'duplicate' do nothing
  returning id into receive.delivery_id;

  if receive.delivery_id is null then
    select d.id into receive.duplicate_of from sync.deliveries d
    where d.dedupe_key = p_dedupe_key and d.status <> 'duplicate';
    insert into sync.deliveries (connection_id, function, dedupe_key, duplicate_of, event_type,
      external_id, event_timestamp, headers, body, status, finished_at)
    values (connection.id, p_function, p_dedupe_key, receive.duplicate_of, p_event_type,
      p_external_id, p_event_timestamp, coalesce(p_headers, '{}'), p_body, 'duplicate', now())
    returning id into receive.delivery_id;
    receive.outcome := 'duplicate';
  elsif connection.id is null then
    receive.outcome := 'unknown_organization';
  elsif p_status = 'invalid' then
    receive.outcome := 'invalid';
    -- Headout never repeats a 4xx: if the body names a booking, we ask about it ourselves.
    if p_external_id is not null and p_source = 'headout' then
      perform sync.request_refetch(receive.delivery_id, connection, p_external_id);
    end if;
  else
    select l.lease_token, l.reason, l.next_attempt_at
    into receive.lease_token, receive.reason, receive.next_attempt_at
    from sync.enter_lane(receive.delivery_id, connection, p_claim) l;
    receive.outcome := case when receive.lease_token is null then 'deferred' else 'claimed' end;
  end if;
end;
$$;
