import assert from "node:assert/strict";
import { projectPaths } from "./paths.ts";
import { isTest, readSources } from "./rules.ts";

const { root } = projectPaths();
const documents = await readDocuments();

Deno.test("the README is at most 90 lines", () => {
  const lines = documents.get("README.md")?.trimEnd().split("\n").length ?? 0;
  assert.ok(lines > 20 && lines <= 90, `it has ${lines}`);
});

Deno.test("no table of a document is wider than 140 characters", () => {
  const tables = lines().filter(({ line }) => line.startsWith("|"));
  assert.ok(tables.length > 50, "the walk found no tables");
  assert.deepEqual(tables.filter(({ line }) => [...line].length > 140).map(({ at }) => at), []);
});

Deno.test("every relative link of a document leads to a file and to a heading of it", async () => {
  const links = lines().flatMap(({ file, line, at }) =>
    [...line.matchAll(/\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)/g)].map((
      [, path = "", heading],
    ) => ({ at, target: path === "" ? file : resolve(file, path), heading }))
  );
  assert.ok(links.length > 20, "the walk found no links");
  const broken: string[] = [];
  for (const { at, target, heading } of links) {
    const exists = await Deno.stat(`${root}/${target}`).then(() => true, () => false);
    const known = heading === undefined || headings(documents.get(target) ?? "").has(heading);
    if (!exists || !known) broken.push(`${at}: ${target}${heading ? `#${heading}` : ""}`);
  }
  assert.deepEqual(broken, []);
});

Deno.test("docs/api.md lists every error that the functions answer with", async () => {
  const sources = (await readSources(root, ["supabase/functions"])).filter((file) => !isTest(file));
  const thrown = new Set(
    sources.flatMap(({ text }) =>
      [...text.matchAll(/(?:AnswerError|super)\(\s*(\d{3}),\s*"([a-z_]+)"/g)]
        .map(([, status, code]) => `${status} \`${code}\``)
    ),
  );
  assert.ok(thrown.size > 10, "the walk found no errors");
  const api = documents.get("docs/api.md") ?? "";
  assert.deepEqual([...thrown].filter((error) => !api.includes(`| ${error}`)), []);
});

/** The documents by their path below the root. */
async function readDocuments(): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const folder of ["", "docs/"]) {
    for await (const { name, isFile } of Deno.readDir(`${root}/${folder}`)) {
      if (!isFile || !name.endsWith(".md")) continue;
      found.set(`${folder}${name}`, await Deno.readTextFile(`${root}/${folder}${name}`));
    }
  }
  return found;
}

function lines(): readonly { readonly file: string; readonly line: string; readonly at: string }[] {
  return [...documents].flatMap(([file, text]) =>
    text.split("\n").map((line, index) => ({ file, line, at: `${file}:${index + 1}` }))
  );
}

function resolve(file: string, path: string): string {
  return new URL(path, `file:///${file}`).pathname.slice(1);
}

/** What the headings of a document are called in links. */
function headings(text: string): ReadonlySet<string> {
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
      title.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
    ),
  );
}
