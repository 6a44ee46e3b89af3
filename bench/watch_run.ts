import type { Database } from "../local/database/database.ts";

/** A page of a run as seen from outside: how many bookings it brought, and in how many ms. */
export interface PageSample {
  readonly bookings: number;
  readonly ms: number;
}

/**
 * Looks at the newest run of an organization ten times a second, shows it as a bar, and remembers
 * how long each page took by the run's own heartbeats.
 */
export function watchRun(
  database: Database,
  organizationId: string,
  total: number,
  name: string,
): { stop(): Promise<readonly PageSample[]> } {
  const samples: PageSample[] = [];
  const terminal = Deno.stdout.isTerminal();
  let last: { readonly pages: number; readonly bookings: number; readonly at: number } | undefined;
  let stopped = false;
  const since = performance.now();

  async function look(): Promise<void> {
    const [row] = await database.query<{ pages: number; bookings: number; at: number }>(
      `select coalesce((counters ->> 'pages')::int, 0) as pages,
         coalesce((counters ->> 'bookings')::int, 0) as bookings,
         (extract(epoch from heartbeat_at) * 1000)::float8 as at
       from sync.runs where organization_id = $1 order by started_at desc limit 1`,
      [organizationId],
    );
    if (row === undefined || row.pages === last?.pages) return;
    if (last !== undefined && row.pages === last.pages + 1) {
      samples.push({ bookings: row.bookings - last.bookings, ms: row.at - last.at });
    }
    last = row;
    show(row.bookings);
  }
  function show(bookings: number): void {
    const share = Math.min(bookings / total, 1);
    const bar = "█".repeat(Math.round(share * 30)).padEnd(30, "░");
    const rate = bookings / ((performance.now() - since) / 1000);
    const line = `${name.padEnd(13)} ${bar} ${bookings}/${total}  ${rate.toFixed(0)}/s`;
    if (terminal) Deno.stdout.writeSync(new TextEncoder().encode(`\r${line}  `));
    else if (samples.length % 20 === 1) console.log(line);
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
      if (terminal) console.log();
      return samples;
    },
  };
}
