import assert from "node:assert/strict";

/** What each room may import of ours (design §1); the arrows run one way only. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  index: ["handler", "config", "log", "errors", "http", "inbox", "sync", "adapters"],
  handler: ["booking", "http", "inbox", "sync", "log", "errors", "monotonic", "within", "handler"],
  http: ["http", "log", "errors", "monotonic", "within"],
  inbox: ["inbox", "booking", "log", "errors", "monotonic", "within"],
  sync: ["sync", "inbox", "booking", "log", "errors", "monotonic", "within"],
  booking: ["booking"],
  eventflow: ["eventflow", "booking", "errors", "within"],
  headout: ["headout", "booking", "errors", "monotonic", "within"],
  postgres: ["postgres", "inbox", "sync", "booking", "errors", "within"],
  config: ["config", "errors"],
  log: ["monotonic"],
  errors: [],
  monotonic: [],
  within: [],
};
const ADAPTERS = new Set(["eventflow", "headout", "postgres"]);

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
