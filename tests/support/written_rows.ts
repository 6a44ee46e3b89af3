import type { Sql } from "../../local/database/database.ts";

/** The state of all tables at one moment, to be held against a later one. */
export interface Mark {
  readonly xid: string;
  readonly counts: Readonly<Record<string, number>>;
}

/** Remembers the moment: what is written after it has a younger transaction id. */
export async function markRows(sql: Sql): Promise<Mark> {
  const [row] = await sql.query<{ xid: string }>("select pg_current_xact_id()::text as xid");
  if (row === undefined) throw new Error("Cannot mark: no transaction id came back");
  const counted = await countRows(sql, row.xid);
  return { xid: row.xid, counts: Object.fromEntries(counted.map((each) => [each.name, each.all])) };
}

/**
 * How many rows of each table of `public` and `sync` were inserted or updated since the mark, by
 * `xmin`, and how many are gone (negative). Tables in which nothing was written are left out, so
 * "no row was written" is `{}`. A row lock alone writes no row and does not count.
 */
export async function writtenSince(sql: Sql, mark: Mark): Promise<Record<string, number>> {
  const written: Record<string, number> = {};
  for (const { name, all, young } of await countRows(sql, mark.xid)) {
    const gone = all - (mark.counts[name] ?? 0);
    if (young !== 0) written[name] = young;
    else if (gone < 0) written[name] = gone;
  }
  return written;
}

interface Count {
  readonly name: string;
  readonly all: number;
  readonly young: number;
}

async function countRows(sql: Sql, xid: string): Promise<readonly Count[]> {
  tables ??= await sql.query<{ name: string }>(
    `select n.nspname || '.' || c.relname as name
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname in ('public', 'sync') order by 1`,
  );
  return await sql.query<Count>(
    tables.map(({ name }) =>
      `select '${name}' as name, count(*)::integer as all,
         (count(*) filter (where xmin::text::bigint > ${xid}::bigint))::integer as young
       from ${name}`
    ).join(" union all "),
  );
}

let tables: readonly { readonly name: string }[] | undefined;
