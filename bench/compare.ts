import { OperatorError } from "../local/errors.ts";
import type { ProjectPaths } from "../local/paths.ts";
import type { Benchmark } from "./benchmark.ts";
import { type MeasureOptions, sizeOf } from "./measure.ts";
import type { ComparedBenchmark, Comparison, Report } from "./report.ts";
import { pairRatios, summarize } from "./statistics.ts";

/**
 * Runs the same benchmarks on this checkout and another one in turns, each round in a process of its
 * own. The order alternates from pair to pair, so that the second place favours neither.
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
      const turns = [
        { name: "this", paths: options.paths, reports: ours },
        { name: "other", paths: other, reports: theirs },
      ];
      if (round % 2 === 0) turns.reverse();
      for (const { name, paths, reports } of turns) {
        options.progress(`${benchmark.name}: pair ${round} of ${rounds}, ${name} checkout`);
        reports.push(await runRound(benchmark, paths, options));
      }
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
        if (mine.length !== rounds || yours.length !== rounds) return [];
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

async function runRound(
  { name }: Benchmark,
  { root }: ProjectPaths,
  { paths, count, signal }: MeasureOptions,
): Promise<Report> {
  signal.throwIfAborted();
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "-A", "--config", `${paths.root}/local/deno.json`],
      ...[`${paths.root}/bench/main.ts`, name, "--json", "--rounds", "1", "--project", root],
      ...(count === undefined ? [] : ["--count", String(count)]),
    ],
    cwd: paths.root,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // It removes its cluster and its functions before it ends.
  const kill = () => child.kill("SIGTERM");
  signal.addEventListener("abort", kill, { once: true });
  try {
    const { success, stdout, stderr } = await child.output();
    signal.throwIfAborted();
    if (success) return JSON.parse(new TextDecoder().decode(stdout));
    const words = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
    throw new OperatorError(`${words} (in ${root})`);
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

function valuesOf(reports: readonly Report[], figure: string): readonly number[] {
  return reports.flatMap(({ benchmarks }) =>
    benchmarks.flatMap(({ figures }) => figures.find(({ name }) => name === figure)?.values ?? [])
  );
}
