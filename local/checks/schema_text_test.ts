import assert from "node:assert/strict";
import { describeText, judgeCatalog, judgeText, limits, readDefinitions } from "./schema_text.ts";

const file = "supabase/schemas/10_things.sql";

function schema(...statements: readonly string[]): readonly [{ file: string; script: string }] {
  return [{ file, script: `-- Things.\n\n${statements.join("\n\n")}\n` }];
}

function functionOf(name: string, lines: number): string {
  const body = Array.from({ length: lines }, (_, index) => `  select ${index};`).join("\n");
  return `create function sync.${name}() returns void\nlanguage sql as $$\n${body}\n$$;`;
}

Deno.test("readDefinitions() reads every kind under the name that the catalog gives it", () => {
  const definitions = readDefinitions(schema(
    "create table public.things (id int);",
    "create type sync.Pair as (a int, b int);",
    "-- Why; it is so.\ncreate unique index things_key\n  on public.things (id) where id > 0;",
    "create policy things_select on public.things for select using (true);",
    "create trigger things_touch before update of id on public.things\n" +
      "  for each row execute function sync.touch();",
    'create or replace view public."Odd view" as select 1;',
    functionOf("touch", 3),
    "comment on table public.things is 'create table public.others ();';",
  ));
  assert.deepEqual(definitions.map(({ kind, name, line }) => `${line} ${kind} ${name}`), [
    "3 table public.things",
    "5 type sync.pair",
    "8 index things_key on public.things",
    "11 policy things_select on public.things",
    "13 trigger things_touch on public.things",
    "16 view public.Odd view",
    "18 function sync.touch",
  ]);
  assert.equal(definitions.at(-1)?.lines, 3);
});

Deno.test("judgeText() has nothing to say about a file in order", () => {
  assert.deepEqual(judgeText(schema(functionOf("short", 5))), []);
});

Deno.test("judgeText() names an object that is defined twice, with both places", () => {
  assert.deepEqual(judgeText(schema(functionOf("twice", 1), functionOf("twice", 1))), [
    `function sync.twice is defined 2 times: ${file}:3, ${file}:8. Keep one definition.`,
  ]);
});

Deno.test("judgeText() names a function that is too long", () => {
  const findings = judgeText(schema(
    functionOf("short", 1),
    functionOf("fits", limits.longestFunction),
    functionOf("long", limits.longestFunction + 1),
    functionOf("brief", 1),
    functionOf("terse", 1),
  ));
  assert.equal(findings.length, 1);
  assert.match(findings[0] ?? "", /:\d+: function sync\.long has 81 lines, 80 at most\./);
});

Deno.test("judgeText() asks for a median below its limit", () => {
  const long = limits.medianFunction + 1;
  const findings = judgeText(
    schema(functionOf("a", 1), functionOf("b", long), functionOf("c", long)),
  );
  assert.deepEqual(findings, [
    "The median function has 21 lines, 20 at most. Split the longer ones.",
  ]);
});

Deno.test("judgeText() asks for a comment at the head of a file", () => {
  assert.deepEqual(judgeText([{ file, script: "create table public.things (id int);\n" }]), [
    `${file}: does not begin with a comment. Say at its head what the file is about.`,
  ]);
});

Deno.test("judgeCatalog() names what a do block made, and what is not there", () => {
  const definitions = readDefinitions(schema("create table public.things (id int);"));
  const findings = judgeCatalog(definitions, [
    { kind: "trigger", name: "things_touch on public.things" },
  ]);
  assert.equal(findings.length, 2);
  assert.match(findings[0] ?? "", /^trigger things_touch on public\.things is in the database/);
  assert.match(findings[1] ?? "", /:3: table public\.things is not in the database/);
});

Deno.test("describeText() counts functions and their lines", () => {
  const definitions = readDefinitions(
    schema(functionOf("a", 1), functionOf("b", 2), functionOf("c", 9)),
  );
  assert.equal(describeText(definitions), "3 functions, longest 9 lines, median 2");
});
