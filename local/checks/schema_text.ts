import { splitStatements } from "../database/split_statements.ts";
import { counted } from "./check.ts";
import type { SchemaFile } from "./schema_files.ts";

/** What a reader can be asked to take in at once. Lines of a function's body, between its `$$`. */
export const limits = { longestFunction: 80, medianFunction: 20 };

/** An object by the name that both the files and the catalog call it. */
export interface SchemaObject {
  /** `function`, `table`, `type`, `policy`, `trigger`, `index` or `view`. */
  readonly kind: string;
  /** `schema.name`; a policy, trigger or index is `name on schema.table`. */
  readonly name: string;
}

/** A statement of the schema files that makes an object. */
export interface Definition extends SchemaObject {
  readonly file: string;
  readonly line: number;
  /** Of the body; functions only. */
  readonly lines?: number;
}

const name = String.raw`((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)`;

/** How a definition of each kind begins. The second group is the table that it is on. */
const heads: readonly (readonly [kind: string, head: RegExp])[] = [
  ["function", head(`(?:function|procedure) ${name}`)],
  ["table", head(`(?:unlogged )?table (?:if not exists )?${name}`)],
  ["type", head(`(?:type|domain) ${name}`)],
  ["policy", head(`policy ${name} on ${name}`)],
  ["trigger", head(`(?:constraint )?trigger ${name} .*? on ${name}`)],
  ["index", head(`(?:unique )?index (?:concurrently )?(?:if not exists )?${name} on ${name}`)],
  ["view", head(`(?:materialized )?view (?:if not exists )?${name}`)],
];

/** Every definition in the files, in their order. */
export function readDefinitions(files: readonly SchemaFile[]): readonly Definition[] {
  return files.flatMap(definitionsOf);
}

/** What is wrong with the text of the files alone: twice defined, too long, without a head. */
export function judgeText(files: readonly SchemaFile[]): readonly string[] {
  const definitions = readDefinitions(files);
  return [...withoutHead(files), ...definedTwice(definitions), ...tooLong(definitions)];
}

/** Where the files and a database made from them disagree about what there is. */
export function judgeCatalog(
  definitions: readonly Definition[],
  catalog: readonly SchemaObject[],
): readonly string[] {
  const made = new Set(catalog.map(keyOf));
  const written = new Set(definitions.map(keyOf));
  return [
    ...catalog.filter((object) => !written.has(keyOf(object))).map((object) =>
      `${keyOf(object)} is in the database, but no \`create ${object.kind}\` makes it. ` +
      "Write it out in supabase/schemas instead of making it in a `do` block."
    ),
    ...definitions.filter((definition) => !made.has(keyOf(definition))).map((definition) =>
      `${placeOf(definition)}: ${keyOf(definition)} is not in the database. ` +
      "Remove it, or remove what drops it."
    ),
  ];
}

/** The counts for the terminal: `87 functions, longest 78 lines, median 17`. */
export function describeText(definitions: readonly Definition[]): string {
  const lengths = lengthsOf(definitions);
  return `${counted(lengths.length, "function")}, longest ${lengths.at(-1) ?? 0} lines, ` +
    `median ${medianOf(lengths)}`;
}

/**
 * Objects of the schemas public and sync, without those of extensions and constraints, and the
 * policies of Storage.
 */
export const catalogQuery = `
  with ours as (
    select c.oid, c.relkind, n.nspname || '.' || c.relname as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'sync')
      and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
  )
  select 'function' as kind, n.nspname || '.' || p.proname as name
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname in ('public', 'sync')
    and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
  union all
  select case when relkind in ('v', 'm') then 'view' when relkind = 'c' then 'type' else 'table' end, name
  from ours where relkind in ('r', 'p', 'c', 'v', 'm')
  union all
  select 'type', n.nspname || '.' || t.typname
  from pg_type t join pg_namespace n on n.oid = t.typnamespace
  where n.nspname in ('public', 'sync') and t.typtype in ('e', 'd', 'r')
    and not exists (select from pg_depend d where d.objid = t.oid and d.deptype = 'e')
  union all
  select 'policy', p.polname || ' on ' || ours.name from pg_policy p join ours on ours.oid = p.polrelid
  union all
  select 'policy', p.polname || ' on storage.' || c.relname
  from pg_policy p join pg_class c on c.oid = p.polrelid
  where c.relnamespace = to_regnamespace('storage')
  union all
  select 'trigger', t.tgname || ' on ' || ours.name
  from pg_trigger t join ours on ours.oid = t.tgrelid where not t.tgisinternal
  union all
  select 'index', c.relname || ' on ' || ours.name
  from pg_index i join ours on ours.oid = i.indrelid join pg_class c on c.oid = i.indexrelid
  where not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
  order by kind, name`;

function definitionsOf({ file, script }: SchemaFile): readonly Definition[] {
  const definitions: Definition[] = [];
  let from = 0;
  for (const whole of splitStatements(script)) {
    const start = script.indexOf(whole, from);
    from = start + whole.length;
    const statement = withoutComments(whole);
    const line = script.slice(0, from - statement.length).split("\n").length;
    const object = objectOf(statement);
    if (object === undefined) continue;
    const lines = object.kind === "function" ? bodyLines(statement) : undefined;
    definitions.push({ ...object, file, line, ...(lines === undefined ? {} : { lines }) });
  }
  return definitions;
}

function objectOf(statement: string): SchemaObject | undefined {
  for (const [kind, pattern] of heads) {
    const [, own, table] = pattern.exec(statement) ?? [];
    if (own === undefined) continue;
    return { kind, name: table === undefined ? plain(own) : `${plain(own)} on ${plain(table)}` };
  }
  return undefined;
}

function bodyLines(statement: string): number | undefined {
  const [, , body] = /(\$\w*\$)([^]*)\1/.exec(statement) ?? [];
  return body?.replace(/^[^\S\n]*\n|\n[^\S\n]*$/g, "").split("\n").length;
}

function withoutHead(files: readonly SchemaFile[]): readonly string[] {
  return files.filter(({ script }) => !/^--[^\n]*\w/.test(script)).map(({ file }) =>
    `${file}: does not begin with a comment. Say at its head what the file is about.`
  );
}

function definedTwice(definitions: readonly Definition[]): readonly string[] {
  const places = new Map<string, string[]>();
  for (const definition of definitions) {
    const key = keyOf(definition);
    places.set(key, [...places.get(key) ?? [], placeOf(definition)]);
  }
  return [...places].filter(([, found]) => found.length > 1).map(([key, found]) =>
    `${key} is defined ${found.length} times: ${found.join(", ")}. Keep one definition.`
  );
}

function tooLong(definitions: readonly Definition[]): readonly string[] {
  const { longestFunction, medianFunction } = limits;
  const median = medianOf(lengthsOf(definitions));
  return [
    ...definitions.filter(({ lines = 0 }) => lines > longestFunction).map((definition) =>
      `${placeOf(definition)}: ${keyOf(definition)} has ${definition.lines} lines, ` +
      `${longestFunction} at most. Split it into functions that each have one task.`
    ),
    ...(median > medianFunction
      ? [
        `The median function has ${median} lines, ${medianFunction} at most. Split the longer ones.`,
      ]
      : []),
  ];
}

/** The lengths of the functions, shortest first. */
function lengthsOf(definitions: readonly Definition[]): readonly number[] {
  return definitions.flatMap(({ lines }) => lines === undefined ? [] : [lines])
    .sort((a, b) => a - b);
}

function medianOf(sorted: readonly number[]): number {
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

function head(words: string): RegExp {
  return new RegExp(`^create (?:or replace )?${words}`.replaceAll(" ", String.raw`\s+`), "is");
}

function withoutComments(statement: string): string {
  return statement.replace(/^(?:--[^\n]*(?:\n|$)|\/\*[^]*?\*\/|\s)+/, "");
}

function plain(identifier: string): string {
  return identifier.split(".").map((part) =>
    part.startsWith('"') ? part.slice(1, -1) : part.toLowerCase()
  ).join(".");
}

function keyOf({ kind, name }: SchemaObject): string {
  return `${kind} ${name}`;
}

function placeOf({ file, line }: Definition): string {
  return `${file}:${line}`;
}
