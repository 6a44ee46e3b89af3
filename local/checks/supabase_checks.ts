import type { Sql } from "../database/database.ts";
import { migrate, readMigrations } from "../database/migrate.ts";
import type { ProjectPaths } from "../paths.ts";
import { type CheckResult, counted, judged, passed } from "./check.ts";
import { onDatabase } from "./databases.ts";
import { type Ran, runTool } from "./tool.ts";

/** What the Supabase CLI works on: a bootstrapped database that nothing else uses meanwhile. */
export interface SupabaseChecks {
  readonly cli: string;
  readonly url: string;
  readonly paths: ProjectPaths;
  readonly signal: AbortSignal;
}

/** Every migration applies from empty, and our own runner agrees that nothing is left to do. */
export async function checkMigrations(checks: SupabaseChecks): Promise<CheckResult> {
  const ran = await supabase(checks, ["migration", "up", "--yes"]);
  if (ran.code !== 0) return judged([words(ran)]);
  const migrations = await readMigrations(checks.paths.migrations);
  const report = await onDatabase(checks.url, (database) => migrate(database, migrations));
  return judged(
    [
      ...report.applied.map((file) => `${file}: the CLI did not record it`),
      ...report.edited.map((file) => `${file}: the CLI recorded other statements than we do`),
    ],
    counted(migrations.length, "migration"),
  );
}

/**
 * No advisor of level WARN or ERROR. A table without row level security, which is made for this,
 * shows that the advisors do look.
 */
export async function checkAdvisors(checks: SupabaseChecks): Promise<CheckResult> {
  await onDatabase(
    checks.url,
    (sql) => sql.exec("create table public.advisor_canary (id int primary key)"),
  );
  const found = await advisors(checks);
  const findings = found.filter((finding) => !finding.includes("advisor_canary"));
  if (findings.length === found.length) {
    findings.push("the advisors do not see a table without row level security");
  }
  return judged(findings);
}

/** `plpgsql_check` finds nothing in any function. */
export async function checkLint(checks: SupabaseChecks): Promise<CheckResult> {
  const missing = await onDatabase(checks.url, (sql) => missingExtension(sql, "plpgsql_check"));
  if (missing !== undefined) return missing;
  const ran = await supabase(checks, ["db", "lint", "--level", "warning", "--fail-on", "warning"]);
  return ran.code === 0 ? passed() : judged([words(ran)]);
}

/** Runs the CLI on the database. */
export async function supabase(checks: SupabaseChecks, args: readonly string[]): Promise<Ran> {
  return await runTool(
    checks.cli,
    [...args, `--remote=${checks.url}`, "--workdir", checks.paths.root],
    { cwd: checks.paths.root, signal: checks.signal },
  );
}

/** Everything that a program said. */
export function words(ran: Ran): string {
  return `${ran.stdout}\n${ran.stderr}`.trim();
}

/** An extension that the server cannot create: the check has to be skipped. */
export async function missingExtension(sql: Sql, name: string): Promise<CheckResult | undefined> {
  const rows = await sql.query("select from pg_available_extensions where name = $1", [name]);
  const [server] = await sql.query<{ major: number }>(
    "select current_setting('server_version_num')::int / 10000 as major",
  );
  if (rows.length > 0) return undefined;
  const debian = `postgresql-${server?.major}-${name.replaceAll("_", "-")}`;
  return {
    result: "skipped",
    reason: `the extension ${name} is not installed (Debian: apt-get install ${debian})`,
  };
}

async function advisors(checks: SupabaseChecks): Promise<readonly string[]> {
  const args = ["db", "advisors", "--level", "warn", "--fail-on", "none"];
  const ran = await supabase(checks, [...args, "--output-format", "json"]);
  const answer = parse(ran.stdout) as { results?: unknown } | undefined;
  if (ran.code !== 0 || !Array.isArray(answer?.results)) return [words(ran)];
  return answer.results.map((each) => `${each.level} ${each.name}: ${each.detail}`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
