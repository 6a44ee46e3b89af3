import assert from "node:assert/strict";
import { captureLog, fakeImporter, fakeInbox, finished, NOW, ORGANIZATION } from "../testing.ts";
import type { ImportAnswer } from "./importer.ts";
import { runInlineImport } from "./run_inline_import.ts";
import { isDeferred } from "./sync_result.ts";

const TASK = {
  externalId: "b-1",
  source: "eventflow",
  organizationId: ORGANIZATION,
  deliveryId: "d-1",
  leaseToken: "l-1",
  requestId: "req-1",
} as const;

/** An import with its whole budget left; a test breaks one thing. */
async function run(changes: {
  readonly budgetMs?: number;
  readonly leftMs?: number;
  readonly answer?: ImportAnswer;
  readonly kept?: Parameters<typeof finished>[0];
} = {}) {
  const { budgetMs = 20_000, leftMs = budgetMs, answer, kept } = changes;
  const inbox = fakeInbox({ finish: () => finished(kept) });
  const importer = fakeImporter(answer && (() => Promise.resolve(answer)));
  const deps = { inbox, importer, log: captureLog(), now: () => NOW, budgetMs };
  const sync = await runInlineImport(deps, TASK, NOW + leftMs);
  return { sync, inbox, importer };
}

for (
  const [budgetMs, leftMs, begins] of [
    [20_000, 500, true],
    [20_000, 499, false],
    [20_000, 0, false],
    [20_000, -100, false],
    [100, 25, true],
    [100, 24, false],
  ] as const
) {
  Deno.test(`runInlineImport() ${begins ? "begins" : "leaves untried"} with ${leftMs} of ${budgetMs} ms`, async () => {
    const { sync, inbox, importer } = await run({ budgetMs, leftMs });
    assert.equal(importer.tasks.length, begins ? 1 : 0);
    assert.equal(sync.outcome, begins ? "updated" : "deferred");
    if (begins) return;
    assert.equal(isDeferred(sync) && sync.reason, "budget_exceeded");
    assert.deepEqual(inbox.ends.map((end) => [end.deliveryId, end.status, end.lastError]), [
      ["d-1", "pending", undefined], // costs no attempt
    ]);
  });
}

const FINAL = [
  ["booking_not_found", 404, "succeeded", "not_found"],
  ["source_contradiction", 409, "dead", "contradiction"],
] as const;

function failed(
  code: string,
  status: number,
  delivery?: "pending" | "processing" | "succeeded" | "dead",
): ImportAnswer {
  const error = { code, message: "m", status, details: [] };
  if (delivery === undefined) return { success: false, error };
  const next_attempt_at = delivery === "pending" ? "2026-08-04T17:12:00.000Z" : null;
  return { success: false, error, delivery: { status: delivery, next_attempt_at } };
}

for (const [code, status, ended, outcome] of FINAL) {
  Deno.test(`runInlineImport() takes ${code} for the end once the delivery is ${ended}`, async () => {
    const answer = failed(code, status, ended);
    const { sync, inbox } = await run({ answer });
    assert.deepEqual(sync, { outcome, error: "error" in answer && answer.error });
    assert.equal(inbox.ends.length, 0);
  });

  for (const open of ["pending", "processing"] as const) {
    Deno.test(`runInlineImport() defers ${code} while the delivery is ${open}`, async () => {
      const { sync } = await run({ answer: failed(code, status, open) });
      assert.deepEqual([sync.outcome, isDeferred(sync) && sync.reason], ["deferred", code]);
    });
  }

  Deno.test(`runInlineImport() gives the delivery back when ${code} says nothing of it`, async () => {
    const { sync, inbox } = await run({ answer: failed(code, status) });
    assert.deepEqual([sync.outcome, inbox.ends[0]?.lastError?.["code"]], ["deferred", code]);
  });
}

Deno.test("runInlineImport() answers what the inbox keeps when another worker has ended it", async () => {
  const result = { outcome: "updated", changes: { bookings: { updated: 1 } } };
  const { sync } = await run({
    answer: failed("source_unavailable", 502, "succeeded"),
    kept: { finished: false, status: "succeeded", nextAttemptAt: null, result },
  });
  assert.deepEqual(sync, result);
});
