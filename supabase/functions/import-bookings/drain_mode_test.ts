import assert from "node:assert/strict";
import { SourceError } from "../_shared/source/source_error.ts";
import { DatabaseError } from "../_shared/errors.ts";
import type { LogProperties } from "../_shared/log.ts";
import type { DrainDeps } from "../_shared/sync/drain.ts";
import type { ClaimedDelivery, ClaimTask } from "../_shared/sync/delivery_queue.ts";
import { NO_COUNTERS } from "../_shared/sync/run_counters.ts";
import type { StartedRun } from "../_shared/sync/start_runs.ts";
import { captureLog, fakeInbox, never, NOW, ORGANIZATION } from "../_shared/testing.ts";
import { createDrainMode } from "./drain_mode.ts";

const RUN: StartedRun = {
  organizationId: ORGANIZATION,
  source: "headout",
  runId: "run-1",
  parameters: {},
  completed: true,
  counters: NO_COUNTERS,
};

/** The mode with nothing due at either source; a test breaks one thing. */
function build(changes: {
  readonly due?: readonly ClaimedDelivery[];
  readonly claim?: (task: ClaimTask) => void;
  readonly runs?: readonly StartedRun[];
} = {}) {
  const waiting = [...changes.due ?? []];
  const down = { readSingle: () => Promise.reject(new SourceError("source_unavailable", "down")) };
  const deps: DrainDeps = {
    sources: {
      eventflow: { name: "eventflow", ...down, readPage: () => never<never>() },
      headout: { name: "headout", ...down, readPage: () => never<never>() },
    },
    bookings: { applySnapshots: () => Promise.resolve([]) },
    queue: {
      claimDeliveries: async (task) => {
        await changes.claim?.(task);
        return task.source === "eventflow" ? waiting.splice(0, task.maxDeliveries) : [];
      },
      claimRefreshes: () => Promise.resolve([]),
    },
    inbox: fakeInbox(),
    log: captureLog(),
    now: () => NOW,
  };
  let resumed = 0;
  const mode = createDrainMode(deps, { budgetMs: 110_000 }, () => {
    resumed += 1;
    return Promise.resolve(changes.runs ?? [RUN]);
  });
  const facts: Record<string, unknown> = {};
  const note = (more: LogProperties) => void Object.assign(facts, more);
  const answer = (body = {}) => mode(body, { startedAt: NOW, note });
  return { answer, facts, resumed: () => resumed };
}

const due = (count: number): readonly ClaimedDelivery[] =>
  Array.from({ length: count }, (_, n) => ({
    deliveryId: `d-${n}`,
    leaseToken: `l-${n}`,
    organizationId: ORGANIZATION,
    source: "eventflow",
    externalId: `b-${n}`,
    attempts: 1,
  }));

Deno.test("createDrainMode() resumes runs while a source is down", async () => {
  const { answer, resumed } = build({ due: due(50) });
  const { completed, next, run_id } = await answer();
  assert.deepEqual([resumed(), completed, next, run_id], [1, false, null, "run-1"]);
});

Deno.test("createDrainMode() resumes runs after an unexpected error", async () => {
  const { answer, resumed } = build({
    claim: ({ source }) => {
      if (source === "eventflow") throw new DatabaseError("claim_deliveries", "42883", "m");
    },
  });
  const { success, completed, next } = await answer();
  assert.deepEqual([resumed(), success, completed, next], [1, true, false, null]);
});

Deno.test("createDrainMode() leaves runs to the next call once its CPU time is used up", async () => {
  const { answer, resumed } = build({ due: due(5) });
  const { completed, next } = await answer({ limit: 5 });
  assert.deepEqual([resumed(), completed, next], [0, false, { syncMode: "drain" }]);
});

Deno.test("createDrainMode() answers an empty inbox as done, with a limit too", async () => {
  const { answer } = build();
  for (const body of [{}, { limit: 1 }, { limit: 100 }]) {
    const { completed, next } = await answer(body);
    assert.deepEqual([completed, next], [true, null]);
  }
});

for (
  const [what, changes, quiet] of [
    ["an idle drain", { runs: [] }, true],
    ["a drain that claimed something", { due: due(1), runs: [] }, false],
    ["a drain that resumed a run", { runs: [RUN] }, false],
    ["a drain that a source was left out of", {
      runs: [],
      claim: ({ source }: ClaimTask) => {
        if (source === "eventflow") throw new DatabaseError("claim_deliveries", "42883", "m");
      },
    }, false],
  ] as const
) {
  Deno.test(`createDrainMode() calls ${what} ${quiet ? "quiet" : "worth a line"}`, async () => {
    const { answer, facts } = build(changes);
    await answer();
    assert.equal(facts["quiet"], quiet);
  });
}
