revoke all on schema sync from public, anon, authenticated;

grant usage on schema sync to service_role;

revoke all on function sync.touch_updated_at() from public, anon, authenticated;

revoke all on function sync.check_time_zone() from public, anon, authenticated;

revoke all on public.organizations, public.organization_members from anon, authenticated;

grant select on public.organizations, public.organization_members to authenticated;

grant select, insert, update, delete on public.organizations, public.organization_members to service_role;

revoke all on function sync.create_connections() from public, anon, authenticated;

revoke all on all tables in schema sync from public, anon, authenticated;

grant select, insert, update, delete on all tables in schema sync to service_role;

grant usage, select on all sequences in schema sync to service_role;

revoke all on public.bookings, public.booking_dates, public.booking_products,
  public.booking_attachments, public.booking_history, public.calendar_events,
  public.warehouse_events, public.packing_projects, public.packing_tasks, public.packing_items,
  public.packing_change_requests from anon, authenticated;

grant select on public.bookings, public.booking_dates, public.booking_products,
  public.booking_attachments, public.booking_history, public.calendar_events,
  public.warehouse_events, public.packing_projects, public.packing_tasks, public.packing_items,
  public.packing_change_requests to authenticated;

grant select, insert, update, delete on public.bookings, public.booking_dates,
  public.booking_products, public.booking_attachments, public.booking_history,
  public.calendar_events, public.warehouse_events, public.packing_projects, public.packing_tasks,
  public.packing_items, public.packing_change_requests to service_role;

grant usage, select on all sequences in schema public to service_role;

grant update (planner_notes) on public.bookings to authenticated;

grant update (starts_at, ends_at, resource_id, times_locked, adjusted_at) on public.calendar_events to authenticated;

grant update (starts_at, ends_at, adjusted_at) on public.warehouse_events to authenticated;

grant update (status) on public.packing_projects to authenticated;

grant update (completed_at, due_on, adjusted_at) on public.packing_tasks to authenticated;

grant update (quantity_packed, quantity_returned, packed_at, excluded, notes) on public.packing_items to authenticated;

grant update (status, resolved_at, resolved_by) on public.packing_change_requests to authenticated;

grant insert (organization_id, event_type, day, starts_at, ends_at, title, delivery_address, resource_id, times_locked)
  on public.calendar_events to authenticated;

grant insert (organization_id, packing_project_id, manual_name, quantity_to_pack, notes)
  on public.packing_items to authenticated;

grant insert (organization_id, booking_id, url, url_key, file_name, file_type, origin)
  on public.booking_attachments to authenticated;

revoke all on function sync.is_departure(public.booking_status, public.booking_status),
  sync.status_patch(public.booking_status, public.booking_status, timestamptz, boolean),
  sync.headout_status(text), sync.headout_rank(text) from public, anon, authenticated;

grant execute on function sync.is_departure(public.booking_status, public.booking_status),
  sync.status_patch(public.booking_status, public.booking_status, timestamptz, boolean),
  sync.headout_status(text), sync.headout_rank(text) to service_role;

revoke all on function sync.changed_fields(jsonb, jsonb), sync.url_key(text) from public, anon, authenticated;

grant execute on function sync.changed_fields(jsonb, jsonb), sync.url_key(text) to service_role;

revoke all on function sync.snapshot_error(jsonb),
  sync.plan_snapshots(uuid, public.booking_source, jsonb, sync.deliveries[], boolean) from public, anon, authenticated;

grant execute on function sync.snapshot_error(jsonb),
  sync.plan_snapshots(uuid, public.booking_source, jsonb, sync.deliveries[], boolean) to service_role;

revoke all on function sync.remaining_cancel_budget(uuid, public.booking_source), 
  sync.hold_change(uuid, bigint, public.booking_status, jsonb, uuid, uuid) from public, anon, authenticated;

grant execute on function sync.remaining_cancel_budget(uuid, public.booking_source), 
  sync.hold_change(uuid, bigint, public.booking_status, jsonb, uuid, uuid) to service_role;

revoke all on function sync.write_bookings(sync.planned_snapshot[], bigint[], uuid, public.booking_source),
  sync.write_booking_dates(sync.planned_snapshot[], bigint[], uuid),
  sync.write_booking_products(sync.planned_snapshot[], bigint[], uuid),
  sync.write_booking_attachments(sync.planned_snapshot[], bigint[], uuid),
  sync.refresh_urls(sync.planned_snapshot[], bigint[]) from public, anon, authenticated;

grant execute on function sync.write_bookings(sync.planned_snapshot[], bigint[], uuid, public.booking_source),
  sync.write_booking_dates(sync.planned_snapshot[], bigint[], uuid),
  sync.write_booking_products(sync.planned_snapshot[], bigint[], uuid),
  sync.write_booking_attachments(sync.planned_snapshot[], bigint[], uuid),
  sync.refresh_urls(sync.planned_snapshot[], bigint[]) to service_role;

revoke all on function sync.effective_rules(bigint[], text), sync.fill_title(text, text, text, text),
  sync.desired_events(bigint[], text), sync.match_days(sync.stored_event[], sync.desired_event[])
  from public, anon, authenticated;

grant execute on function sync.effective_rules(bigint[], text), sync.fill_title(text, text, text, text),
  sync.desired_events(bigint[], text), sync.match_days(sync.stored_event[], sync.desired_event[])
  to service_role;

revoke all on function sync.project_events(bigint[], text, boolean) from public, anon, authenticated;

grant execute on function sync.project_events(bigint[], text, boolean) to service_role;

revoke all on function sync.project(bigint[], bigint[], boolean), public.project_bookings(bigint[], boolean)
  from public, anon, authenticated;

grant execute on function sync.project(bigint[], bigint[], boolean), public.project_bookings(bigint[], boolean)
  to service_role;

revoke all on function sync.mark_missing(sync.deliveries), sync.retry_delay(integer), sync.hold_lease(uuid, uuid),
  sync.settle_delivery(sync.deliveries, text, jsonb, jsonb),
  sync.finish(uuid, uuid, text, jsonb, jsonb, bigint), sync.delivery_now(uuid),
  public.finish_delivery(uuid, text, uuid, jsonb, jsonb, bigint) from public, anon, authenticated;

grant execute on function sync.mark_missing(sync.deliveries), sync.retry_delay(integer), sync.hold_lease(uuid, uuid),
  sync.settle_delivery(sync.deliveries, text, jsonb, jsonb),
  sync.finish(uuid, uuid, text, jsonb, jsonb, bigint), sync.delivery_now(uuid),
  public.finish_delivery(uuid, text, uuid, jsonb, jsonb, bigint) to service_role;

revoke all on function sync.find_bad_field(jsonb),
  sync.apply_page(uuid, public.booking_source, jsonb, sync.deliveries[], uuid, boolean, boolean),
  sync.apply_page_or_halves(uuid, public.booking_source, jsonb, sync.deliveries[], uuid, boolean, boolean),
  public.apply_snapshots(uuid, public.booking_source, jsonb, uuid, uuid, uuid, boolean, boolean, jsonb)
  from public, anon, authenticated;

grant execute on function sync.find_bad_field(jsonb),
  sync.apply_page(uuid, public.booking_source, jsonb, sync.deliveries[], uuid, boolean, boolean),
  sync.apply_page_or_halves(uuid, public.booking_source, jsonb, sync.deliveries[], uuid, boolean, boolean),
  public.apply_snapshots(uuid, public.booking_source, jsonb, uuid, uuid, uuid, boolean, boolean, jsonb)
  to service_role;

revoke all on function sync.resolve_connection(uuid, public.booking_source),
  sync.enter_lane(uuid, sync.connections, boolean),
  sync.receive(text, uuid, public.booking_source, text, text, text, jsonb, jsonb, text, text, jsonb, boolean),
  sync.request_refetch(uuid, sync.connections, text, text),
  public.receive_delivery(text, public.booking_source, uuid, text, text, text, jsonb, jsonb, text, text, jsonb, boolean)
  from public, anon, authenticated;

grant execute on function sync.resolve_connection(uuid, public.booking_source),
  sync.enter_lane(uuid, sync.connections, boolean),
  sync.receive(text, uuid, public.booking_source, text, text, text, jsonb, jsonb, text, text, jsonb, boolean),
  sync.request_refetch(uuid, sync.connections, text, text),
  public.receive_delivery(text, public.booking_source, uuid, text, text, text, jsonb, jsonb, text, text, jsonb, boolean)
  to service_role;

revoke all on function sync.apply_event(uuid, text, text, text, jsonb, jsonb),
  public.apply_headout_event(text, text, text, uuid, jsonb, jsonb) from public, anon, authenticated;

grant execute on function sync.apply_event(uuid, text, text, text, jsonb, jsonb),
  public.apply_headout_event(text, text, text, uuid, jsonb, jsonb) to service_role;

revoke all on function sync.note_adjustment(), sync.note_due_date(), sync.note_attachment(),
  sync.note_resolution(), sync.apply_resolution(), sync.record_planner_change()
  from public, anon, authenticated;

revoke all on function public.claim_deliveries(integer, public.booking_source) from public, anon, authenticated;

grant execute on function public.claim_deliveries(integer, public.booking_source) to service_role;

revoke all on function
  public.replay_deliveries(uuid[], uuid, public.booking_source, text, text, timestamptz, timestamptz, boolean),
  public.release_held_changes(bigint[], text, boolean),
  public.pause_connection(uuid, public.booking_source, text),
  public.resume_connection(uuid, public.booking_source)
  from public, anon, authenticated;

grant execute on function
  public.replay_deliveries(uuid[], uuid, public.booking_source, text, text, timestamptz, timestamptz, boolean),
  public.release_held_changes(bigint[], text, boolean),
  public.pause_connection(uuid, public.booking_source, text),
  public.resume_connection(uuid, public.booking_source)
  to service_role;

revoke all on function sync.record_drift(sync.runs, jsonb), sync.repair_projections(sync.runs, jsonb),
  sync.record_absences(sync.runs), public.list_drift(uuid, integer) from public, anon, authenticated;

grant execute on function sync.record_drift(sync.runs, jsonb), sync.repair_projections(sync.runs, jsonb),
  sync.record_absences(sync.runs), public.list_drift(uuid, integer) to service_role;

revoke all on function sync.count_verdicts(jsonb, sync.snapshot_verdict[]),
  sync.open_run(uuid, public.booking_source, text, jsonb),
  public.begin_run(uuid, public.booking_source, text, jsonb),
  public.checkpoint_run(uuid, uuid, jsonb, jsonb, jsonb, boolean, jsonb),
  public.finish_run(uuid, uuid, text, jsonb, jsonb, jsonb) from public, anon, authenticated;

grant execute on function sync.count_verdicts(jsonb, sync.snapshot_verdict[]),
  sync.open_run(uuid, public.booking_source, text, jsonb),
  public.begin_run(uuid, public.booking_source, text, jsonb),
  public.checkpoint_run(uuid, uuid, jsonb, jsonb, jsonb, boolean, jsonb),
  public.finish_run(uuid, uuid, text, jsonb, jsonb, jsonb) to service_role;

revoke all on function sync.describe_changes(jsonb), public.explain_booking(bigint), public.sync_status()
  from public, anon, authenticated;

grant execute on function sync.describe_changes(jsonb), public.explain_booking(bigint), public.sync_status()
  to service_role;

revoke all on function sync.lock_open_run(uuid), public.list_connections(uuid, public.booking_source, text),
  public.list_resumable_runs(integer), public.resume_run(uuid), public.count_drift(uuid)
  from public, anon, authenticated;

grant execute on function sync.lock_open_run(uuid), public.list_connections(uuid, public.booking_source, text),
  public.list_resumable_runs(integer), public.resume_run(uuid), public.count_drift(uuid)
  to service_role;

revoke all on function sync.call_import_bookings(text), sync.schedule_jobs() from public, anon, authenticated, service_role;

revoke all on function public.prune_deliveries(integer) from public, anon, authenticated;

grant execute on function public.prune_deliveries(integer) to service_role;

revoke all on function sync.describe_subject(text), sync.describe_error(jsonb), sync.describe_outcome(text),
  sync.describe_delivery(sync.deliveries) from public, anon, authenticated;

grant execute on function sync.describe_subject(text), sync.describe_error(jsonb), sync.describe_outcome(text),
  sync.describe_delivery(sync.deliveries) to service_role;

revoke all on function sync.lock_page(uuid, public.booking_source, jsonb) from public, anon, authenticated;

grant execute on function sync.lock_page(uuid, public.booking_source, jsonb) to service_role;

revoke all on function sync.compare_revisions(jsonb, jsonb), sync.is_released(bigint, timestamptz),
  sync.is_dropped(bigint, public.booking_status, jsonb) from public, anon, authenticated;

grant execute on function sync.compare_revisions(jsonb, jsonb), sync.is_released(bigint, timestamptz),
  sync.is_dropped(bigint, public.booking_status, jsonb) to service_role;

revoke all on function sync.is_given_up(uuid) from public, anon, authenticated;

grant execute on function sync.is_given_up(uuid) to service_role;

revoke all on all functions in schema sync from public, anon, authenticated;

grant execute on all functions in schema sync to service_role;

revoke all on function sync.call_import_bookings(text), sync.schedule_jobs() from service_role;
