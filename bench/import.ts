import { startTestStack, type TestStack } from "../tests/support/stack.ts";
import { markRows, writtenSince } from "../tests/support/written_rows.ts";
import type { Benchmark, BenchmarkContext } from "./benchmark.ts";
import { withFreshDatabase } from "./fresh_database.ts";
import { median } from "./statistics.ts";
import { type PageSample, watchRun } from "./watch_run.ts";

const MB = 1024 * 1024;
/** Pages at either end whose median is the rate there. */
const PAGES = 10;

/**
 * A full import from the simulated EventFlow over HTTP, import-bookings in a process of its own with
 * 256 MB of heap; then the same again, which must write nothing. The simulator, the API and the
 * functions share the machine with Postgres.
 */
export const importBenchmark: Benchmark = {
  name: "import",
  description: "full import over HTTP through import-bookings, then the same again",
  quick: false,
  defaultRounds: 1,
  defaultCount: 20_000,
  figures: [
    { name: "first import", unit: "bookings/s", better: "higher", bar: 500 },
    { name: "re-import", unit: "bookings/s", better: "higher" },
    { name: "rate at the end to rate at 1,000", unit: "ratio", better: "higher", bar: 0.8 },
    { name: "database CPU at 1,000", unit: "ms/booking", better: "lower" },
    { name: "database CPU at the end", unit: "ms/booking", better: "lower" },
    { name: "waiting for the source", unit: "s", better: "lower" },
    { name: "waiting for the database", unit: "s", better: "lower" },
    { name: "peak heap", unit: "MB", better: "lower", bar: 128 },
    { name: "peak heap of the re-import", unit: "MB", better: "lower", bar: 128 },
    { name: "most CPU for one page", unit: "ms", better: "lower", bar: 1_000 },
  ],
  run: (context) =>
    withFreshDatabase(context, async (database) => {
      const { count, paths } = context;
      const stack = await startTestStack({
        database,
        paths,
        eventflow: { count, productsPerBooking: 12 },
        environment: { IMPORT_BUDGET_MS: "145000", LOG_LEVEL: "warning" },
      });
      try {
        const organizationId = await stack.organization();
        const first = await context.turn(() =>
          runFull(stack, organizationId, "first import", context)
        );
        const { created } = first.counters.verdicts;
        if (created !== count) throw new Error(`${created} of ${count} bookings were imported`);
        await database.exec("analyze");
        const mark = await markRows(database);
        const second = await context.turn(() =>
          runFull(stack, organizationId, "re-import", context)
        );
        const written = Object.entries(await writtenSince(database, mark))
          .filter(([name]) => name.startsWith("public."));
        if (written.length > 0) {
          throw new Error(`The re-import wrote rows: ${JSON.stringify(written)}`);
        }
        const figures = Object.entries(figuresOf(first, second, count));
        return Object.fromEntries(figures.map(([name, value]) => [name, [value]]));
      } finally {
        await stack.stop();
      }
    }),
};

interface Measured {
  readonly seconds: number;
  readonly pages: readonly PageSample[];
  // deno-lint-ignore no-explicit-any -- the counters as answered
  readonly counters: any;
}

/** Calls until the run is complete, as drain would. */
async function runFull(
  stack: TestStack,
  organizationId: string,
  name: string,
  { count, signal }: BenchmarkContext,
): Promise<Measured> {
  const began = performance.now();
  const watch = watchRun(stack.database, organizationId, count, name);
  try {
    for (;;) {
      const body = { syncMode: "full", source: "eventflow", organization_id: organizationId };
      const { status, body: answer } = await unlessAborted(stack.postImport(body), signal);
      if (status !== 200) throw new Error(`${name}: ${status} ${JSON.stringify(answer)}`);
      if (!answer.completed) continue;
      const seconds = (performance.now() - began) / 1000;
      return { seconds, pages: await watch.stop(), counters: answer.counters };
    }
  } catch (error) {
    await watch.stop();
    throw error;
  }
}

/** The promise's answer, or the signal's reason as soon as it is aborted. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    // The call fails when its function is stopped; by then nobody waits for it.
    promise.catch(() => {});
  }
}

function figuresOf(first: Measured, second: Measured, count: number): Record<string, number> {
  // The first two pages and the last one are special; a small import has no two ends to compare.
  const apart = first.pages.length >= 2 * PAGES + 3;
  const early = apart ? first.pages.slice(2, 2 + PAGES) : [];
  const late = apart ? first.pages.slice(-PAGES - 1, -1) : [];
  return {
    "first import": count / first.seconds,
    "re-import": count / second.seconds,
    "rate at the end to rate at 1,000": rateOf(late) / rateOf(early),
    "database CPU at 1,000": cpuOf(early),
    "database CPU at the end": cpuOf(late),
    "waiting for the source": first.counters.source_ms / 1000,
    "waiting for the database": first.counters.database_ms / 1000,
    // Null where the platform does not tell.
    "peak heap": (first.counters.peak_heap_bytes ?? NaN) / MB,
    "peak heap of the re-import": (second.counters.peak_heap_bytes ?? NaN) / MB,
    "most CPU for one page": first.counters.max_page_cpu_ms ?? NaN,
  };
}

/** Median CPU of the database per booking, in ms: what a busy machine does not change. */
function cpuOf(pages: readonly PageSample[]): number {
  return median(pages.map(({ bookings, databaseCpuMs }) => databaseCpuMs / bookings));
}

function rateOf(pages: readonly PageSample[]): number {
  return median(pages.map(({ bookings, ms }) => (bookings / ms) * 1000));
}
