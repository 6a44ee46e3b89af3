import type { Database } from "../local/database/database.ts";
import { cpuMsOf } from "./database_cpu.ts";

/** A page of a run as seen from outside: how many bookings it brought, and in how many ms. */
export interface PageSample {
  readonly bookings: number;
  readonly ms: number;
  /** CPU of the database's processes meanwhile, in ms; NaN where the system does not tell. */
  readonly databaseCpuMs: number;
}

/**
 * Looks at the newest run of an organization ten times a second and remembers how long each page took
 * by the run's own heartbeats. On a terminal it shows a bar, on stderr: stdout is for the figures.
 */
export function watchRun(
  database: Database,
  organizationId: string,
  total: number,
  name: string,
): { stop(): Promise<readonly PageSample[]> } {
  const samples: PageSample[] = [];
  const terminal = Deno.stderr.isTerminal();
  let last: { readonly pages: number; readonly bookings: number; readonly at: number } | undefined;
  let cpu = 0;
  let stopped = false;
  const since = performance.now();

  async function look(): Promise<void> {
    const [row] = await database.query<
      { pages: number; bookings: number; at: number; pids: readonly number[] }
    >(
      `select (select json_agg(pid) from pg_stat_activity) as pids,
         coalesce((counters ->> 'pages')::int, 0) as pages,
         coalesce((counters ->> 'bookings')::int, 0) as bookings,
         (extract(epoch from heartbeat_at) * 1000)::float8 as at
       from sync.runs where organization_id = $1 order by started_at desc limit 1`,
      [organizationId],
    );
    if (row === undefined || row.pages === last?.pages) return;
    const cpuNow = await cpuMsOf(row.pids);
    if (last !== undefined && row.pages === last.pages + 1) {
      samples.push({
        bookings: row.bookings - last.bookings,
        ms: row.at - last.at,
        databaseCpuMs: cpuNow - cpu,
      });
    }
    last = row;
    cpu = cpuNow;
    show(row.bookings);
  }
  function show(bookings: number): void {
    if (!terminal) return;
    const share = Math.min(bookings / total, 1);
    const bar = "█".repeat(Math.round(share * 30)).padEnd(30, "░");
    const rate = bookings / ((performance.now() - since) / 1000);
    const line = `${name.padEnd(13)} ${bar} ${bookings}/${total}  ${rate.toFixed(0)}/s`;
    Deno.stderr.writeSync(new TextEncoder().encode(`\r${line}  `));
  }
  const watching = (async () => {
    while (!stopped) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  return {
    async stop(): Promise<readonly PageSample[]> {
      stopped = true;
      await watching;
      show(total);
      if (terminal) console.error();
      return samples;
    },
  };
}
