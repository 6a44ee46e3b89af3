import type { Sql } from "../../local/database/database.ts";

interface Entry {
  readonly booking_id: number;
  readonly id: number;
  readonly changes: Readonly<Record<string, readonly [unknown, unknown]>>;
}

/**
 * Columns of bookings that history does not tell: keys, links whose tokens are no change, and what
 * follows from another column.
 */
const untold = new Set([
  "id",
  "organization_id",
  "source",
  "external_id",
  "created_at",
  "updated_at",
  "map_drawing_url",
  "needs_review",
]);

/**
 * Where the history of a tenant's bookings does not add up (rule: every change can be explained): an entry whose "before"
 * is not the last "after" of that field, or a row that is not what its history ends in.
 */
export async function historyGaps(sql: Sql, organizationId: string): Promise<readonly string[]> {
  const entries = await sql.query<Entry>(
    `select booking_id, id, changes from public.booking_history
     where organization_id = $1 order by booking_id, id`,
    [organizationId],
  );
  const rows = await sql.query<{ id: number; row: Record<string, unknown> }>(
    "select id, to_jsonb(b) as row from public.bookings b where organization_id = $1",
    [organizationId],
  );
  const gaps: string[] = [];
  const told = new Map<string, unknown>();
  for (const { booking_id, id, changes } of entries) {
    for (const [field, [before, after]] of Object.entries(changes)) {
      const key = `${booking_id} ${field}`;
      // A field of a child begins with the child's own entry, which holds it whole.
      const known = told.has(key) || field.startsWith("bookings.");
      if (known && same(told.get(key)) !== same(before)) {
        gaps.push(`entry ${id} ${key}: ${same(told.get(key))} became ${same(before)} untold`);
      }
      told.set(key, after);
    }
  }
  for (const { id, row } of rows) {
    for (const [column, value] of Object.entries(row)) {
      const end = told.get(`${id} bookings.${column}`);
      if (!untold.has(column) && same(end) !== same(value)) {
        gaps.push(`booking ${id} ${column}: told ${same(end)}, is ${same(value)}`);
      }
    }
  }
  return gaps;
}

/** Defaults of a new row (null, false, {}, []) are not told: they all count as nothing. */
function same(value: unknown): string {
  const text = JSON.stringify(value ?? null);
  return ["null", "false", "{}", "[]"].includes(text) ? "nothing" : text;
}
