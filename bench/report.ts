import { formatTable } from "../local/format_table.ts";
import type { Figure } from "./benchmark.ts";
import type { Summary } from "./statistics.ts";

/** One figure over all rounds. */
export interface MeasuredFigure extends Figure, Summary {}

/** One benchmark over all rounds. */
export interface MeasuredBenchmark {
  readonly name: string;
  readonly description: string;
  readonly rounds: number;
  /** Bookings, if the benchmark's size can be chosen. */
  readonly count?: number;
  readonly figures: readonly MeasuredFigure[];
}

/** What `--json` prints. */
export interface Report {
  readonly checkout: string;
  /** As Postgres says it, such as `15.20 (Debian 15.20-0+deb12u1)`. */
  readonly postgres: string;
  readonly cores: number;
  readonly benchmarks: readonly MeasuredBenchmark[];
}

/** One figure in two checkouts; `ratio` is taken pair by pair, above 1 means `ours` is better. */
export interface ComparedFigure extends Figure {
  readonly ours: Summary;
  readonly theirs: Summary;
  readonly ratio: Summary;
}

/** One benchmark in two checkouts. */
export interface ComparedBenchmark extends Omit<MeasuredBenchmark, "figures"> {
  readonly figures: readonly ComparedFigure[];
}

/** What `--against DIR --json` prints. */
export interface Comparison extends Omit<Report, "benchmarks"> {
  readonly against: string;
  readonly benchmarks: readonly ComparedBenchmark[];
}

/** Whether a figure's median reaches its bar; one without a bar does. */
export function reachesBar({ median, better, bar }: MeasuredFigure): boolean {
  return bar === undefined || (better === "higher" ? median >= bar : median <= bar);
}

/** The figures of one checkout as tables for the terminal. */
export function formatReport(report: Report): string {
  const tables = report.benchmarks.map((benchmark) => {
    const bars = benchmark.figures.some(({ bar }) => bar !== undefined);
    return `${heading(benchmark)}\n${
      formatTable(
        benchmark.figures.map((figure) => ({
          figure: figure.name,
          median: round(figure.median),
          "min–max": spread(figure),
          unit: figure.unit,
          ...(bars ? { bar: formatBar(figure) } : {}),
        })),
        60,
      )
    }`;
  });
  return [machine(report), ...tables].join("\n\n");
}

/** Two checkouts side by side as tables for the terminal. */
export function formatComparison(comparison: Comparison): string {
  const tables = comparison.benchmarks.map((benchmark) =>
    `${heading(benchmark)}\n${
      formatTable(
        benchmark.figures.map(({ name, unit, ours, theirs, ratio }) => ({
          figure: name,
          this: round(ours.median),
          other: round(theirs.median),
          ratio: round(ratio.median),
          "95 %": interval(ratio),
          unit,
        })),
        60,
      )
    }`
  );
  const header = `${machine(comparison)}
this:  ${comparison.checkout}
other: ${comparison.against}
ratio: median of the pairs, and where it lies with 95 %; above 1, this checkout is better`;
  return [header, ...tables].join("\n\n");
}

function machine({ postgres, cores }: Pick<Report, "postgres" | "cores">): string {
  return `Postgres ${postgres}, ${cores} cores`;
}

function heading({ name, description, rounds, count }: Omit<MeasuredBenchmark, "figures">): string {
  const size = count === undefined ? "" : `; ${count} bookings`;
  return `${name}: ${description}${size}; ${rounds} ${rounds === 1 ? "round" : "rounds"}`;
}

function formatBar(figure: MeasuredFigure): string {
  if (figure.bar === undefined) return "";
  const sign = figure.better === "higher" ? "≥" : "≤";
  return `${sign} ${figure.bar}${reachesBar(figure) ? "" : " missed"}`;
}

function spread({ min, max }: Pick<Summary, "min" | "max">): string {
  return min === max ? "" : `${round(min)}–${round(max)}`;
}

function interval({ interval: [min, max] }: Summary): string {
  return spread({ min, max });
}

/** Whole numbers from 100 on, three digits below. */
function round(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
