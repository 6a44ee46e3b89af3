import { openPostgres } from "../local/database/open_postgres.ts";
import { withThrowawayCluster } from "../local/database/throwaway_cluster.ts";
import type { ProjectPaths } from "../local/paths.ts";
import type { Benchmark, BenchmarkContext } from "./benchmark.ts";
import type { MeasuredBenchmark, Report } from "./report.ts";
import { summarize } from "./statistics.ts";

/** How to measure a checkout. */
export interface MeasureOptions {
  readonly paths: ProjectPaths;
  /** Each benchmark's own if absent. */
  readonly rounds?: number;
  /** Each benchmark's own if absent; ignored by one of a fixed size. */
  readonly count?: number;
  readonly turn?: BenchmarkContext["turn"];
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

/**
 * Runs benchmarks on one checkout: on the server of `DATABASE_URL`, else on a throwaway cluster with
 * stock settings. Each round has a new database.
 */
export async function measure(
  benchmarks: readonly Benchmark[],
  options: MeasureOptions,
): Promise<Report> {
  const given = Deno.env.get("DATABASE_URL")?.trim() ?? "";
  if (given !== "") return await measureOn(given, benchmarks, options);
  return await withThrowawayCluster((url) => measureOn(url, benchmarks, options));
}

async function measureOn(
  serverUrl: string,
  benchmarks: readonly Benchmark[],
  options: MeasureOptions,
): Promise<Report> {
  const postgres = await versionOf(serverUrl);
  const measured: MeasuredBenchmark[] = [];
  for (const benchmark of benchmarks) {
    const rounds = options.rounds ?? benchmark.defaultRounds;
    const size = sizeOf(benchmark, options.count);
    const context: BenchmarkContext = {
      turn: (step) => step(),
      ...options,
      serverUrl,
      count: size.count ?? 0,
    };
    const results: Awaited<ReturnType<Benchmark["run"]>>[] = [];
    for (let round = 1; round <= rounds; round++) {
      options.signal.throwIfAborted();
      options.progress(`${benchmark.name}: round ${round} of ${rounds}`);
      const result = await benchmark.run(context);
      const missing = benchmark.figures.find(({ name }) => result[name] === undefined);
      if (missing !== undefined) throw new Error(`${benchmark.name} reports no "${missing.name}"`);
      results.push(result);
    }
    measured.push({
      name: benchmark.name,
      description: benchmark.description,
      rounds,
      ...size,
      figures: benchmark.figures.flatMap((figure) => {
        const values = results.flatMap((result) => result[figure.name] ?? []);
        return values.every(Number.isFinite) ? [{ ...figure, ...summarize(values) }] : [];
      }),
    });
  }
  return {
    checkout: options.paths.root,
    postgres,
    cores: navigator.hardwareConcurrency,
    benchmarks: measured,
  };
}

/** The number of bookings, for a benchmark whose size can be chosen. */
export function sizeOf(
  { defaultCount }: Benchmark,
  count: number | undefined,
): { readonly count?: number } {
  return defaultCount === undefined ? {} : { count: count ?? defaultCount };
}

async function versionOf(serverUrl: string): Promise<string> {
  const server = await openPostgres(serverUrl, { connections: 1 });
  try {
    const [row] = await server.query<{ server_version: string }>("show server_version");
    return row?.server_version ?? "unknown";
  } finally {
    await server.close();
  }
}
