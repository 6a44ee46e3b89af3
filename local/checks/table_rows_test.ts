import assert from "node:assert/strict";
import { compareRows, type TableRows } from "./table_rows.ts";

type Row = Record<string, string | null>;

const rig: Row = { source: null, kind: "rig", days: "0", title: "Anna's" };
const event: Row = { source: "headout", kind: "event", days: "1", title: null };

function rules(...rows: readonly Row[]): readonly TableRows[] {
  return [{
    table: "sync.rules",
    columns: [
      { name: "source", bare: false },
      { name: "kind", bare: false },
      { name: "days", bare: true },
      { name: "title", bare: false },
    ],
    key: ["source", "kind"],
    rows,
  }];
}

Deno.test("compareRows() finds nothing in equal rows, in whatever order", () => {
  assert.deepEqual(compareRows(rules(rig, event), rules(event, rig)), []);
});

Deno.test("compareRows() updates a row that has another value", () => {
  assert.deepEqual(compareRows(rules(rig), rules({ ...rig, days: "-4" })), [{
    description: "row of sync.rules where source is null and kind = 'rig': " +
      "days is 0 by the migrations, -4 by the schemas",
    statement: "update sync.rules\nset days = -4\nwhere source is null and kind = 'rig'",
  }]);
});

Deno.test("compareRows() inserts a row that only the schemas have", () => {
  const [change] = compareRows([], rules(rig));
  assert.equal(
    change?.statement,
    "insert into sync.rules (source, kind, days, title)\nvalues (null, 'rig', 0, 'Anna''s')",
  );
  assert.match(change?.description ?? "", /only the schemas have it/);
});

Deno.test("compareRows() deletes a row that only the migrations have, before it writes others", () => {
  const changes = compareRows(rules(rig, event), rules({ ...rig, title: null }));
  assert.deepEqual(changes.map(({ statement }) => statement), [
    "delete from sync.rules\nwhere source = 'headout' and kind = 'event'",
    "update sync.rules\nset title = null\nwhere source is null and kind = 'rig'",
  ]);
});

Deno.test("compareRows() counts equal rows of a table without a key", () => {
  const keyless = (...rows: readonly Row[]) =>
    rules(...rows).map((table) => ({ ...table, key: ["source", "kind", "days", "title"] }));
  assert.deepEqual(compareRows(keyless(rig, rig), keyless(rig, rig)), []);
  assert.equal(compareRows(keyless(rig), keyless(rig, rig)).length, 1);
});

Deno.test("compareRows() leaves a new column to the comparison of definitions", () => {
  const { title: _title, ...untitled } = rig;
  assert.deepEqual(compareRows(rules(untitled), rules(rig)), []);
});
