import postgres from "postgres";
import type { Snapshot } from "../supabase/functions/_shared/booking/snapshot.ts";

/** What one call of `apply_snapshots` had Postgres execute. */
export interface StatementCounts {
  /** Statements that read or write a table: what must not depend on the size of the page. */
  readonly statements: number;
  /** Postgres' own foreign key checks, one per row written. */
  readonly "key checks": number;
  /** Calls of helper functions that touch no table, one per value: expressions, not statements. */
  readonly expressions: number;
}

/**
 * Applies a page in a session with auto_explain, nested statements on, and counts the plans that
 * ran. Needs a superuser, so a cluster of one's own.
 */
export async function countStatements(
  url: string,
  organizationId: string,
  snapshots: readonly Snapshot[],
): Promise<StatementCounts> {
  const counts = { statements: 0, "key checks": 0, expressions: 0 };
  let counting = false;
  const client = postgres(url, {
    max: 1,
    onnotice: ({ message = "" }) => {
      if (!counting || !message.startsWith("duration:")) return;
      const plan = message.slice(message.indexOf("{"));
      if (plan.includes("SELECT 1 FROM ONLY")) counts["key checks"]++;
      else if (plan.includes('"Relation Name"')) counts.statements++;
      else counts.expressions++;
    },
  });
  try {
    await client.unsafe(`
      load 'auto_explain';
      set auto_explain.log_nested_statements = on;
      set auto_explain.log_format = json;
      set auto_explain.log_level = notice;
      set client_min_messages = notice;
      set log_min_messages = panic;
      set auto_explain.log_min_duration = 0;`).simple();
    counting = true;
    await client.unsafe("select * from public.apply_snapshots($1, 'eventflow', $2::text::jsonb)", [
      organizationId,
      JSON.stringify(snapshots),
    ]);
    counting = false;
  } finally {
    await client.end();
  }
  return counts;
}
