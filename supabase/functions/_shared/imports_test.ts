import assert from "node:assert/strict";

/**
 * What each room may import of ours. The arrows run one way only: index -> handler -> use case
 * (inbox, sync) -> port (source) <- adapters.
 *
 * The adapter of the database serves the ports of use cases and of `source`.
 *
 * `booking` is the canonical form that all of them speak and imports nothing of ours. `source` is
 * the port to a source and how one is read over HTTP; it knows no source by name. The words of one
 * source are in its folder, and a handler may import those words but not the client.
 */
const BASE = ["errors", "clock", "within", "read_stream"];
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  index: ["handler", "config", "log", "errors", "http", "inbox", "sync", "adapters"],
  handler: [
    "handler",
    "http",
    "inbox",
    "sync",
    "booking",
    "words",
    "log",
    "call_database",
    ...BASE,
  ],
  http: ["http", "log", ...BASE],
  inbox: ["inbox", "booking", "log", "call_database", ...BASE],
  sync: ["sync", "inbox", "source", "booking", "log", "call_database", ...BASE],
  source: ["source", "booking", ...BASE],
  eventflow: ["eventflow", "words", "source", "booking", ...BASE],
  headout: ["headout", "words", "source", "booking", ...BASE],
  postgres: ["postgres", "inbox", "sync", "source", "booking", ...BASE],
  booking: ["booking"],
  words: ["booking"],
  config: ["config", "errors"],
  log: ["clock"],
  errors: [],
  clock: [],
  within: [],
  call_database: ["errors", "within"],
  read_stream: [],
};
const ADAPTERS = new Set(["eventflow", "headout", "postgres"]);
/** The words of a source: all that a handler may import of it. */
const WORDS = new Set([
  "_shared/eventflow/event_type.ts",
  "_shared/headout/event_timestamp.ts",
  "_shared/headout/status.ts",
]);

interface Import {
  readonly file: string;
  readonly specifier: string;
}

const ROOT = new URL("../", import.meta.url);
const files = await listSources(ROOT);
const sources = new Map(
  await Promise.all(
    files.map(async (file) =>
      [file, stripComments(await Deno.readTextFile(new URL(file, ROOT)))] as const
    ),
  ),
);
const deployed = files.filter((file) => !file.endsWith("_test.ts") && !file.includes("testing"));

Deno.test("imports run one way only, from index to handler to use case to port", () => {
  const wrong = deployed.flatMap(importsOf).filter(({ file, specifier }) => {
    if (!specifier.startsWith(".")) return false;
    const [from, to] = [roomOf(file), roomOf(resolve(file, specifier))];
    return !ROOMS[from]?.includes(from === "index" && ADAPTERS.has(to) ? "adapters" : to);
  });
  assert.deepEqual(wrong, []);
  assert.ok(deployed.length > 20, "the walk found no sources");
});

Deno.test("a source's words are files that exist", () => {
  assert.deepEqual([...WORDS].filter((file) => !deployed.includes(file)), []);
});

Deno.test("imports run in no circle, not even for types", () => {
  const imports = new Map(deployed.map((file) => [
    file,
    importsOf(file).flatMap(({ specifier }) =>
      specifier.startsWith(".") ? [resolve(file, specifier)] : []
    ),
  ]));
  const circles: string[] = [];
  const done = new Set<string>();
  function walk(file: string, path: readonly string[]): void {
    const start = path.indexOf(file);
    if (start >= 0) circles.push([...path.slice(start), file].join(" -> "));
    if (start >= 0 || done.has(file)) return;
    for (const next of imports.get(file) ?? []) walk(next, [...path, file]);
    done.add(file);
  }
  for (const file of deployed) walk(file, []);
  assert.deepEqual(circles, []);
});

Deno.test("imports have bare or relative specifiers, and none is computed", () => {
  const wrong = files.flatMap(importsOf).filter(({ specifier }) =>
    specifier.startsWith(".")
      ? !specifier.endsWith(".ts")
      : /^(npm|jsr|https?|data):/.test(specifier)
  );
  assert.deepEqual(wrong, []);
  const computed = deployed.filter((file) => /\bimport\s*\(|\brequire\s*\(/.test(source(file)));
  assert.deepEqual(computed, []);
});

Deno.test("only config.ts reads the environment", () => {
  const readers = deployed.filter((file) => /\bDeno\.env\b|\bprocess\.env\b/.test(source(file)));
  assert.deepEqual(readers, ["_shared/config.ts"]);
});

Deno.test("only postgres/ imports supabase-js", () => {
  const users = files.flatMap(importsOf).filter(({ specifier }) =>
    specifier.includes("supabase-js")
  );
  assert.ok(users.length > 0);
  assert.deepEqual(users.filter(({ file }) => !file.startsWith("_shared/postgres/")), []);
});

Deno.test("nothing deployed imports tests or their support", () => {
  const wrong = deployed.flatMap(importsOf).filter(({ specifier }) =>
    /_test\.ts$|testing/.test(specifier) || specifier === "node:assert/strict"
  );
  assert.deepEqual(wrong, []);
});

function roomOf(file: string): string {
  if (WORDS.has(file)) return "words";
  const [first = "", second = ""] = file.split("/");
  if (first === "_shared") return second.replace(/\.ts$/, "");
  return second === "index.ts" ? "index" : "handler";
}

function resolve(file: string, specifier: string): string {
  return new URL(specifier, new URL(file, ROOT)).href.slice(ROOT.href.length);
}

function importsOf(file: string): Import[] {
  const found = source(file).matchAll(
    /(?:^|\n)\s*(?:import|export)\s(?:[\w$*{}\s,]+?\sfrom\s+)?["']([^"']+)["']/g,
  );
  return [...found].map((match) => ({ file, specifier: match[1]! }));
}

function source(file: string): string {
  return sources.get(file) ?? "";
}

function stripComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

async function listSources(root: URL, folder = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(new URL(folder, root))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory) found.push(...await listSources(root, `${path}/`));
    else if (entry.name.endsWith(".ts") && entry.name !== "database.types.ts") found.push(path);
  }
  return found.sort();
}
