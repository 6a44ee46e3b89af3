import type { ProjectPaths } from "../local/paths.ts";
import type { Better } from "./statistics.ts";

/** A number that a benchmark reports. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly better: Better;
  /** What it should at least (`higher`) or at most (`lower`) be on a quiet machine. */
  readonly bar?: number;
}

/** What one round of a benchmark runs on. */
export interface BenchmarkContext {
  /** The Postgres server, as a superuser. A round makes a database of its own there. */
  readonly serverUrl: string;
  /** The checkout whose migrations and functions are measured. */
  readonly paths: ProjectPaths;
  /** Bookings, for a benchmark that has `defaultCount`; else 0. */
  readonly count: number;
  /**
   * Runs one step: all that takes time, its checks included. Two checkouts that are compared take
   * turns step by step, so that nothing else of ours runs meanwhile. A second or so is a good length.
   */
  readonly turn: <T>(step: () => Promise<T>) => Promise<T>;
  /** Aborted when the run is interrupted: the round then ends soon, by an error. */
  readonly signal: AbortSignal;
}

/** A benchmark: one file of this folder, listed in `benchmarks.ts`. */
export interface Benchmark {
  readonly name: string;
  /** One line for `--help`. */
  readonly description: string;
  /** Runs when no name is given: under half a minute a round on a quiet machine. */
  readonly quick: boolean;
  /** Rounds unless `--rounds` says otherwise. */
  readonly defaultRounds: number;
  /** Bookings unless `--count` says otherwise; absent if the benchmark has a fixed size. */
  readonly defaultCount?: number;
  readonly figures: readonly Figure[];
  /**
   * One round: the values of each figure by its name, one per step that measures it, in order. What
   * this system cannot measure is NaN. A wrong result, such as an unexpected verdict, is an error,
   * however fast it came.
   */
  run(context: BenchmarkContext): Promise<Readonly<Record<string, readonly number[]>>>;
}
