import { type CheckResult, counted, passed } from "../checks/check.ts";
import { copyDatabase, makeDatabase, makeFromSchemas } from "../checks/databases.ts";
import { checkGeneratedFiles } from "../checks/generated_files.ts";
import { checkPgtap } from "../checks/pgtap_checks.ts";
import { createReport, type Report } from "../checks/report.ts";
import {
  checkCatalog,
  checkDifference,
  checkMigrationText,
  checkSchemaText,
} from "../checks/schema_checks.ts";
import { readSchemas, type SchemaFile } from "../checks/schema_files.ts";
import { findServers, type Server, withServers } from "../checks/servers.ts";
import { checkSquawk } from "../checks/squawk_check.ts";
import {
  checkAdvisors,
  checkLint,
  checkMigrations,
  type SupabaseChecks,
} from "../checks/supabase_checks.ts";
import { installTool, supabaseCli } from "../checks/tool.ts";
import { bootstrapDatabase } from "../database/prepare.ts";
import { withDatabase } from "../database/test_database.ts";
import { OperatorError } from "../errors.ts";
import { type ProjectPaths, projectPaths } from "../paths.ts";

/** What the checks on one server need. */
interface Context {
  readonly report: Report;
  readonly cli: string;
  readonly files: readonly SchemaFile[];
  readonly paths: ProjectPaths;
  readonly signal: AbortSignal;
}

/**
 * `check-database`: the schemas by themselves, and on each Postgres that can run here the
 * migrations against them, judged by the Supabase CLI, squawk and pgTAP; one line per check.
 * `--strict` takes a check that cannot run here for a finding.
 */
export async function run(args: readonly string[] = []): Promise<number> {
  const unknown = args.filter((argument) => argument !== "--strict");
  if (unknown.length > 0) throw new OperatorError(`Unknown: ${unknown.join(" ")}. Use --strict.`);
  // Where tests decide, a check that could not run is no check that passed.
  const strict = args.includes("--strict") || Deno.env.get("CI") === "true";
  const paths = projectPaths();
  const files = await readSchemas(paths);
  const atATime = navigator.hardwareConcurrency;
  const report = createReport({ atATime, strict, print: (line) => console.log(line) });
  const { found, missing } = await findServers(paths);
  const cli = await installTool(supabaseCli, paths);
  await withServers(found, async (urls, signal) => {
    void report.add("schemas, text", () => Promise.resolve(checkSchemaText(files)));
    void report.add("migrations, text", () => checkMigrationText(paths, files));
    void report.add("migrations, squawk", () => checkSquawk(paths, signal));
    for (const { label, reason } of missing) {
      void report.add(label, () => Promise.resolve({ result: "skipped", reason }));
    }
    const context: Context = { report, cli, files, paths, signal };
    found.forEach((server, index) => {
      const url = urls[index];
      if (url === undefined) return;
      addChecks(context, server, url, {
        first: index === 0,
        last: index === found.length - 1,
      });
    });
    await report.end();
    signal.throwIfAborted();
  });
  return await report.end() === 0 ? 0 : 1;
}

/** What does not depend on the version runs once: on the first server, or on the last for lint. */
function addChecks(
  { report, cli, files, paths, signal }: Context,
  { label }: Server,
  server: string,
  place: { readonly first: boolean; readonly last: boolean },
): void {
  const on = (name: string): SupabaseChecks => {
    return { cli, url: withDatabase(server, name), paths, signal };
  };
  const migrated = report.add(`${label}, migration up`, () => makeMigrated(server, on("migrated")));
  const made = report.add(`${label}, schemas`, async () => {
    await makeFromSchemas(server, "schemas", files);
    return passed(counted(files.length, "file"));
  });
  void report.add(`${label}, difference`, () =>
    checkDifference({
      cli,
      from: on("migrated").url,
      to: on("schemas").url,
      paths,
      signal,
    }), [migrated, made]);
  if (place.first) {
    void report.add(`${label}, definitions`, () => checkCatalog(on("schemas").url, files), [made]);
    void report.add(`${label}, generated files`, () => checkGeneratedFiles(on("schemas")), [made]);
    void report.add(`${label}, db advisors`, () => checkAdvisors(on("advised")), [migrated]);
  }
  if (place.last) {
    void report.add(`${label}, db lint`, () => checkLint(on("linted")), [migrated]);
  }
  void report.add(`${label}, pgTAP`, () => checkPgtap(on("tested").url, paths), [migrated]);
}

/** Applies the migrations, and makes copies for the checks that write. */
async function makeMigrated(server: string, checks: SupabaseChecks): Promise<CheckResult> {
  // Twice: the file says that it can be run any number of times.
  await makeDatabase(server, "migrated", bootstrapDatabase);
  const result = await checkMigrations(checks);
  if (result.result !== "passed") return result;
  for (const copy of ["advised", "linted", "tested"]) {
    await copyDatabase(server, checks.url, copy);
  }
  return result;
}
