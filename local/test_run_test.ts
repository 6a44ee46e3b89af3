import assert from "node:assert/strict";
import { parseSummary, sum } from "./test_run.ts";

Deno.test("parseSummary() reads Deno's closing line", () => {
  assert.deepEqual(parseSummary("ok | 12 passed (3 steps) | 0 failed (2s)"), {
    passed: 12,
    failed: 0,
    ignored: 0,
  });
  assert.deepEqual(
    parseSummary("FAILED | 2 passed (1 step) | 2 failed (1 step) | 1 ignored (1m2s)"),
    {
      passed: 2,
      failed: 2,
      ignored: 1,
    },
  );
});

Deno.test("parseSummary() takes a run without a closing line for a failure", () => {
  assert.deepEqual(parseSummary(undefined), { passed: 0, failed: 1, ignored: 0 });
});

Deno.test("sum() adds up", () => {
  const one = { passed: 1, failed: 2, ignored: 3 };
  assert.deepEqual(sum([one, one]), { passed: 2, failed: 4, ignored: 6 });
});
