import assert from "node:assert/strict";
import { AnswerError } from "../_shared/errors.ts";
import { fakeRuns, noFiles } from "../_shared/sync/testing_runs.ts";
import { eventflowLike } from "../_shared/sync/testing_source.ts";
import { captureLog, NOW, ORGANIZATION } from "../_shared/testing.ts";
import { createRunModes } from "./run_modes.ts";

const ROWS = Array.from({ length: 25 }, (_, index) => `b${index}`);

function build(wrong: Parameters<typeof eventflowLike>[2] = () => ({}), organizationId?: string) {
  const runs = fakeRuns();
  const dryRuns: number[] = [];
  const files = noFiles("a/b.png");
  const modes = createRunModes({
    sources: { eventflow: eventflowLike(() => ROWS, 10, wrong).source },
    runs: runs.store,
    alarm: () => {},
    files,
    log: captureLog(),
    bookings: {
      applySnapshots(batch) {
        assert.equal(batch.dryRun, true);
        dryRuns.push(batch.snapshots.length);
        return Promise.resolve(batch.snapshots.map(({ external_id: externalId }) => ({
          ...{ externalId, verdict: "created" as const, bookingId: null, error: null },
          changes: Array.from({ length: 5 }, (_, key) => ({ table: "bookings", key })),
        })));
      },
    },
    now: () => NOW,
    sleep: () => Promise.resolve(),
  }, { budgetMs: 60_000, organizationId });
  const call = { startedAt: NOW, note: () => {} };
  return { modes, runs, dryRuns, call, files };
}

Deno.test("createRunModes() answers one run with its counters, and null for what is next", async () => {
  const { modes, call } = build();
  const answer = await modes.full({}, call);
  assert.deepEqual(
    [answer["success"], answer["syncMode"], answer["completed"], answer["run_id"], answer["next"]],
    [true, "full", true, "run-1", null],
  );
  assert.deepEqual((answer["counters"] as { verdicts: unknown }).verdicts, { created: 25 });
});

Deno.test("createRunModes() says that another worker has the run", async () => {
  const { modes, call, runs } = build();
  await runs.store.beginRun({} as never, "incremental", {});
  assert.equal((await modes.incremental({}, call))["next"], "running");
});

Deno.test("createRunModes() throws the fault of a run that failed, with the run's id", async () => {
  const { modes, call } = build(() => ({ page: 1 }));
  await assert.rejects(modes.full({}, call), (error: unknown) => {
    assert.ok(error instanceof AnswerError);
    assert.deepEqual([error.status, error.code, error.details.at(-1)?.["run_id"]], [
      502,
      "source_invalid",
      "run-1",
    ]);
    return true;
  });
});

Deno.test("createRunModes() asks for the organization of the installation by default", async () => {
  const { modes, call, runs } = build(undefined, ORGANIZATION);
  const asked: unknown[] = [];
  const list = runs.store.listConnections;
  Object.assign(runs.store, {
    listConnections: (...args: Parameters<typeof list>) => (asked.push(args[0]), list(...args)),
  });
  await modes.reconcile({}, call);
  assert.deepEqual(asked, [{ organizationId: ORGANIZATION, source: undefined }]);
});

Deno.test("createRunModes() previews without a run, 100 row changes at most", async () => {
  const { modes, call, runs, dryRuns } = build();
  const answer = await modes.full({ dry_run: true }, call);
  assert.deepEqual([answer["completed"], answer["dry_run"], answer["run_id"]], [true, true, null]);
  assert.equal((answer["changes"] as unknown[]).length, 100);
  assert.deepEqual(dryRuns, [10, 10, 5]);
  assert.deepEqual([runs.runs, runs.applied.size], [[], 0]);
});

for (
  const [mode, body, field] of [
    ["incremental", { since: "2026-08-04" }, "since"],
    ["incremental", { dry_run: 1 }, "dry_run"],
    ["full", { start_date: "04/08/2026" }, "start_date"],
    ["full", { start_date: "2026-08-05", end_date: "2026-08-04" }, "end_date"],
    ["full", { source: "__proto__" }, "source"],
    ["full", { organization_id: "o" }, "organization_id"],
    ["reconcile", { repair: "true" }, "repair"],
  ] as const
) {
  Deno.test(`createRunModes() answers 400 to ${mode} with a wrong ${field}`, async () => {
    const { modes, call, runs } = build();
    await assert.rejects(
      modes[mode](body, call),
      (error: unknown) =>
        error instanceof AnswerError && error.status === 400 && error.details[0]?.field === field,
    );
    assert.equal(runs.runs.length, 0);
  });
}

Deno.test("createRunModes() takes away files that nothing names when it repairs, and only then", async () => {
  const { modes, call, files } = build();
  await modes.full({}, call);
  await modes.reconcile({ repair: false }, call);
  assert.deepEqual(files.removed, []);
  await modes.reconcile({}, call);
  assert.deepEqual(files.removed, ["a/b.png"]);
});

Deno.test("createRunModes() answers a reconcile though Storage is down", async () => {
  const { modes, call, files } = build();
  Object.assign(files, { remove: () => Promise.reject(new Error("down")) });
  assert.equal((await modes.reconcile({}, call))["success"], true);
});
