import { stripVTControlCharacters } from "node:util";
import type { ProjectPaths } from "./paths.ts";
import { readLines } from "./read_lines.ts";

/** What a run of tests ended with. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly ignored: number;
}

/** How to run tests. */
export interface TestRunOptions {
  readonly paths: ProjectPaths;
  /** Deno's own report of every test, instead of failures alone. */
  readonly detailed?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  /** Ends the run when it is interrupted. */
  readonly signal?: AbortSignal;
}

/** Runs `deno test` in parallel, shows what failed, and counts. A run that breaks off has failed. */
export async function runTests(
  args: readonly string[],
  options: TestRunOptions,
): Promise<Counts> {
  const { detailed = false } = options;
  const reporter = detailed ? [] : ["--reporter=dot"];
  const test = new Deno.Command(Deno.execPath(), {
    args: ["test", "--quiet", "--no-check", "--parallel", ...reporter, ...args],
    cwd: options.paths.root,
    env: {
      ...(Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" }),
      ...options.environment,
    },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  function interrupt(): void {
    try {
      test.kill("SIGTERM");
    } catch { /* it has ended by itself */ }
  }
  options.signal?.addEventListener("abort", interrupt);
  const summary = await report(test.stdout, detailed);
  const { success } = await test.status;
  options.signal?.removeEventListener("abort", interrupt);
  const counts = parseSummary(summary);
  if (success || counts.failed > 0) return counts;
  return { ...counts, failed: 1 };
}

/** Adds up. */
export function sum(counts: readonly Counts[]): Counts {
  const add = (name: keyof Counts) => counts.reduce((total, each) => total + each[name], 0);
  return { passed: add("passed"), failed: add("failed"), ignored: add("ignored") };
}

/**
 * Reads Deno's closing line, `ok | 12 passed (3 steps) | 0 failed | 1 ignored (2s)`. Without one
 * the run broke off, which is a failure.
 */
export function parseSummary(line: string | undefined): Counts {
  const [, passed, failed] =
    /^\w+ \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed/.exec(line ?? "") ??
      [];
  if (passed === undefined || failed === undefined) return { passed: 0, failed: 1, ignored: 0 };
  const ignored = / \| (\d+) ignored/.exec(line ?? "")?.[1] ?? "0";
  return { passed: Number(passed), failed: Number(failed), ignored: Number(ignored) };
}

/** Prints the output and returns its closing line. Dots are kept from a file. */
async function report(
  stdout: ReadableStream<Uint8Array<ArrayBuffer>>,
  detailed: boolean,
): Promise<string | undefined> {
  let summary: string | undefined;
  let blank = true;
  await readLines(stdout, (line) => {
    const plain = stripVTControlCharacters(line);
    if (/^(ok|FAILED) \| \d+ passed/.test(plain)) summary = plain;
    else if (!detailed && /^[.!,]+$/.test(plain)) {
      if (Deno.stdout.isTerminal()) Deno.stdout.writeSync(new TextEncoder().encode(line));
      return;
    } else if (plain !== "" || !blank) console.log(line);
    blank = plain === "";
  });
  return summary;
}
