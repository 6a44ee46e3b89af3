import { applyBenchmark } from "./apply.ts";
import type { Benchmark } from "./benchmark.ts";
import { databaseBenchmark } from "./database.ts";
import { freshnessBenchmark } from "./freshness.ts";
import { importBenchmark } from "./import.ts";
import { statementsBenchmark } from "./statements.ts";

/** Every benchmark, in the order of `--help`. A new one is a file of this folder and a line here. */
export const benchmarks: readonly Benchmark[] = [
  applyBenchmark,
  statementsBenchmark,
  databaseBenchmark,
  importBenchmark,
  freshnessBenchmark,
];
