import assert from "node:assert/strict";
import { OperatorError } from "../errors.ts";
import { type CheckResult, judged, passed } from "./check.ts";
import { createReport, describeResult } from "./report.ts";

function reportInto(lines: string[], { strict = false, atATime = 2 } = {}) {
  return createReport({ atATime, strict, print: (line) => lines.push(line.split(/\s+/)[1] ?? "") });
}

Deno.test("createReport() prints in the order of the checks, not of their ends", async () => {
  const lines: string[] = [];
  const report = reportInto(lines);
  const first = Promise.withResolvers<CheckResult>();
  void report.add("first", () => first.promise);
  await report.add("second", () => Promise.resolve(passed()));
  assert.deepEqual(lines, []);
  first.resolve(passed());
  assert.equal(await report.end(), 0);
  assert.deepEqual(lines, ["first", "second"]);
});

Deno.test("createReport() runs as many checks at a time as it may", async () => {
  const report = reportInto([]);
  const held = Promise.withResolvers<CheckResult>();
  const begun: string[] = [];
  for (const name of ["a", "b", "c"]) {
    void report.add(name, () => {
      begun.push(name);
      return held.promise;
    });
  }
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(begun, ["a", "b"]);
  held.resolve(passed());
  await report.end();
  assert.deepEqual(begun, ["a", "b", "c"]);
});

Deno.test("createReport() skips a check when one that it comes after did not pass", async () => {
  const lines: string[] = [];
  const report = reportInto(lines, { strict: true });
  const first = report.add("first", () => Promise.resolve(judged(["wrong"])));
  const second = report.add("second", () => Promise.reject(new Error("it ran")), [first]);
  assert.equal(await second, false);
  assert.equal(await report.end(), 1);
  assert.deepEqual(lines, ["first", "second"]);
});

Deno.test("createReport() counts findings, and skipped checks where it is strict", async () => {
  const skipped: CheckResult = { result: "skipped", reason: "not installed" };
  for (const [strict, expected, shown] of [[false, 2, "skipped"], [true, 3, "FAILED"]] as const) {
    const lines: string[] = [];
    const print = (line: string) => lines.push(line);
    const report = createReport({ atATime: 2, strict, print });
    void report.add("good", () => Promise.resolve(passed()));
    void report.add("bad", () => Promise.resolve(judged(["wrong"])));
    void report.add("broken", () => Promise.reject(new OperatorError("no server")));
    void report.add("missing", () => Promise.resolve(skipped));
    assert.equal(await report.end(), expected);
    assert.ok(lines.at(-1)?.startsWith(shown), lines.at(-1));
  }
});

Deno.test("describeResult() shows each finding below the line of its check", () => {
  assert.match(
    describeResult("types", judged(["one\nmore", "two"]), 1.3),
    /^FAILED {3}types +1\.3 s\n {2}one\n {2}more\n {2}two$/,
  );
});
