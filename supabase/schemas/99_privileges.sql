-- Who may do what. The schema sync is private: service_role reaches it, through the functions in public
-- that are the API of the database. Members read the rows of their organizations (policies: 81); planners
-- and packers write the columns that are theirs, named here, and nothing else.

-- The machinery.
revoke all on schema sync from public, anon, authenticated;
grant usage on schema sync to service_role;
revoke all on all tables in schema sync from public, anon, authenticated;
grant select, insert, update, delete on all tables in schema sync to service_role;
grant usage, select on all sequences in schema sync to service_role;
revoke all on all functions in schema sync from public, anon, authenticated;
grant execute on all functions in schema sync to service_role;
-- These call out with the keys of the Vault: the owner schedules them.
revoke all on function sync.call_import_bookings, sync.schedule_jobs from service_role;

-- The API of the database.
revoke all on function
  public.receive_delivery, public.claim_deliveries, public.claim_refreshes, public.finish_delivery,
  public.apply_headout_event, public.apply_snapshots, public.accept_absence, public.dismiss_absence, public.map_status_word, public.project_bookings, public.begin_run,
  public.checkpoint_run, public.finish_run, public.list_connections, public.list_resumable_runs,
  public.resume_run, public.list_drift, public.count_drift, public.explain_booking,
  public.replay_deliveries, public.release_held_changes, public.pause_connection,
  public.resume_connection, public.sync_status, public.prune_deliveries,
  public.stored_files, public.sweep_files, public.pass_unchanged
  from public, anon, authenticated;
grant execute on function
  public.receive_delivery, public.claim_deliveries, public.claim_refreshes, public.finish_delivery,
  public.apply_headout_event, public.apply_snapshots, public.accept_absence, public.dismiss_absence, public.map_status_word, public.project_bookings, public.begin_run,
  public.checkpoint_run, public.finish_run, public.list_connections, public.list_resumable_runs,
  public.resume_run, public.list_drift, public.count_drift, public.explain_booking,
  public.replay_deliveries, public.release_held_changes, public.pause_connection,
  public.resume_connection, public.sync_status, public.prune_deliveries,
  public.stored_files, public.sweep_files, public.pass_unchanged
  to service_role;

-- The domain tables: every member reads, the functions write as service_role.
revoke all on public.organizations, public.organization_members, public.bookings, public.booking_dates,
  public.booking_products, public.booking_attachments, public.booking_history, public.calendar_events,
  public.warehouse_events, public.packing_projects, public.packing_tasks, public.packing_items,
  public.packing_change_requests from anon, authenticated;
grant select on public.organizations, public.organization_members, public.bookings, public.booking_dates,
  public.booking_products, public.booking_attachments, public.booking_history, public.calendar_events,
  public.warehouse_events, public.packing_projects, public.packing_tasks, public.packing_items,
  public.packing_change_requests to authenticated;
grant select, insert, update, delete on public.organizations, public.organization_members, public.bookings,
  public.booking_dates, public.booking_products, public.booking_attachments, public.booking_history,
  public.calendar_events, public.warehouse_events, public.packing_projects, public.packing_tasks,
  public.packing_items, public.packing_change_requests to service_role;
-- A role that may insert needs no right to the sequence of an identity column.
revoke all on all sequences in schema public from public, anon, authenticated;
grant usage, select on all sequences in schema public to service_role;

-- What planners and packers write (rule: a person's work is never overwritten).
grant update (planner_notes, review_reasons) on public.bookings to authenticated;
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
