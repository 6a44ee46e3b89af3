import assert from "node:assert/strict";
import { projectPaths } from "../../local/paths.ts";
import { seedDemo } from "../../local/seed_demo.ts";
import { type TestStack, useStack } from "../support/stack.ts";

const { root } = projectPaths();
const readme = await Deno.readTextFile(`${root}/README.md`);
const simulators = await Deno.readTextFile(`${root}/docs/simulators.md`);
const hasCurl = await new Deno.Command("curl", { args: ["--version"], stdout: "null" }).output()
  .then(({ success }) => success, () => false);
// As after `deno task start`: the demo organization, and no other.
const stackTest = useStack({ seed: seedDemo });

/** The one `sh` block of a text. */
function blockOf(text: string): string {
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)];
  assert.equal(blocks.length, 1);
  return blocks[0]?.[1] ?? "";
}

const tryIt = blockOf(readme.split(/^## /m).find((part) => part.startsWith("Try it\n")) ?? "");

/** Runs a block as it is pasted, and returns what each of its commands printed. */
async function paste(stack: TestStack, block: string): Promise<readonly string[]> {
  const mark = "=== next command ===";
  const script = block.replaceAll("http://127.0.0.1:54321", stack.url).split(/\n(?=# )/)
    .join(`\necho '${mark}'\n`);
  const shell = new Deno.Command("sh", {
    args: ["-eu", "-c", script],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await shell.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).split(mark);
}

// Pasting is what is tested: without curl it is reported as left out, never as passed.
if (!hasCurl) {
  Deno.test({ name: "the README's curl lines: there is no curl here", ignore: true, fn() {} });
} else {
  stackTest("the README's curl lines work as pasted, and answer as it says", async (stack) => {
    assert.equal(tryIt.match(/^curl /gm)?.length, 5);
    const printed = await paste(stack, tryIt);
    const [eventflow, headout, dryRun, rows, explained] = printed.map((text) => {
      try {
        return JSON.parse(text);
      } catch {
        throw new Error(`it did not print JSON: ${text}`);
      }
    });

    assert.deepEqual(
      [eventflow.success, eventflow.event_type, eventflow.sync.outcome],
      [true, "updated", "created"],
    );
    assert.deepEqual(
      [headout.success, headout.bookingId, headout.newStatus, headout.outcome],
      [true, "123456789", "CONFIRMED", "stub_created"],
    );
    assert.deepEqual([dryRun.success, dryRun.outcome], [true, "dry_run"]);
    assert.ok(dryRun.changes.length > 0);
    assert.deepEqual(
      rows.map((row: { source: string; status: string }) => [row.source, row.status]).sort(),
      [["eventflow", "CONFIRMED"], ["headout", "CONFIRMED"]],
    );
    assert.ok(explained.length > 0);
    assert.ok(explained[0].at !== undefined && explained[0].summary !== undefined);
  });

  stackTest("the README's curl lines can be pasted a second time", async (stack) => {
    const [eventflow, headout] = (await paste(stack, tryIt))
      .map((text) => JSON.parse(text));
    assert.equal(eventflow.sync.outcome, "unchanged");
    assert.equal(headout.outcome, "duplicate");
  });

  stackTest("the curl lines of docs/simulators.md do what it says", async (stack) => {
    const printed = await paste(stack, blockOf(simulators));
    // A command may be two curl lines; what counts is the answer of the last one.
    const [listed, changed, cancelled, moved, kept] = printed.map((text) =>
      JSON.parse(text.trim().split(/(?<=[}\]])\n*(?=[{[])/).at(-1) ?? "")
    );
    assert.equal(typeof listed[0].id, "string");
    assert.deepEqual([changed.status, changed.body.sync.outcome], [200, "updated"]);
    assert.deepEqual([cancelled.status, cancelled.body.sync.outcome], [200, "updated"]);
    assert.deepEqual(moved.events.map((each: { status: number }) => each.status), [200, 200, 200]);
    assert.deepEqual([kept.status, kept.body.sync.reason], [202, "source_unavailable"]);
  });
}

Deno.test("the README names the commands that there are, and files that exist", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  const named = [...readme.matchAll(/deno(?:@[\d.]+)? task ([\w:]+)/g)].map(([, task]) => task);
  assert.ok(named.length >= 6);
  for (const task of named) assert.ok(task !== undefined && task in tasks, `task ${task}`);
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, file]) => file);
  assert.ok(links.length >= 2);
  for (const file of links) {
    const found = await Deno.stat(`${root}/${file}`).then(() => true, () => false);
    assert.ok(found, `the README links to ${file}, which is not there`);
  }
});
