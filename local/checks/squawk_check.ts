import { readMigrations } from "../database/migrate.ts";
import type { ProjectPaths } from "../paths.ts";
import { type CheckResult, counted, judged } from "./check.ts";
import { installTool, runTool, squawk } from "./tool.ts";

/**
 * Rules that do not fit here. The tables of a first release are empty, so locking them while they
 * are built harms nobody; the CLI wraps each migration in a transaction; small counts are integers.
 */
const excluded = [
  "ban-drop-table",
  "prefer-bigint-over-int",
  "prefer-robust-stmts",
  "require-concurrent-index-creation",
  "require-timeout-settings",
];

/** Squawk has no warning about any migration. */
export async function checkSquawk(paths: ProjectPaths, signal: AbortSignal): Promise<CheckResult> {
  const program = await installTool(squawk, paths);
  const migrations = await readMigrations(paths.migrations);
  if (migrations.length === 0) return judged([], "no migrations");
  const ran = await runTool(
    program,
    [
      "--assume-in-transaction",
      "--pg-version=15.0",
      `--exclude=${excluded.join(",")}`,
      "--reporter=Gcc",
      ...migrations.map((migration) => migration.file),
    ],
    { cwd: paths.root, signal },
  );
  const findings = ran.stdout.split("\n").filter((line) => /: (warning|error):/.test(line));
  if (ran.code !== 0 && findings.length === 0) findings.push(`${ran.stdout}${ran.stderr}`.trim());
  return judged(
    findings.map((line) => line.replace(`${paths.root}/`, "")),
    counted(migrations.length, "migration"),
  );
}
