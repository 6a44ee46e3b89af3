import assert from "node:assert/strict";
import { readTap } from "./tap.ts";

Deno.test("readTap() is content when every planned test passed", () => {
  assert.deepEqual(readTap(["1..2", "ok 1 - a", "ok 2 - b"]), []);
});

Deno.test("readTap() reports a failed test with what pgTAP says of it", () => {
  assert.deepEqual(readTap(["1..1", 'not ok 1 - a\n# Failed test 1: "a"', "# have: 1"]), [
    "not ok 1 - a",
    '  # Failed test 1: "a"',
    "  # have: 1",
  ]);
});

Deno.test("readTap() reports tests that did not run", () => {
  assert.deepEqual(readTap(["1..2", "ok 1"]), ["planned 2 tests but ran 1"]);
  assert.equal(readTap(["ok 1"]).length, 1);
});

Deno.test("readTap() lets a todo fail", () => {
  assert.deepEqual(readTap(["1..1", "not ok 1 - later # TODO not built"]), []);
});
