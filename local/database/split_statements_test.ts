import assert from "node:assert/strict";
import { splitStatements } from "./split_statements.ts";

const cases: readonly [name: string, script: string, expected: readonly string[]][] = [
  ["two statements", "select 1; select 2;", ["select 1", "select 2"]],
  ["a last one without a semicolon", "select 1;\nselect 2", ["select 1", "select 2"]],
  ["empty statements", ";\nselect 1;;", ["select 1"]],
  ["a semicolon in a string", "select 'a;''b;';select 2", ["select 'a;''b;'", "select 2"]],
  ["a semicolon in an escape string", "select E'a\\';b'; select 2", [
    "select E'a\\';b'",
    "select 2",
  ]],
  ["a semicolon in a quoted name", 'select 1 as "a;b"; select 2', [
    'select 1 as "a;b"',
    "select 2",
  ]],
  ["a dollar quote", "do $$ begin; end $$; select 2", ["do $$ begin; end $$", "select 2"]],
  ["a tagged dollar quote", "select $a$ $$ ; $a$; select 2", ["select $a$ $$ ; $a$", "select 2"]],
  ["a parameter that is no dollar quote", "select $1; select $2", ["select $1", "select $2"]],
  ["comments, kept with what follows", "-- a;\nselect 1; /* b; /* c; */ */ select 2", [
    "-- a;\nselect 1",
    "/* b; /* c; */ */ select 2",
  ]],
  ["a comment at the end", "select 1;\n-- the end", ["select 1", "-- the end"]],
  [
    "an atomic function body",
    "create function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3",
    [
      "create function f() returns int begin atomic select case when true then 1 end; select 2; end",
      "select 3",
    ],
  ],
];

for (const [name, script, expected] of cases) {
  Deno.test(`splitStatements() splits ${name}`, () => {
    assert.deepEqual(splitStatements(script), expected);
  });
}
