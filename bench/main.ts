import { messageOf, OperatorError } from "../local/errors.ts";
import { type ProjectPaths, projectPaths } from "../local/paths.ts";
import { type BenchArguments, parseArguments, UsageError } from "./arguments.ts";
import { benchmarks } from "./benchmarks.ts";
import { compare } from "./compare.ts";
import { measure, type MeasureOptions } from "./measure.ts";
import { formatComparison, formatReport, reachesBar } from "./report.ts";
import { sendMessage, waitForTurns } from "./turns.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));

/** Runs `deno task bench` and returns its exit code: 0, 1 if it failed, 2 for a wrong command line. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const parsed = parseArguments(args, benchmarks.map(({ name }) => name));
    if (parsed.help) {
      console.log(help());
      return 0;
    }
    return await withInterrupt((signal) => run(parsed, signal));
  } catch (error) {
    console.error(`bench: ${messageOf(error).replaceAll(/\s+/g, " ")}`);
    if (error instanceof UsageError) console.error("Try: deno task bench --help");
    return error instanceof UsageError ? 2 : 1;
  }
}

async function run(args: BenchArguments, signal: AbortSignal): Promise<number> {
  const chosen = args.names.length === 0
    ? benchmarks.filter(({ quick }) => quick)
    : benchmarks.filter(({ name }) => args.names.includes(name));
  const terminal = Deno.stderr.isTerminal();
  const options: MeasureOptions = {
    paths: args.project === undefined ? projectPaths() : await checkoutAt(args.project),
    ...(args.rounds === undefined ? {} : { rounds: args.rounds }),
    ...(args.count === undefined ? {} : { count: args.count }),
    signal,
    progress: (line) => terminal && console.error(line),
  };
  if (args.against !== undefined) {
    const comparison = await compare(chosen, await checkoutAt(args.against), options);
    console.log(args.json ? JSON.stringify(comparison, null, 2) : formatComparison(comparison));
    return 0;
  }
  if (args.inTurns) {
    sendMessage({ report: await measure(chosen, { ...options, turn: waitForTurns() }) });
    return 0;
  }
  const report = await measure(chosen, options);
  console.log(args.json ? JSON.stringify(report, null, 2) : formatReport(report));
  const missed = report.benchmarks.flatMap(({ figures }) => figures)
    .filter((figure) => !reachesBar(figure)).map(({ name }) => name);
  if (args.strict && missed.length > 0) {
    throw new OperatorError(`below the bar: ${missed.join(", ")}`);
  }
  return 0;
}

async function checkoutAt(folder: string): Promise<ProjectPaths> {
  const root = await Deno.realPath(folder).catch(() => folder);
  const paths = projectPaths(root);
  const found = await Deno.stat(paths.migrations).catch(() => undefined);
  if (!found?.isDirectory) throw new OperatorError(`${root} has no supabase/migrations.`);
  return paths;
}

/** Runs work with a signal that SIGINT and SIGTERM abort, so that it can clean up and end. */
async function withInterrupt<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new OperatorError("Interrupted."));
  const signals: readonly Deno.Signal[] = ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, interrupt);
  try {
    return await work(interrupted.signal);
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, interrupt);
  }
}

function help(): string {
  const lines = benchmarks.map(({ name, description, quick }) =>
    `  ${name.padEnd(12)}${description}${quick ? " (quick)" : ""}`
  );
  return `Usage: deno task bench [name…] [options]

Benchmarks; without a name, the quick ones run:
${lines.join("\n")}

Options:
  --rounds N      rounds, or pairs of rounds with --against (default: 3, statements and import 1)
  --count N       bookings, where the size can be chosen (default: import 20000)
  --against DIR   compare with another checkout, in turns
  --project DIR   measure the checkout at DIR instead of this one
  --strict        exit 1 if a median misses its bar (the bars are for a quiet machine)
  --json          print one JSON document and nothing else
  --help          print this

Runs on a throwaway Postgres with stock settings, or on the server of DATABASE_URL.
Exit code: 0, or 1 with one line on stderr if a benchmark fails, 2 for a wrong command line.
docs/performance.md says what the figures mean.`;
}
