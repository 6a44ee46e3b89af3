import type { Sql } from "../database/database.ts";

/** The rows that the schemas put into one table. */
export interface TableRows {
  /** `schema.name`. */
  readonly table: string;
  readonly columns: readonly Column[];
  /** The columns that tell rows apart; all of them if the table has no such key. */
  readonly key: readonly string[];
  /** Values as Postgres' text, without ids and instants that the database generates. */
  readonly rows: readonly Row[];
}

/** A column whose values are written, not generated. */
export interface Column {
  readonly name: string;
  /** Its literals are written without quotes. */
  readonly bare: boolean;
}

type Row = Readonly<Record<string, string | null>>;

/** One row that differs, and the statement that takes the difference away. */
export interface RowChange {
  /** In words: `sync.projection_rules (kind = 'rig'): day_offset is 0, not 1`. */
  readonly description: string;
  readonly statement: string;
}

/** The rows of every table of public and sync that has some. */
export async function readRows(sql: Sql): Promise<readonly TableRows[]> {
  const tables = await sql.query<Omit<TableRows, "rows">>(tablesQuery);
  const all: TableRows[] = [];
  for (const table of tables) {
    const values = table.columns.map(({ name }) => `${quoted(name)}::text as ${quoted(name)}`);
    const from = table.table.split(".").map(quoted).join(".");
    const rows = await sql.query<Row>(`select ${values.join(", ")} from ${from}`);
    if (rows.length > 0) all.push({ ...table, rows });
  }
  return all;
}

/** What has to happen to the rows `from` so that they are the rows `to`. */
export function compareRows(
  from: readonly TableRows[],
  to: readonly TableRows[],
): readonly RowChange[] {
  const names = new Set([...to, ...from].map(({ table }) => table));
  return [...names].flatMap((name) => {
    const before = from.find(({ table }) => table === name);
    const after = to.find(({ table }) => table === name);
    const shape = after ?? before;
    return shape === undefined ? [] : compareTable(shape, before?.rows ?? [], after?.rows ?? []);
  });
}

function compareTable(
  shape: TableRows,
  before: readonly Row[],
  after: readonly Row[],
): readonly RowChange[] {
  const rest = new Map<string, Row[]>();
  for (const row of before) {
    rest.set(keyOf(shape, row), [...rest.get(keyOf(shape, row)) ?? [], row]);
  }
  const changed: RowChange[] = [];
  for (const row of after) {
    const old = rest.get(keyOf(shape, row))?.shift();
    const change = old === undefined ? inserted(shape, row) : updated(shape, old, row);
    if (change !== undefined) changed.push(change);
  }
  // First deletions: a key may have moved to another row.
  return [...[...rest.values()].flat().map((row) => deleted(shape, row)), ...changed];
}

function inserted(shape: TableRows, row: Row): RowChange {
  const columns = shape.columns.map(({ name }) => name).join(", ");
  const values = shape.columns.map((column) => literal(column, row));
  return {
    description: `${nameOf(shape, row)}: only the schemas have it`,
    statement: `insert into ${shape.table} (${columns})\n` +
      `values (${values.join(", ")})`,
  };
}

function updated(shape: TableRows, old: Row, row: Row): RowChange | undefined {
  // A column that only one of the two has is no matter of rows.
  const columns = shape.columns.filter(({ name }) => name in old && old[name] !== row[name]);
  if (columns.length === 0) return undefined;
  const differences = columns.map((column) =>
    `${column.name} is ${literal(column, old)} by the migrations, ${
      literal(column, row)
    } by the schemas`
  );
  return {
    description: `${nameOf(shape, row)}: ${differences.join("; ")}`,
    statement: `update ${shape.table}\n` +
      `set ${columns.map((column) => `${column.name} = ${literal(column, row)}`).join(", ")}\n` +
      `where ${condition(shape, row)}`,
  };
}

function deleted(shape: TableRows, row: Row): RowChange {
  return {
    description: `${nameOf(shape, row)}: only the migrations have it`,
    statement: `delete from ${shape.table}\nwhere ${condition(shape, row)}`,
  };
}

function nameOf(shape: TableRows, row: Row): string {
  return `row of ${shape.table} where ${condition(shape, row)}`;
}

function condition(shape: TableRows, row: Row): string {
  return shape.columns.filter(({ name }) => shape.key.includes(name)).map((column) =>
    row[column.name] === null || row[column.name] === undefined
      ? `${column.name} is null`
      : `${column.name} = ${literal(column, row)}`
  ).join(" and ");
}

function literal({ name, bare }: Column, row: Row): string {
  const value = row[name];
  if (value === undefined || value === null) return "null";
  return bare ? value : `'${value.replaceAll("'", "''")}'`;
}

function keyOf(shape: TableRows, row: Row): string {
  return JSON.stringify(shape.key.map((name) => row[name] ?? null));
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Tables with their written columns and the shortest unique key among them. A column is generated
 * if it is an identity, computed, or has a default that is another one each time.
 */
const tablesQuery = `
  with written as (
    select c.oid, n.nspname || '.' || c.relname as name, a.attnum, a.attname::text as attname,
      a.atttypid in ('boolean'::regtype, 'smallint'::regtype, 'integer'::regtype,
        'bigint'::regtype, 'numeric'::regtype) as bare
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where n.nspname in ('public', 'sync') and c.relkind = 'r'
      and a.attidentity = '' and a.attgenerated = ''
      and not coalesce(pg_get_expr(d.adbin, d.adrelid)
        ~* '(now|clock_timestamp|random_uuid|nextval)\\(|current_(timestamp|date)', false)
  )
  select w.name as "table",
    jsonb_agg(jsonb_build_object('name', w.attname, 'bare', w.bare) order by w.attnum) as columns,
    coalesce((
      select jsonb_agg(k.attname order by k.attnum)
      from (
        select i.indkey from pg_index i
        where i.indrelid = w.oid and i.indisunique and i.indpred is null and i.indexprs is null
          and i.indkey::int2[] <@ array_agg(w.attnum)
        order by i.indnkeyatts, i.indexrelid limit 1
      ) i
      join written k on k.oid = w.oid and k.attnum = any (i.indkey)
    ), jsonb_agg(w.attname order by w.attnum)) as key
  from written w
  group by w.oid, w.name
  order by w.name`;
