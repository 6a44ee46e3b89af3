import assert from "node:assert/strict";
import { useDatabase } from "../../support/booking_database.ts";

const test = useDatabase();

test("rule: people are told: an open screen follows what planners and packers look at, and nothing else", async (db) => {
  const rows = await db.query<{ name: string }>(
    `select schemaname || '.' || tablename as name from pg_publication_tables
     where pubname = 'supabase_realtime' order by 1`,
  );
  assert.deepEqual(rows.map(({ name }) => name), [
    "public.booking_attachments",
    "public.booking_dates",
    "public.booking_products",
    "public.bookings",
    "public.calendar_events",
    "public.packing_change_requests",
    "public.packing_items",
    "public.packing_projects",
    "public.packing_tasks",
    "public.warehouse_events",
  ]);
});
