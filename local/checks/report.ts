import { messageOf, OperatorError } from "../errors.ts";
import type { CheckResult } from "./check.ts";

/** Runs checks side by side and prints one line for each, in the order in which they were added. */
export interface Report {
  /**
   * Adds a check, which begins once those `after` which it comes have ended and there is a place
   * free. It is skipped if one of them did not pass. Resolves with whether it passed.
   */
  add(
    name: string,
    work: () => Promise<CheckResult>,
    after?: readonly Promise<boolean>[],
  ): Promise<boolean>;
  /** Waits for all of them; the number of those that found something. */
  end(): Promise<number>;
}

/** Where its lines go and how many checks run at a time. */
export interface ReportOptions {
  readonly atATime: number;
  /** A check that could not run is a finding. */
  readonly strict: boolean;
  readonly print: (line: string) => void;
}

/** A report without checks. */
export function createReport(options: ReportOptions): Report {
  const { atATime, strict, print } = options;
  const waiting: (() => void)[] = [];
  let running = 0;
  let findings = 0;
  let printed: Promise<void> = Promise.resolve();

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running >= atATime) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      // The place goes to the next one, else it is free.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  }

  function judge(result: CheckResult): CheckResult {
    if (!strict || result.result !== "skipped") return result;
    return { result: "failed", findings: [`It could not run: ${result.reason}`] };
  }

  async function run(
    name: string,
    work: () => Promise<CheckResult>,
    after: readonly Promise<boolean>[],
  ): Promise<{ readonly passed: boolean; readonly line: string }> {
    if ((await Promise.all(after)).includes(false)) {
      const result: CheckResult = { result: "skipped", reason: "what it needs has failed" };
      return { passed: false, line: describeResult(name, result, 0) };
    }
    return await inTurn(async () => {
      const since = performance.now();
      const result = judge(await attempt(work));
      if (result.result === "failed") findings++;
      const line = describeResult(name, result, (performance.now() - since) / 1000);
      return { passed: result.result === "passed", line };
    });
  }

  return {
    async add(name, work, after = []): Promise<boolean> {
      const ran = run(name, work, after);
      const before = printed;
      printed = before.then(async () => print((await ran).line));
      return (await ran).passed;
    },
    async end(): Promise<number> {
      await printed;
      return findings;
    },
  };
}

/** One line, and the findings below it. */
export function describeResult(name: string, result: CheckResult, seconds: number): string {
  const head = name.padEnd(38);
  const time = `${seconds.toFixed(1)} s`;
  switch (result.result) {
    case "passed":
      return `ok       ${head} ${result.note === undefined ? time : `${result.note}, ${time}`}`;
    case "skipped":
      return `skipped  ${head} ${result.reason}`;
    case "failed":
      return [`FAILED   ${head} ${time}`, ...result.findings]
        .map((finding) => finding.replaceAll("\n", "\n  ")).join("\n  ");
  }
}

/** What an operator can put right is a finding; anything else is a fault, shown with its stack. */
async function attempt(work: () => Promise<CheckResult>): Promise<CheckResult> {
  try {
    return await work();
  } catch (error) {
    const words = error instanceof OperatorError || !(error instanceof Error)
      ? messageOf(error)
      : error.stack ?? error.message;
    return { result: "failed", findings: [words] };
  }
}
