import { splitStatements } from "../database/split_statements.ts";
import { OperatorError } from "../errors.ts";
import type { ProjectPaths } from "../paths.ts";
import { onDatabase } from "./databases.ts";
import type { Definition } from "./schema_text.ts";
import { compareRows, readRows, type RowChange } from "./table_rows.ts";
import { runTool } from "./tool.ts";

/** Two databases of one server, and what compares them. */
export interface Comparison {
  /** The Supabase CLI. */
  readonly cli: string;
  readonly from: string;
  readonly to: string;
  readonly paths: ProjectPaths;
  readonly signal?: AbortSignal;
}

/** What has to be done to one database so that it is the other. */
export interface Difference {
  /** Statements as the CLI prints them, settings included; empty if the schemas are equal. */
  readonly sql: string;
  readonly rows: readonly RowChange[];
}

/**
 * Compares definitions, comments, grants, policies and rows of public and sync. What the CLI
 * cannot compare is an `OperatorError`.
 */
export async function compareDatabases(comparison: Comparison): Promise<Difference> {
  const { cli, from, to, paths, signal } = comparison;
  const args = ["--strict-coverage", "--schema", "public,sync", "--workdir", paths.root];
  const ran = await runTool(
    cli,
    ["db", "diff", "--from", from, "--to", to, ...args],
    { cwd: paths.root, ...(signal === undefined ? {} : { signal }) },
  );
  if (ran.code !== 0) throw new OperatorError(`${ran.stdout}\n${ran.stderr}`.trim());
  const [before, after] = [await onDatabase(from, readRows), await onDatabase(to, readRows)];
  return { sql: ran.stdout.trim(), rows: compareRows(before, after) };
}

/** One finding per object or row that differs; `remedy` is what a person does about them. */
export function describeDifference({ sql, rows }: Difference, remedy: string): readonly string[] {
  const statements = splitStatements(sql)
    .filter((statement) => !/^set local /i.test(statement))
    .map((statement) => `missing from the migrations: ${firstLines(statement)}`);
  const findings = [...statements, ...rows.map(({ description }) => description)];
  return findings.length === 0 ? [] : [...findings, remedy];
}

/** The schema files that define what a difference is about, in their order. */
export function filesOf(
  { sql, rows }: Difference,
  definitions: readonly Definition[],
): readonly string[] {
  const statements = rows.map(({ statement }) => statement);
  const text = [sql, ...statements].join("\n").replaceAll('"', "");
  const files = definitions.filter((definition) => mentions(text, definition))
    .map(({ file }) => file);
  return [...new Set(files)].sort();
}

function mentions(text: string, { kind, name }: Definition): boolean {
  const words = kind === "table" ? "(?:table|column|into|update|from)" : kind;
  const [own = ""] = name.split(" ");
  return new RegExp(`\\b${words}\\s+${RegExp.escape(own)}\\b`, "i").test(text);
}

/** Enough of a statement to know the object. */
function firstLines(statement: string): string {
  const line = statement.replaceAll(/\s+/g, " ");
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}
