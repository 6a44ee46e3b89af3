import { OperatorError } from "../errors.ts";
import type { ProjectPaths } from "../paths.ts";
import { generateRules } from "../rules.ts";
import { type CheckResult, counted, judged } from "./check.ts";
import { formatText } from "./format_text.ts";
import { supabase, type SupabaseChecks, words } from "./supabase_checks.ts";

/** A committed file that a program writes. */
export interface GeneratedFile {
  /** Relative to the project. */
  readonly file: string;
  /** What it has to say; `database` has been made from `supabase/schemas`. */
  readonly generate: (database: SupabaseChecks) => Promise<string>;
}

/** All generated files. A new one is added here, and `deno task write` and the gate know it. */
export const generatedFiles: readonly GeneratedFile[] = [
  { file: "supabase/functions/_shared/postgres/database.types.ts", generate: generateTypes },
  {
    file: "docs/rules.md",
    generate: async ({ paths }) => await formatText(await generateRules(paths), "md"),
  },
];

/** Each generated file says what it has to. */
export async function checkGeneratedFiles(
  database: SupabaseChecks,
  files: readonly GeneratedFile[] = generatedFiles,
): Promise<CheckResult> {
  const findings: string[] = [];
  for (const { file, generate } of files) {
    const expected = await generate(database);
    if (await read(database.paths, file) === expected) continue;
    findings.push(`${file} is out of date: run \`deno task write\``);
  }
  return judged(findings, counted(files.length, "file"));
}

/** Writes each generated file that is out of date; returns which ones. */
export async function writeGeneratedFiles(
  database: SupabaseChecks,
  files: readonly GeneratedFile[] = generatedFiles,
): Promise<readonly string[]> {
  const written: string[] = [];
  for (const { file, generate } of files) {
    const expected = await generate(database);
    if (await read(database.paths, file) === expected) continue;
    await Deno.writeTextFile(`${database.paths.root}/${file}`, expected);
    written.push(file);
  }
  return written;
}

async function read(paths: ProjectPaths, file: string): Promise<string> {
  try {
    return await Deno.readTextFile(`${paths.root}/${file}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

async function generateTypes(database: SupabaseChecks): Promise<string> {
  const args = ["gen", "types", "--lang", "typescript", "--schema", "public"];
  const ran = await supabase(database, args);
  if (ran.code !== 0) throw new OperatorError(words(ran));
  return await formatText(ran.stdout, "ts");
}
