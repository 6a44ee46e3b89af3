import postgres from "postgres";
import type { CheckResult } from "../checks/check.ts";
import { checkPgtap, checkPgtapOnPglite, textCells } from "../checks/pgtap_checks.ts";
import { checkSquawk } from "../checks/squawk_check.ts";
import {
  checkAdvisors,
  checkLint,
  checkMigrations,
  checkTypes,
  type SupabaseChecks,
} from "../checks/supabase_checks.ts";
import { installTool, supabaseCli } from "../checks/tool.ts";
import { openPostgres } from "../database/open_postgres.ts";
import { bootstrapDatabase } from "../database/prepare.ts";
import { withThrowawayCluster } from "../database/throwaway_cluster.ts";
import { OperatorError } from "../errors.ts";
import { type ProjectPaths, projectPaths } from "../paths.ts";

/**
 * `check-database`: the migrations on an empty cluster, judged by the Supabase CLI, squawk and
 * pgTAP; one line per check. `--write` brings the generated files up to date, `--strict` takes a
 * check that cannot run here for a finding.
 */
export async function run(args: readonly string[] = []): Promise<number> {
  const unknown = args.filter((argument) => !["--write", "--strict"].includes(argument));
  if (unknown.length > 0) {
    throw new OperatorError(`Unknown: ${unknown.join(" ")}. There are --write and --strict.`);
  }
  // Where tests decide, a check that could not run is no check that passed.
  const strict = args.includes("--strict") || Deno.env.get("CI") === "true";
  let findings = 0;
  async function check(name: string, work: () => Promise<CheckResult>): Promise<void> {
    const since = performance.now();
    const result = await work();
    const time = `${((performance.now() - since) / 1000).toFixed(1)} s`;
    if (result.result === "failed" || (strict && result.result === "skipped")) findings++;
    console.log(line(name, result, time));
  }
  const paths = projectPaths();
  await withThrowawayCluster((url, signal) => runChecks(url, signal, paths, check, args));
  return findings === 0 ? 0 : 1;
}

async function runChecks(
  url: string,
  signal: AbortSignal,
  paths: ProjectPaths,
  check: (name: string, work: () => Promise<CheckResult>) => Promise<void>,
  args: readonly string[],
): Promise<void> {
  const database = await openPostgres(url, { connections: 2 });
  const session = postgres(url, { max: 1, onnotice: () => {} });
  try {
    // Twice: the file says that it can be run any number of times.
    await bootstrapDatabase(database);
    await bootstrapDatabase(database);
    const cli = await installTool(supabaseCli, paths);
    const checks: SupabaseChecks = { cli, url, database, paths, signal };
    await check("migration up", () => checkMigrations(checks));
    await check("db advisors", () => checkAdvisors(checks));
    await check("gen types", () => checkTypes(checks, args.includes("--write")));
    await check("db lint", () => checkLint(checks));
    await check("squawk", () => checkSquawk(paths, signal));
    await check("pgTAP", () => checkPgtap(database, (sql) => textLines(session, sql), paths));
    await check("pgTAP on PGlite", () => checkPgtapOnPglite(paths));
    signal.throwIfAborted();
  } finally {
    await session.end({ timeout: 1 });
    await database.close();
  }
}

/** Runs a script in one session and returns its text cells. */
async function textLines(session: postgres.Sql, script: string): Promise<readonly string[]> {
  const results = await session.unsafe(script).simple() as unknown;
  const sets = Array.isArray(results) && results.every(Array.isArray) ? results : [results];
  return sets.flatMap((rows) => (rows as readonly unknown[]).flatMap((row) => textCells(row)));
}

function line(name: string, result: CheckResult, time: string): string {
  const head = `${name.padEnd(16)} `;
  switch (result.result) {
    case "passed":
      return `ok       ${head} ${[result.note, time].filter((part) => part).join(", ")}`;
    case "skipped":
      return `skipped  ${head} ${result.reason}`;
    case "failed":
      return `FAILED   ${head} ${time}\n${
        result.findings.map((finding) => `  ${finding.replaceAll("\n", "\n  ")}`).join("\n")
      }`;
  }
}
