import { openPostgres } from "../local/database/open_postgres.ts";
import { readMigrations } from "../local/database/migrate.ts";
import { prepareDatabase } from "../local/database/prepare.ts";
import { withThrowawayCluster } from "../local/database/throwaway_cluster.ts";
import { projectPaths } from "../local/paths.ts";
import { startTestStack, type TestStack } from "../tests/support/stack.ts";
import { markRows, writtenSince } from "../tests/support/written_rows.ts";
import { median } from "./median.ts";
import { type PageSample, watchRun } from "./watch_run.ts";

/** Bookings, `COUNT`; each has 12 product rows and the package components on top. */
const COUNT = Number(Deno.env.get("COUNT") ?? 100_000);
const MB = 1024 * 1024;
/** Pages at either end whose median is the rate there. */
const PAGES = 10;

if (import.meta.main) {
  const given = Deno.env.get("DATABASE_URL")?.trim() ?? "";
  Deno.exit((given === "" ? await withThrowawayCluster(bench) : await bench(given)) ? 0 : 1);
}

/**
 * A full import from the simulated EventFlow over HTTP into a real Postgres, import-bookings in a
 * process of its own with 256 MB of heap; then the same again, which must write nothing. True if all
 * bars hold. The simulator, the API and the functions share the machine with Postgres.
 */
export async function bench(databaseUrl: string): Promise<boolean> {
  const database = await openPostgres(databaseUrl);
  await prepareDatabase(database, await readMigrations(projectPaths().migrations));
  const [about] = await database.query<{ version: string }>("select version()");
  console.log(`${about?.version}\n${COUNT} bookings of 12 products, ${cores()} cores\n`);
  const stack = await startTestStack({
    database,
    eventflow: { count: COUNT, productsPerBooking: 12 },
    environment: { IMPORT_BUDGET_MS: "145000", LOG_LEVEL: "warning" },
  });
  try {
    const organizationId = await stack.organization();
    const first = await runFull(stack, organizationId, "first import");
    await database.exec("analyze");
    const mark = await markRows(database);
    const second = await runFull(stack, organizationId, "re-import");
    const written = await writtenSince(database, mark);
    const domain = Object.entries(written).filter(([name]) => name.startsWith("public."));
    return report(first, second, domain);
  } finally {
    await stack.stop();
    await database.close();
  }
}

interface Measured {
  readonly seconds: number;
  readonly pages: readonly PageSample[];
  // deno-lint-ignore no-explicit-any -- the counters as answered
  readonly counters: any;
}

/** Calls until the run is complete, as drain would. */
async function runFull(stack: TestStack, organizationId: string, name: string): Promise<Measured> {
  const began = performance.now();
  const watch = watchRun(stack.database, organizationId, COUNT, name);
  try {
    for (;;) {
      const body = { syncMode: "full", source: "eventflow", organization_id: organizationId };
      const { status, body: answer } = await stack.postImport(body);
      if (status !== 200) throw new Error(`${status} ${JSON.stringify(answer)}`);
      if (!answer.completed) continue;
      const seconds = (performance.now() - began) / 1000;
      return { seconds, pages: await watch.stop(), counters: answer.counters };
    }
  } catch (error) {
    await watch.stop();
    throw error;
  }
}

function report(
  first: Measured,
  second: Measured,
  written: readonly (readonly [string, number])[],
): boolean {
  const [early, late] = [first.pages.slice(2, 2 + PAGES), first.pages.slice(-PAGES - 1, -1)];
  const [before, after] = [rateOf(early), rateOf(late)];
  const [lean, heavy] = [cpuOf(early), cpuOf(late)];
  const { counters } = first;
  const stored = Object.values(counters.verdicts as Record<string, number>)
    .reduce((sum, count) => sum + count, 0);
  const bars: readonly (readonly [string, string, boolean])[] = [
    [
      "bookings imported",
      `${counters.verdicts.created} of ${COUNT}`,
      counters.verdicts.created === COUNT,
    ],
    [
      "bookings a second, whole import",
      (COUNT / first.seconds).toFixed(0),
      COUNT / first.seconds >= 500,
    ],
    [
      `rate at ${COUNT} to rate at 1000`,
      `${after.toFixed(0)} / ${before.toFixed(0)} = ${(after / before).toFixed(2)}`,
      after / before >= 0.8,
    ],
    [
      "peak heap, MB",
      (counters.peak_heap_bytes / MB).toFixed(0),
      counters.peak_heap_bytes < 128 * MB,
    ],
    [
      "most CPU for one page, ms",
      String(counters.max_page_cpu_ms),
      counters.max_page_cpu_ms < 1000,
    ],
    [
      "domain rows written by the re-import",
      JSON.stringify(Object.fromEntries(written)),
      written.length === 0,
    ],
  ];
  for (const [name, value, holds] of bars) {
    console.log(`${holds ? "ok  " : "FAIL"}  ${name.padEnd(38)} ${value}`);
  }
  console.log(
    `\nThe database's own CPU, which a busy machine does not change: ${
      lean.toFixed(2)
    } ms a booking at ` +
      `1000 stored, ${heavy.toFixed(2)} at ${COUNT}: ${(lean / heavy).toFixed(2)} of the rate`,
  );
  console.log(
    `first import ${first.seconds.toFixed(1)} s: source ${seconds(counters.source_ms)}, database ` +
      `${seconds(counters.database_ms)}, CPU ${
        seconds(counters.cpu_ms)
      }, ${counters.calls} calls, ` +
      `${(counters.bytes_read / MB).toFixed(0)} MB read, ${stored} verdicts\n` +
      `re-import ${second.seconds.toFixed(1)} s: ${
        (COUNT / second.seconds).toFixed(0)
      } bookings/s, ` +
      `peak heap ${(second.counters.peak_heap_bytes / MB).toFixed(0)} MB, CPU ${
        seconds(second.counters.cpu_ms)
      }`,
  );
  return bars.every(([, , holds]) => holds);
}

/** Median CPU of the database per booking, in ms: what a busy machine does not change. */
function cpuOf(pages: readonly PageSample[]): number {
  return median(pages.map(({ bookings, databaseCpuMs }) => databaseCpuMs / bookings));
}

function rateOf(pages: readonly PageSample[]): number {
  return median(pages.map(({ bookings, ms }) => (bookings / ms) * 1000));
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function cores(): number {
  return navigator.hardwareConcurrency;
}
