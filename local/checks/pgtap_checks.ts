import { pgtap } from "@electric-sql/pglite/pgtap";
import type { Database } from "../database/database.ts";
import { readMigrations } from "../database/migrate.ts";
import { openPglite } from "../database/open_pglite.ts";
import { prepareDatabase } from "../database/prepare.ts";
import { messageOf } from "../errors.ts";
import type { ProjectPaths } from "../paths.ts";
import { type CheckResult, judged } from "./check.ts";
import { missingExtension } from "./supabase_checks.ts";
import { readTap } from "./tap.ts";

/**
 * Runs `supabase/tests/**.sql` as `supabase test db` does, which needs Docker for it: pgTAP in the
 * schema extensions, each file in a transaction of its own making, on a search path with both.
 */
export async function checkPgtap(
  database: Database,
  run: (script: string) => Promise<readonly string[]>,
  paths: ProjectPaths,
): Promise<CheckResult> {
  const files = await sqlFiles(`${paths.root}/supabase/tests`);
  const missing = await missingExtension(database, "pgtap");
  if (missing !== undefined) return missing;
  await database.exec("create extension if not exists pgtap with schema extensions");
  const findings: string[] = [];
  for (const file of files) {
    const name = file.slice(paths.root.length + 1);
    try {
      const script = await Deno.readTextFile(file);
      const lines = await run(`set search_path = public, extensions; ${script}`);
      findings.push(...readTap(lines).map((line) => `${name}: ${line}`));
    } catch (error) {
      findings.push(`${name}: ${messageOf(error)}`);
    } finally {
      await run("rollback; reset role; reset all").catch(() => []);
    }
  }
  return judged(findings, `${files.length} files`);
}

/** The same on PGlite, which brings pgTAP along: Postgres 17, and nothing to install. */
export async function checkPgtapOnPglite(paths: ProjectPaths): Promise<CheckResult> {
  const database = await openPglite({ extensions: { pgtap } });
  try {
    await prepareDatabase(database, await readMigrations(paths.migrations));
    const run = async (script: string) => textOf(await database.pglite.exec(script));
    return await checkPgtap(database, run, paths);
  } finally {
    await database.close();
  }
}

/** The text cells of the results of a script: TAP lines come as rows. */
function textOf(results: readonly { readonly rows: readonly unknown[] }[]): readonly string[] {
  return results.flatMap(({ rows }) => rows.flatMap((row) => textCells(row)));
}

/** The text cells of one row. */
export function textCells(row: unknown): readonly string[] {
  return Object.values(row as Record<string, unknown>)
    .filter((cell): cell is string => typeof cell === "string");
}

async function sqlFiles(folder: string): Promise<readonly string[]> {
  const files: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) files.push(...await sqlFiles(path));
      else if (entry.name.endsWith(".sql")) files.push(path);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files.sort();
}
