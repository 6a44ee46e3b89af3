import assert from "node:assert/strict";
import { projectPaths } from "./paths.ts";
import { findGuards, isTest, readCitations, readRules, readSources, writeGuards } from "./rules.ts";

const { root } = projectPaths();
const document = await Deno.readTextFile(`${root}/docs/rules.md`);
const rules = readRules(document);
const sources = (await readSources(root, ["bench", "local", "supabase", "tests"]))
  .filter(({ path }) => !/^local\/rules(_test)?\.ts$/.test(path));

Deno.test("findGuards() takes the tests whose names begin with the rule", () => {
  const text = `
    test("rule: a rule of ours: a person may not write", …)
    test(\`incident: a person's rule: \${column} stays\`, …)
    // rule: a rule of ours: a comment guards nothing`;
  const rule = { kind: "rule", name: "a rule of ours" } as const;
  const incident = { kind: "incident", name: "a person's rule" } as const;
  const files = [{ path: "x_test.ts", text }];
  assert.deepEqual(findGuards(rule, files), [{
    path: "x_test.ts",
    test: "a person may not write",
  }]);
  assert.deepEqual(findGuards(incident, files), [{ path: "x_test.ts", test: "… stays" }]);
});

Deno.test("findGuards() takes pgTAP's descriptions that end with the rule", () => {
  const text = "select has_pk('x', 'it has a key (rule: a person''s rule)');";
  const rule = { kind: "rule", name: "a person's rule" } as const;
  const files = [{ path: "supabase/tests/x_test.sql", text }];
  assert.deepEqual(findGuards(rule, files), [{ path: files[0]?.path, test: "it has a key" }]);
});

Deno.test("writeGuards() replaces the list below a rule, and readRules() reads it", () => {
  const before = "## Invariants\n\n### a b\n\nText.\n\n- `old.ts`: old\n\n### c d\n\nText.\n";
  const guards = [{ path: "x_test.ts", test: "new" }];
  const after = writeGuards(before, ({ name }) => name === "a b" ? guards : []);
  assert.deepEqual(readRules(after), [
    { kind: "rule", name: "a b", held: true, guards },
    { kind: "rule", name: "c d", held: true, guards: [] },
  ]);
  assert.ok(!after.includes("old"));
});

Deno.test("readCitations() reads comments over two lines, and no types", () => {
  const text = "/**\n * Kept (rule: a rule\n * of ours).\n */\nfunction f(rule: string) {}";
  assert.deepEqual(readCitations({ path: "x.ts", text }), [
    { kind: "rule", cited: "a rule of ours)." },
  ]);
});

Deno.test({
  name: "docs/rules.md names the tests that guard each rule (else: deno task write)",
  fn() {
    const tests = sources.filter(isTest);
    const expected = rules.map((rule) => ({ ...rule, guards: findGuards(rule, tests) }));
    assert.deepEqual(rules, expected);
    const unguarded = rules.filter(({ held, guards }) => held && guards.length === 0);
    assert.deepEqual(unguarded.map(({ name }) => name), []);
  },
});

Deno.test({
  name: "every rule and incident that is cited is in docs/rules.md",
  fn() {
    const cited = sources.flatMap((file) =>
      readCitations(file).map((citation) => ({ ...citation, path: file.path }))
    );
    assert.ok(cited.length > 50, "the walk found no citations");
    const unknown = cited.filter(({ kind, cited }) =>
      !rules.some((rule) => rule.kind === kind && cited.replaceAll("''", "'").startsWith(rule.name))
    );
    assert.deepEqual(unknown, []);
  },
});

Deno.test({
  name: "no rule is cited by a number",
  fn() {
    const numbered = sources.flatMap(({ path, text }) =>
      [...text.matchAll(/\b(?:invariants?|incidents?) \d+|\bdesign (?:§|\d)/gi)]
        .map(([found]) => `${path}: ${found}`)
    );
    assert.deepEqual(numbered, []);
  },
});

Deno.test({
  name: "docs/architecture.md names schema files that exist",
  async fn() {
    const text = await Deno.readTextFile(`${root}/docs/architecture.md`);
    const named = new Set([...text.matchAll(/\b\d\d_\w+\.sql\b/g)].map(([name]) => name));
    assert.ok(named.size > 10);
    const found = new Set(sources.map(({ path }) => path));
    const missing = [...named].filter((name) => !found.has(`supabase/schemas/${name}`));
    assert.deepEqual(missing, []);
  },
});

Deno.test({
  name: "the documents name tasks of deno.json",
  async fn() {
    const { tasks } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
    for (const file of ["CONTRIBUTING.md", "docs/architecture.md", "docs/disorder.md"]) {
      const text = await Deno.readTextFile(`${root}/${file}`);
      const named = [...text.matchAll(/deno task\s+([a-z:]+)/g)].map(([, task = ""]) => task);
      assert.deepEqual(named.filter((task) => !(task in tasks)), []);
    }
  },
});
