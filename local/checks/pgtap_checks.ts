import postgres from "postgres";
import { messageOf } from "../errors.ts";
import type { ProjectPaths } from "../paths.ts";
import { type CheckResult, counted, judged } from "./check.ts";
import { onDatabase } from "./databases.ts";
import { missingExtension } from "./supabase_checks.ts";
import { readTap } from "./tap.ts";

/**
 * Runs `supabase/tests/**.sql` as `supabase test db` does, which needs Docker for it: pgTAP in the
 * schema extensions, each file in its own transaction, on a search path with both.
 */
export async function checkPgtap(url: string, paths: ProjectPaths): Promise<CheckResult> {
  const missing = await onDatabase(url, (sql) => missingExtension(sql, "pgtap"));
  if (missing !== undefined) return missing;
  const files = await sqlFiles(`${paths.root}/supabase/tests`);
  const session = postgres(url, { max: 1, onnotice: () => {} });
  const findings: string[] = [];
  try {
    await session.unsafe("create extension if not exists pgtap with schema extensions");
    for (const file of files) {
      const found = await runFile(session, file);
      findings.push(...found.map((line) => `${file.slice(paths.root.length + 1)}: ${line}`));
    }
  } finally {
    await session.end({ timeout: 1 });
  }
  return judged(findings, counted(files.length, "file"));
}

async function runFile(session: postgres.Sql, file: string): Promise<readonly string[]> {
  const script = await Deno.readTextFile(file);
  try {
    return readTap(await textLines(session, `set search_path = public, extensions; ${script}`));
  } catch (error) {
    return [messageOf(error)];
  } finally {
    await textLines(session, "rollback; reset role; reset all").catch(() => []);
  }
}

/** Runs a script and returns its text cells: TAP lines come as rows. */
async function textLines(session: postgres.Sql, script: string): Promise<readonly string[]> {
  const results = await session.unsafe(script).simple() as unknown;
  const sets = Array.isArray(results) && results.every(Array.isArray) ? results : [results];
  return sets.flatMap((rows) => (rows as readonly unknown[]).flatMap((row) => textCells(row)));
}

function textCells(row: unknown): readonly string[] {
  return Object.values(row as Record<string, unknown>)
    .filter((cell): cell is string => typeof cell === "string");
}

async function sqlFiles(folder: string): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) files.push(...await sqlFiles(path));
    else if (entry.name.endsWith(".sql")) files.push(path);
  }
  return files.sort();
}
