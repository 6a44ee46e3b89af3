/** Puts into docs/rules.md, below each rule, the tests that guard it, as their names say. */
import type { ProjectPaths } from "./paths.ts";

/** A text file of the project; its path is relative to the root. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** A test that guards a rule. */
export interface Guard {
  readonly path: string;
  /** Its name after the rule's; `…` stands for what it fills in. */
  readonly test: string;
}

/** One rule of docs/rules.md. */
export interface Rule {
  readonly kind: "rule" | "incident";
  readonly name: string;
  /** False for those under "Not held yet". */
  readonly held: boolean;
  readonly guards: readonly Guard[];
}

const KINDS: Readonly<Record<string, Rule["kind"]>> = { Invariants: "rule", Incidents: "incident" };
const NOT_HELD = "Not held yet";

/** The rules of docs/rules.md, with the tests that it names. */
export function readRules(document: string): readonly Rule[] {
  return document.split(/^## /m).flatMap((part): readonly Rule[] => {
    const title = part.split("\n", 1)[0] ?? "";
    if (title === NOT_HELD) {
      return [...part.matchAll(/^- `(rule|incident): ([^`]+)`:/gm)].map(([, kind, name = ""]) => (
        { kind: kind as Rule["kind"], name, held: false, guards: [] }
      ));
    }
    const kind = KINDS[title];
    if (kind === undefined) return [];
    return part.split(/^### /m).slice(1).map((entry) => {
      const name = entry.split("\n", 1)[0] ?? "";
      return { kind, name, held: true, guards: readGuards(entry) };
    });
  });
}

/** The lines of a list, which the formatter may have wrapped. */
function readGuards(entry: string): readonly Guard[] {
  return entry.replaceAll(/\n {2,}/g, " ").split("\n").flatMap((line) => {
    const [, path, test] = /^- `([^`]+)`: (.+)$/.exec(line) ?? [];
    return path === undefined || test === undefined ? [] : [{ path, test }];
  });
}

/** The tests whose names begin with the rule, or for pgTAP end with it in parentheses. */
export function findGuards(
  { kind, name }: Pick<Rule, "kind" | "name">,
  files: readonly SourceFile[],
): readonly Guard[] {
  const quoted = RegExp.escape(name.replaceAll("'", "''"));
  const named = new RegExp(
    `(["'\`])${kind}: ${RegExp.escape(name)}: ((?:(?!\\1)[^\\n])+)\\1`,
    "g",
  );
  const inSql = new RegExp(`'([^'\\n]+) \\(${kind}: ${quoted}\\)'`, "g");
  return files.flatMap(({ path, text }) => {
    const found = path.endsWith(".sql")
      ? [...text.matchAll(inSql)].map(([, test = ""]) => test)
      : [...text.matchAll(named)].map(([, , test = ""]) => test);
    return found.map((test) => ({ path, test: test.replaceAll(/\$\{[^}]*\}/g, "…") }));
  });
}

/** The document with the tests of each rule as they are now. */
export function writeGuards(
  document: string,
  guardsOf: (rule: Pick<Rule, "kind" | "name">) => readonly Guard[],
): string {
  return document.split(/^(?=## )/m).map((part) => {
    const kind = KINDS[/^## (.*)/.exec(part)?.[1] ?? ""];
    if (kind === undefined) return part;
    return part.split(/^(?=### )/m).map((entry) => {
      const name = /^### (.*)/.exec(entry)?.[1];
      if (name === undefined) return entry;
      const [head = ""] = entry.split(/^- `/m, 1);
      const list = guardsOf({ kind, name }).map(({ path, test }) => `- \`${path}\`: ${test}\n`);
      return `${head.trimEnd()}\n\n${list.length > 0 ? `${list.join("")}\n` : ""}`;
    }).join("");
  }).join("");
}

/** What follows `rule: ` or `incident: ` in comments and strings, up to 100 characters of it. */
export function readCitations(
  { text }: SourceFile,
): readonly { readonly kind: Rule["kind"]; readonly cited: string }[] {
  const joined = text.replaceAll(/\n\s*(?:\*|\/\/|--) /g, " ");
  return [...joined.matchAll(/\b(rule|incident): ([a-zA-Z][^\n]{0,99})/g)]
    // Two words at least: `rule: string` is a type.
    .filter(([, , cited = ""]) => /^[\w'-]+,? [\w"]/.test(cited))
    .map(([, kind, cited = ""]) => ({ kind: kind as Rule["kind"], cited }));
}

/** Every text file below the folders, without what is installed there. */
export async function readSources(
  root: string,
  folders: readonly string[],
): Promise<readonly SourceFile[]> {
  const found: SourceFile[] = [];
  async function visit(path: string): Promise<void> {
    for await (const entry of Deno.readDir(`${root}/${path}`)) {
      const child = `${path}/${entry.name}`;
      if (entry.isDirectory && entry.name !== "node_modules") await visit(child);
      if (entry.isFile && /\.(ts|sql)$/.test(entry.name)) {
        found.push({ path: child, text: await Deno.readTextFile(`${root}/${child}`) });
      }
    }
  }
  for (const folder of folders) await visit(folder);
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}

/** Whether a file holds tests. */
export function isTest({ path }: SourceFile): boolean {
  return path.endsWith("_test.ts") || path.startsWith("supabase/tests/");
}

/** What docs/rules.md has to say, before it is formatted. */
export async function generateRules({ root }: ProjectPaths): Promise<string> {
  const tests = (await readSources(root, ["local", "supabase", "tests"])).filter(isTest);
  const document = await Deno.readTextFile(`${root}/docs/rules.md`);
  return writeGuards(document, (rule) => findGuards(rule, tests));
}
