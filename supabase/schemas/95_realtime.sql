-- Open screens follow the rows: what planners and packers look at is published where a project has
-- Supabase Realtime. It checks the policies of each row (81) for every listener.

do $$
begin
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    alter publication supabase_realtime add table public.bookings, public.booking_dates,
      public.booking_products, public.booking_attachments, public.calendar_events, public.warehouse_events,
      public.packing_projects, public.packing_tasks, public.packing_items, public.packing_change_requests;
  end if;
end;
$$;
