import { readMigrations } from "../database/migrate.ts";
import type { ProjectPaths } from "../paths.ts";
import { type CheckResult, counted, judged } from "./check.ts";
import { onDatabase } from "./databases.ts";
import { compareDatabases, type Comparison, describeDifference } from "./difference.ts";
import { isDraft, mayRewriteBaseline } from "./migration_files.ts";
import { baselineOf, type SchemaFile } from "./schema_files.ts";
import {
  catalogQuery,
  describeText,
  judgeCatalog,
  judgeText,
  readDefinitions,
  type SchemaObject,
} from "./schema_text.ts";

/** Each object is defined once, functions are short, files say what they are about. */
export function checkSchemaText(files: readonly SchemaFile[]): CheckResult {
  return judged(judgeText(files), describeText(readDefinitions(files)));
}

/** Every object of a database that the files made stands in them by its name. */
export async function checkCatalog(
  url: string,
  files: readonly SchemaFile[],
): Promise<CheckResult> {
  const catalog = await onDatabase(url, (sql) => sql.query<SchemaObject>(catalogQuery));
  return judged(
    judgeCatalog(readDefinitions(files), catalog),
    counted(catalog.length, "object"),
  );
}

/** The database made by the migrations is the one made by the schemas, rows included. */
export async function checkDifference(comparison: Comparison): Promise<CheckResult> {
  const { paths } = comparison;
  const migrations = await readMigrations(paths.migrations);
  const argument = await mayRewriteBaseline(paths, migrations) ? "--baseline" : "NAME";
  const remedy =
    `Run \`deno task db:migration ${argument}\`, or take the change out of supabase/schemas.`;
  return judged(describeDifference(await compareDatabases(comparison), remedy));
}

/** No migration is a draft, and a lone baseline is the text of the schemas. */
export async function checkMigrationText(
  paths: ProjectPaths,
  files: readonly SchemaFile[],
): Promise<CheckResult> {
  const migrations = await readMigrations(paths.migrations);
  const findings = migrations.filter(isDraft).map(({ file }) =>
    `${file.slice(paths.root.length + 1)} is still a draft: ` +
    "replace each DRAFT at its head by what the change is for and whom it concerns."
  );
  const [baseline] = migrations;
  if (await mayRewriteBaseline(paths, migrations) && baseline?.script !== baselineOf(files)) {
    findings.push(
      "The baseline is not the text of supabase/schemas: run `deno task db:migration --baseline`.",
    );
  }
  return judged(findings, counted(migrations.length, "migration"));
}
