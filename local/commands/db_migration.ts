import { counted } from "../checks/check.ts";
import {
  copyDatabase,
  makeFromMigrations,
  makeFromSchemas,
  onDatabase,
} from "../checks/databases.ts";
import {
  compareDatabases,
  describeDifference,
  type Difference,
  filesOf,
} from "../checks/difference.ts";
import {
  draftMigration,
  mayRewriteBaseline,
  nextVersion,
  readName,
} from "../checks/migration_files.ts";
import { baselineOf, readSchemas, type SchemaFile } from "../checks/schema_files.ts";
import { readDefinitions } from "../checks/schema_text.ts";
import { withFirstServer } from "../checks/servers.ts";
import { compareRows, readRows, type RowChange } from "../checks/table_rows.ts";
import { installTool, supabaseCli } from "../checks/tool.ts";
import { type Migration, readMigrations } from "../database/migrate.ts";
import { messageOf, OperatorError } from "../errors.ts";
import { type ProjectPaths, projectPaths } from "../paths.ts";

/**
 * `db-migration NAME`: drafts the next migration from what `supabase/schemas` have and the
 * migrations lack, for a person to complete. `db-migration --baseline`: writes the baseline anew,
 * as long as it is the only migration and nothing has been released.
 */
export async function run(args: readonly string[] = []): Promise<number> {
  const [argument] = args;
  if (argument === undefined || args.length !== 1) {
    throw new OperatorError("Usage: deno task db:migration NAME | --baseline");
  }
  const paths = projectPaths();
  const migrations = await readMigrations(paths.migrations);
  const files = await readSchemas(paths);
  if (argument === "--baseline") await writeBaseline(paths, migrations, files);
  else await writeDraft(paths, migrations, files, readName(argument, migrations));
  return 0;
}

async function writeBaseline(
  paths: ProjectPaths,
  migrations: readonly Migration[],
  files: readonly SchemaFile[],
): Promise<void> {
  const [baseline] = migrations;
  if (baseline === undefined || !await mayRewriteBaseline(paths, migrations)) {
    throw new OperatorError(
      "Cannot rewrite the baseline: it must be the only migration, and CHANGELOG.md must have " +
        "no version yet. Draft the next one instead: deno task db:migration NAME.",
    );
  }
  await Deno.writeTextFile(baseline.file, baselineOf(files));
  console.log(
    `written  ${relative(paths, baseline.file)}, ${counted(files.length, "schema file")}`,
  );
}

async function writeDraft(
  paths: ProjectPaths,
  migrations: readonly Migration[],
  files: readonly SchemaFile[],
  name: string,
): Promise<void> {
  const cli = await installTool(supabaseCli, paths);
  await withFirstServer(paths, async (server, signal) => {
    const from = await makeFromMigrations(server, "migrated", migrations);
    const to = await makeFromSchemas(server, "schemas", files);
    const difference = await compareDatabases({ cli, from, to, paths, signal });
    if (draftMigration(difference) === undefined) {
      throw new OperatorError(
        `Cannot draft ${name}: supabase/migrations make what supabase/schemas say. ` +
          "Change a file of supabase/schemas first.",
      );
    }
    const copy = await copyDatabase(server, from, "drafted");
    const { rows, problem } = await rowsAfter(copy, to, difference);
    const file = `${paths.migrations}/${nextVersion(new Date(), migrations)}_${name}.sql`;
    const draft = draftMigration({ ...difference, rows }) ?? "";
    await Deno.writeTextFile(file, draft, { createNew: true });
    console.log(`written  ${relative(paths, file)}`);
    console.log("It follows from:");
    const sources = filesOf(difference, readDefinitions(files));
    for (const source of sources) console.log(`  ${source}`);
    if (problem !== undefined) {
      throw new OperatorError(`The draft does not apply, put it right: ${problem}`);
    }
    await onDatabase(copy, (sql) => sql.exec(rows.map((row) => `${row.statement};`).join("\n")));
    const left = await compareDatabases({ cli, from: copy, to, paths, signal });
    for (const finding of describeDifference(left, "Add to the draft what is missing.")) {
      console.log(finding);
    }
    console.log("Read it: the CLI sees a renamed column as a dropped one and a new one.");
    console.log("Complete its head, then run `deno task write` and `deno task ok`.");
  });
}

/** Which rows still differ once the definitions are equal: a new column has filled its default in. */
async function rowsAfter(
  copy: string,
  to: string,
  difference: Difference,
): Promise<{ readonly rows: readonly RowChange[]; readonly problem?: string }> {
  try {
    await onDatabase(
      copy,
      (database) => database.transaction((sql) => sql.exec(difference.sql)),
    );
  } catch (error) {
    return { rows: difference.rows, problem: messageOf(error) };
  }
  return { rows: compareRows(await onDatabase(copy, readRows), await onDatabase(to, readRows)) };
}

function relative(paths: ProjectPaths, file: string): string {
  return file.slice(paths.root.length + 1);
}
