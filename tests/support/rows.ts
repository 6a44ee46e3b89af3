import type { Sql } from "../../local/database/database.ts";

/** Rows of every table, each as Postgres' own text, by `schema.table`. */
export type Tables = Readonly<Record<string, readonly string[]>>;

/** Everything that people see: all tables of `public`, rows in a steady order. */
export function domainRows(sql: Sql): Promise<Tables> {
  return rowsOf(sql, ["public"]);
}

/** Everything there is: the tables of `public` and of `sync`. */
export function allRows(sql: Sql): Promise<Tables> {
  return rowsOf(sql, ["public", "sync"]);
}

async function rowsOf(sql: Sql, schemas: readonly string[]): Promise<Tables> {
  const tables = await sql.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname = any ($1) order by 1`,
    [`{${schemas.join(",")}}`],
  );
  const read = tables.map(({ name }) => `select '${name}' as name, t::text as row from ${name} t`)
    .join(" union all ");
  const found: Record<string, string[]> = Object.fromEntries(tables.map(({ name }) => [name, []]));
  for (
    const { name, row } of await sql.query<{ name: string; row: string }>(
      `select name, row from (${read}) r order by name, row`,
    )
  ) found[name]?.push(row);
  return found;
}

/** A delivery as the inbox keeps it. */
export interface DeliveryRow {
  readonly id: string;
  readonly function: string;
  readonly status: string;
  readonly event_type: string | null;
  readonly external_id: string | null;
  readonly event_timestamp: string | null;
  readonly duplicate_of: string | null;
  readonly attempts: number;
  readonly headers: Readonly<Record<string, string>>;
  // deno-lint-ignore no-explicit-any -- bodies, results and errors of every shape
  readonly body: any;
  // deno-lint-ignore no-explicit-any -- see above
  readonly result: any;
  // deno-lint-ignore no-explicit-any -- see above
  readonly last_error: any;
  readonly next_attempt_at: string | null;
  /** Seconds from now until the next attempt. */
  readonly wait: number | null;
}

/** The deliveries of one organization, oldest first; null: those that belong to none. */
export function deliveriesOf(sql: Sql, organizationId: string | null): Promise<
  readonly DeliveryRow[]
> {
  return sql.query<DeliveryRow>(
    `select d.*, extract(epoch from d.next_attempt_at - now())::float as wait
     from sync.deliveries d left join sync.connections c on c.id = d.connection_id
     where c.organization_id is not distinct from $1::uuid
     order by d.received_at, d.seq`,
    [organizationId],
  );
}

/** The one delivery with this id. */
export async function deliveryOf(sql: Sql, id: string): Promise<DeliveryRow> {
  const [row] = await sql.query<DeliveryRow>(
    `select d.*, extract(epoch from d.next_attempt_at - now())::float as wait
     from sync.deliveries d where d.id = $1`,
    [id],
  );
  if (row === undefined) throw new Error(`There is no delivery ${id}`);
  return row;
}

/** How many rows each table has gained, those that gained none left out; a lost one is negative. */
export function gained(before: Tables, after: Tables): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(after).flatMap(([name, rows]) => {
      const more = rows.length - (before[name]?.length ?? 0);
      return more === 0 ? [] : [[name, more]];
    }),
  );
}
