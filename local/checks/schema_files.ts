import type { Sql } from "../database/database.ts";
import { describeFailure } from "../database/migrate.ts";
import { OperatorError } from "../errors.ts";
import type { ProjectPaths } from "../paths.ts";

/** One file of `supabase/schemas`. */
export interface SchemaFile {
  /** Relative to the project, such as `supabase/schemas/10_organizations.sql`. */
  readonly file: string;
  readonly script: string;
}

/** The files of `supabase/schemas` in their order, which is that of their numbers. */
export async function readSchemas(paths: ProjectPaths): Promise<readonly SchemaFile[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(paths.schemas)) {
    if (!entry.name.endsWith(".sql")) continue;
    if (!/^\d\d_[a-z0-9_]+\.sql$/.test(entry.name)) {
      throw new OperatorError(
        `Cannot place supabase/schemas/${entry.name}: its name is not NN_noun.sql.`,
      );
    }
    names.push(entry.name);
  }
  return await Promise.all(
    names.sort().map(async (name) => ({
      file: `supabase/schemas/${name}`,
      script: await Deno.readTextFile(`${paths.schemas}/${name}`),
    })),
  );
}

/** Executes the files in their order. A failure is an `OperatorError` with file, line and column. */
export async function executeSchemas(sql: Sql, files: readonly SchemaFile[]): Promise<void> {
  for (const file of files) {
    try {
      await sql.exec(file.script);
    } catch (error) {
      throw new OperatorError(describeFailure(file, error), { cause: error });
    }
  }
}

/** What the baseline migration holds: the files in their order under a head. */
export function baselineOf(files: readonly SchemaFile[]): string {
  const head = "-- The files of supabase/schemas in their order, in one migration.\n" +
    "-- Written by `deno task db:migration --baseline`; frozen from the first release on.\n";
  return head +
    files.map(({ file, script }) => `\n-- ${file.replace(/^supabase\//, "")}\n\n${script}`).join(
      "",
    );
}
