import { OperatorError } from "../local/errors.ts";
import type { ProjectPaths } from "../local/paths.ts";
import type { Benchmark } from "./benchmark.ts";
import { type MeasureOptions, sizeOf } from "./measure.ts";
import type { ComparedBenchmark, Comparison, Report } from "./report.ts";
import { pairRatios, summarize } from "./statistics.ts";
import { readMessages, type RunnerMessage } from "./turns.ts";

/**
 * Runs the same benchmarks on this checkout and another one, each in a process of its own. The two take
 * turns step by step, and the order alternates, so that the second place favours neither.
 *
 * Both run this checkout's benchmarks, stack and simulators; what differs is `supabase/`. So the work
 * is the same, and the other checkout needs no benchmarks that this one understands.
 */
export async function compare(
  benchmarks: readonly Benchmark[],
  other: ProjectPaths,
  options: MeasureOptions,
): Promise<Comparison> {
  const compared: ComparedBenchmark[] = [];
  let about: Report | undefined;
  for (const benchmark of benchmarks) {
    const rounds = options.rounds ?? benchmark.defaultRounds;
    const ours: Report[] = [];
    const theirs: Report[] = [];
    for (let round = 1; round <= rounds; round++) {
      options.progress(`${benchmark.name}: round ${round} of ${rounds}, both in turns`);
      const [mine, yours] = await runPair(benchmark, other, options);
      ours.push(mine);
      theirs.push(yours);
    }
    about ??= ours[0];
    compared.push({
      name: benchmark.name,
      description: benchmark.description,
      rounds,
      ...sizeOf(benchmark, options.count),
      figures: benchmark.figures.flatMap((figure) => {
        const [mine, yours] = [valuesOf(ours, figure.name), valuesOf(theirs, figure.name)];
        // Not every system can measure every figure.
        if (mine.length === 0 || yours.length === 0) return [];
        return [{
          ...figure,
          ours: summarize(mine),
          theirs: summarize(yours),
          ratio: pairRatios(mine, yours, figure.better),
        }];
      }),
    });
  }
  return {
    checkout: options.paths.root,
    against: other.root,
    postgres: about?.postgres ?? "unknown",
    cores: navigator.hardwareConcurrency,
    benchmarks: compared,
  };
}

async function runPair(
  benchmark: Benchmark,
  other: ProjectPaths,
  options: MeasureOptions,
): Promise<readonly [Report, Report]> {
  const { signal } = options;
  const ours = startRunner(benchmark, options.paths, options);
  const theirs = startRunner(benchmark, other, options);
  const stop = () => [ours, theirs].forEach((runner) => runner.stop());
  signal.addEventListener("abort", stop, { once: true });
  try {
    for (let step = 0;; step++) {
      const [mine, yours] = await Promise.all([ours.ready(), theirs.ready()]);
      if (mine !== undefined && yours !== undefined) return [mine, yours];
      if (mine !== yours) throw new Error(`${benchmark.name}: one checkout has more steps`);
      for (const runner of step % 2 === 0 ? [ours, theirs] : [theirs, ours]) await runner.go();
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
    await Promise.all([ours.ended, theirs.ended]);
  }
}

/** A process that runs one round and waits for its turn before each step. */
interface Runner {
  /** Resolves when it waits for a turn, or with its report when there are no more steps. */
  ready(): Promise<Report | undefined>;
  /** Lets it do one step and waits for the end of that. */
  go(): Promise<void>;
  /** Has it clean up and end, if it has not. */
  stop(): void;
  readonly ended: Promise<unknown>;
}

function startRunner(
  { name }: Benchmark,
  { root }: ProjectPaths,
  { paths, count }: MeasureOptions,
): Runner {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "-A", "--config", `${paths.root}/local/deno.json`],
      ...[`${paths.root}/bench/main.ts`, name, "--in-turns", "--rounds", "1", "--project", root],
      ...(count === undefined ? [] : ["--count", String(count)]),
    ],
    cwd: paths.root,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const messages = readMessages(child.stdout);
  const errors = new Response(child.stderr).text();
  const input = child.stdin.getWriter();

  async function next(): Promise<RunnerMessage> {
    const { value } = await messages.next();
    if (value !== undefined) return value;
    const words = (await errors).trim().split("\n").at(-1);
    throw new OperatorError(`${words?.replace(/^bench: /, "")} (measuring ${root})`);
  }
  return {
    async ready(): Promise<Report | undefined> {
      return (await next()).report;
    },
    async go(): Promise<void> {
      await input.write(new TextEncoder().encode("go\n"));
      await next();
    },
    stop(): void {
      try {
        child.kill("SIGTERM");
      } catch { /* it has ended by itself */ }
      input.close().catch(() => {});
    },
    ended: child.status,
  };
}

function valuesOf(reports: readonly Report[], figure: string): readonly number[] {
  return reports.flatMap(({ benchmarks }) =>
    benchmarks.flatMap(({ figures }) => figures.find(({ name }) => name === figure)?.values ?? [])
  );
}
