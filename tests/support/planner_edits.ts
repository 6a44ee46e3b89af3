import type { Sql } from "../../local/database/database.ts";
import type { PlannerEdit } from "./random_bookings.ts";

/** Edits of many bookings at one moment. */
export type Edits = readonly (PlannerEdit & { readonly external_id: string })[];

/** `table.id.column` to the value that a planner last gave it. */
export type Written = Map<string, unknown>;

/** One row of one kind of edit: which table, which rows there are to choose from, what is set. */
const updates: Readonly<
  Record<string, { readonly table: string; readonly join: string; readonly set: string }>
> = {
  note: { table: "bookings", join: "t.id = b.id", set: "planner_notes = 'note ' || e.value" },
  team: {
    table: "calendar_events",
    join: "t.booking_id = b.id",
    set: "resource_id = 'team ' || e.value",
  },
  times: {
    table: "calendar_events",
    join: "t.booking_id = b.id",
    set: "starts_at = t.starts_at + e.value * interval '1 minute', " +
      "ends_at = t.ends_at + (e.value + 1) * interval '1 minute'",
  },
  lock: { table: "calendar_events", join: "t.booking_id = b.id", set: "times_locked = true" },
  warehouse: {
    table: "warehouse_events",
    join: "t.booking_id = b.id",
    set: "ends_at = t.ends_at + e.value * interval '1 minute'",
  },
  task: {
    table: "packing_tasks",
    join: "t.packing_project_id = p.id",
    set: "due_on = date '2027-01-01' + e.value",
  },
  pack: {
    table: "packing_items",
    join: "t.packing_project_id = p.id",
    set: "quantity_packed = e.value, notes = 'packed ' || e.value",
  },
  start: {
    table: "packing_projects",
    join: "t.id = p.id",
    set: "status = (array['in_progress', 'packed', 'delivered'])[1 + e.value % 3]",
  },
};

/** Columns that stay as a planner wrote them, by kind of edit. */
const owned: Readonly<Record<string, readonly string[]>> = {
  note: ["planner_notes"],
  team: ["resource_id"],
  times: ["starts_at", "ends_at"],
  lock: ["times_locked", "starts_at", "ends_at"],
  warehouse: ["starts_at", "ends_at"],
  task: ["due_on"],
  pack: ["quantity_packed", "notes"],
  start: ["status"],
  manual: ["manual_name", "quantity_to_pack", "active"],
  attach: ["url", "url_key", "file_name", "origin", "source_missing_since"],
};

const tables: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(updates).map(([edit, { table }]) => [edit, table])),
  manual: "packing_items",
  attach: "booking_attachments",
};

/** Does the edits under the role of `sql`, a statement per kind, and notes what was written. */
export async function editAsPlanner(sql: Sql, edits: Edits, written: Written): Promise<void> {
  for (const [edit, columns] of Object.entries(owned)) {
    const list = JSON.stringify(edits.filter((each) => each.edit === edit));
    if (list === "[]") continue;
    const rows = await sql.query<{ id: number; row: Record<string, unknown> }>(
      statementOf(edit),
      [list],
    );
    for (const { id, row } of rows) {
      for (const column of columns) written.set(`${tables[edit]}.${id}.${column}`, row[column]);
    }
  }
}

/** What of a planner's is not as it was last written, `table.id.column: wanted, found`. */
export async function lostEdits(sql: Sql, written: Written): Promise<readonly string[]> {
  const rows = new Map<string, Record<string, unknown>>();
  for (const table of new Set(Object.values(tables))) {
    const ids = [...written.keys()].filter((key) => key.startsWith(`${table}.`))
      .map((key) => key.split(".")[1]);
    const found = await sql.query<{ id: number; row: Record<string, unknown> }>(
      `select t.id, to_jsonb(t) as row from public.${table} t where t.id = any ($1::bigint[])`,
      [`{${[...new Set(ids)].join(",")}}`],
    );
    for (const { id, row } of found) rows.set(`${table}.${id}`, row);
  }
  return [...written].flatMap(([key, wanted]) => {
    const [table, id, column = ""] = key.split(".");
    const found = rows.get(`${table}.${id}`)?.[column];
    return JSON.stringify(found) === JSON.stringify(wanted)
      ? []
      : [`${key}: ${JSON.stringify(wanted)} is now ${JSON.stringify(found)}`];
  });
}

function statementOf(edit: string): string {
  const chosen = `with e as (
      select * from jsonb_to_recordset($1::jsonb) as e (external_id text, pick integer, value integer)
    ), b as (
      select b.*, e.pick, e.value from e join public.bookings b on b.external_id = e.external_id
    )`;
  if (edit === "manual") {
    return `${chosen} insert into public.packing_items as t
        (organization_id, packing_project_id, manual_name, quantity_to_pack)
      select b.organization_id, p.id, 'manual ' || b.value, b.value
      from b join public.packing_projects p on p.booking_id = b.id
      returning t.id, to_jsonb(t) as row`;
  }
  if (edit === "attach") {
    return `${chosen} insert into public.booking_attachments as t
        (organization_id, booking_id, url, url_key, file_name, origin)
      select b.organization_id, b.id, 'https://mine.example/' || gen_random_uuid(), '', 'mine', 'user'
      from b returning t.id, to_jsonb(t) as row`;
  }
  const { table = "", join = "", set = "" } = updates[edit] ?? {};
  return `${chosen}, chosen as (
      select distinct on (b.id) t.id, b.value
      from b left join public.packing_projects p on p.booking_id = b.id
      join public.${table} t on ${join}
      order by b.id, (t.id + b.pick) % 4, t.id
    )
    update public.${table} t set ${set} from chosen e where t.id = e.id
    returning t.id, to_jsonb(t) as row`;
}
