import type { Database } from "../database/database.ts";
import { migrate, readMigrations } from "../database/migrate.ts";
import { OperatorError } from "../errors.ts";
import type { ProjectPaths } from "../paths.ts";
import { type CheckResult, judged, passed } from "./check.ts";
import { type Ran, runTool } from "./tool.ts";

/** What the Supabase CLI's checks work on: a bootstrapped database of nobody else. */
export interface SupabaseChecks {
  readonly cli: string;
  readonly url: string;
  readonly database: Database;
  readonly paths: ProjectPaths;
  readonly signal: AbortSignal;
}

/** Every migration applies from empty, and our own runner agrees that nothing is left to do. */
export async function checkMigrations(checks: SupabaseChecks): Promise<CheckResult> {
  const ran = await supabase(checks, ["migration", "up", "--yes"]);
  if (ran.code !== 0) return judged([words(ran)]);
  const migrations = await readMigrations(checks.paths.migrations);
  const report = await migrate(checks.database, migrations);
  return judged(
    [
      ...report.applied.map((file) => `${file}: the CLI did not record it`),
      ...report.edited.map((file) => `${file}: the CLI recorded other statements than we do`),
    ],
    `${migrations.length} migrations`,
  );
}

/** No advisor of level WARN or ERROR; first that the advisors do see a table without RLS. */
export async function checkAdvisors(checks: SupabaseChecks): Promise<CheckResult> {
  await checks.database.exec("create table public.advisor_canary (id int primary key)");
  const canary = await advisors(checks);
  await checks.database.exec("drop table public.advisor_canary");
  if (!canary.some((finding) => finding.includes("advisor_canary"))) {
    return judged(["the advisors do not see a table without row level security"]);
  }
  return judged(await advisors(checks));
}

/** `plpgsql_check` finds nothing in any function. */
export async function checkLint(checks: SupabaseChecks): Promise<CheckResult> {
  const missing = await missingExtension(checks.database, "plpgsql_check");
  if (missing !== undefined) return missing;
  const ran = await supabase(checks, ["db", "lint", "--level", "warning", "--fail-on", "warning"]);
  return ran.code === 0 ? passed() : judged([words(ran)]);
}

/** The committed types are those of the migrations; with `write` they become so. */
export async function checkTypes(checks: SupabaseChecks, write: boolean): Promise<CheckResult> {
  const file = `${checks.paths.functions}/_shared/postgres/database.types.ts`;
  const ran = await supabase(checks, [
    "gen",
    "types",
    "--lang",
    "typescript",
    "--schema",
    "public",
  ]);
  if (ran.code !== 0) return judged([words(ran)]);
  const generated = await formatTypeScript(ran.stdout);
  const committed = await Deno.readTextFile(file).catch(() => "");
  const note = file.slice(checks.paths.root.length + 1);
  if (await formatTypeScript(committed) === generated) return passed(note);
  if (!write) return judged([`${note} is out of date: run check-database --write`]);
  await Deno.writeTextFile(file, generated);
  return passed(`${note} written`);
}

/** An extension that the server cannot create: the check has to be skipped. */
export async function missingExtension(
  database: Database,
  name: string,
): Promise<CheckResult | undefined> {
  const rows = await database.query("select from pg_available_extensions where name = $1", [name]);
  const [server] = await database.query<{ major: number }>(
    "select current_setting('server_version_num')::int / 10000 as major",
  );
  if (rows.length > 0) return undefined;
  const debian = `postgresql-${server?.major}-${name.replaceAll("_", "-")}`;
  return {
    result: "skipped",
    reason: `the extension ${name} is not installed (Debian: ${debian})`,
  };
}

async function advisors(checks: SupabaseChecks): Promise<readonly string[]> {
  const args = ["db", "advisors", "--level", "warn", "--fail-on", "none"];
  const ran = await supabase(checks, [...args, "--output-format", "json"]);
  const answer = parse(ran.stdout) as { results?: unknown } | undefined;
  if (ran.code !== 0 || !Array.isArray(answer?.results)) return [words(ran)];
  return answer.results.map((each) => `${each.level} ${each.name}: ${each.detail}`);
}

async function supabase(checks: SupabaseChecks, args: readonly string[]): Promise<Ran> {
  return await runTool(
    checks.cli,
    [...args, `--remote=${checks.url}`, "--workdir", checks.paths.root],
    { cwd: checks.paths.root, signal: checks.signal },
  );
}

function words(ran: Ran): string {
  return `${ran.stdout}\n${ran.stderr}`.trim();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function formatTypeScript(source: string): Promise<string> {
  const formatter = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--no-config", "--line-width", "100", "--ext", "ts", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = formatter.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  const ran = await formatter.output();
  if (!ran.success) throw new OperatorError(new TextDecoder().decode(ran.stderr));
  return new TextDecoder().decode(ran.stdout);
}
