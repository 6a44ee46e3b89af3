import assert from "node:assert/strict";
import { createEventFlowClient } from "../../../supabase/functions/_shared/eventflow/client.ts";
import { createRpc } from "../../../supabase/functions/_shared/postgres/client.ts";
import { createPostgresRuns } from "../../../supabase/functions/_shared/postgres/runs.ts";
import type { RunDeps } from "../../../supabase/functions/_shared/sync/execute_run.ts";
import type { RunStore } from "../../../supabase/functions/_shared/sync/run_store.ts";
import { resumeRuns, startRuns } from "../../../supabase/functions/_shared/sync/start_runs.ts";
import { type TestStack, useStack } from "../../support/stack.ts";
import { domainRows, historyCounts } from "./support.ts";

/** Five pages of 20: the run is in this process, so that it can die wherever a test wants. */
const COUNT = 85;
const stackTest = useStack({ eventflow: { count: COUNT, productsPerBooking: 2, wholeEvery: 3 } });
let whole: Promise<unknown> | undefined;

for (let page = 1; page <= 5; page++) {
  for (const when of ["before", "after"] as const) {
    stackTest(
      `a run that dies ${when} it has stored page ${page} ends as if it had not`,
      async (stack) => {
        whole ??= wholeRun(stack);
        const organizationId = await stack.organization();
        const order = {
          mode: "full",
          organizationId,
          source: "eventflow",
          parameters: {},
        } as const;
        await assert.rejects(
          startRuns(dying(stack, page, when), order, Date.now() + 60_000),
          Death,
        );
        await stack.database.query(
          "update sync.runs set heartbeat_at = now() - interval '61 seconds' where organization_id = $1",
          [organizationId],
        );
        const [resumed] = await resumeRuns(deps(stack), Date.now() + 60_000);
        assert.equal(resumed?.completed, true);
        assert.equal(resumed?.counters.verdicts["created"], COUNT);
        assert.deepEqual(await domainRows(stack.database, organizationId), await whole);
        assert.deepEqual(await historyCounts(stack.database, organizationId), [
          { verdict: "created", times: 1, bookings: COUNT },
        ]);
      },
    );
  }
}

stackTest(
  "a worker that comes back after its lease is over applies nothing any more",
  async (stack) => {
    const organizationId = await stack.organization();
    const order = { mode: "full", organizationId, source: "eventflow", parameters: {} } as const;
    const slow = hooked(stack, async (count) => {
      if (count !== 2) return;
      // Somebody takes the run over while this page is on its way.
      await stack.database.query(
        "update sync.runs set heartbeat_at = now() - interval '61 seconds' where organization_id = $1",
        [organizationId],
      );
      const [other] = await resumeRuns(deps(stack), Date.now() + 60_000);
      assert.equal(other?.completed, true);
    });
    const [late] = await startRuns(slow, order, Date.now() + 60_000);
    assert.deepEqual([late?.completed, late?.stopped], [false, "running"]);
    assert.deepEqual(await historyCounts(stack.database, organizationId), [
      { verdict: "created", times: 1, bookings: COUNT },
    ]);
  },
);

class Death extends Error {}

async function wholeRun(stack: TestStack): Promise<unknown> {
  const organizationId = await stack.organization();
  const order = { mode: "full", organizationId, source: "eventflow", parameters: {} } as const;
  const [result] = await startRuns(deps(stack), order, Date.now() + 60_000);
  assert.equal(result?.completed, true);
  return await domainRows(stack.database, organizationId);
}

/** Everything as in the function, only with pages of 20. */
function deps(stack: TestStack): RunDeps {
  const { environment, serviceRoleKey } = stack;
  const rpc = createRpc({ supabaseUrl: new URL(stack.url), serviceKeys: [serviceRoleKey] });
  return {
    sources: {
      eventflow: createEventFlowClient({
        baseUrl: environment.EVENTFLOW_API_URL ?? "",
        apiKey: environment.EVENTFLOW_API_KEY ?? "",
        pageLimit: 20,
      }),
    },
    runs: createPostgresRuns(rpc),
    alarm: () => {},
    now: Date.now,
  };
}

/** Calls `before` ahead of each page that is stored, with its number. */
function hooked(stack: TestStack, before: (count: number) => Promise<void>): RunDeps {
  const plain = deps(stack);
  let count = 0;
  const runs: RunStore = {
    ...plain.runs,
    async checkpointRun(page) {
      await before(++count);
      return await plain.runs.checkpointRun(page);
    },
  };
  return { ...plain, runs };
}

/** Dies with the page that is stored as number `page`: nothing is heard of it afterwards. */
function dying(stack: TestStack, page: number, when: "before" | "after"): RunDeps {
  const plain = deps(stack);
  let count = 0;
  const runs: RunStore = {
    ...plain.runs,
    async checkpointRun(stored) {
      if (++count === page && when === "before") throw new Death();
      const verdicts = await plain.runs.checkpointRun(stored);
      if (count === page) throw new Death();
      return verdicts;
    },
    finishRun: () => Promise.reject(new Death()),
  };
  return { ...plain, runs };
}
