import assert from "node:assert/strict";
import { markRows, writtenSince } from "../../support/written_rows.ts";
import { fullScale } from "../../support/scale.ts";
import { startTestStack, type TestStack, useStack } from "../../support/stack.ts";
import { cursorOf, domainRows, historyCounts, run, runWell } from "./support.ts";

/** Two pages and a bit, at full scale of EventFlow's size; `RUN_COUNT` for more. */
const PAGE = fullScale ? 500 : 80;
const COUNT = Number(Deno.env.get("RUN_COUNT") ?? 2 * PAGE + 10);
const seed = {
  environment: { EVENTFLOW_PAGE_SIZE: String(PAGE) },
  eventflow: { count: COUNT, productsPerBooking: 2, wholeEvery: 10 },
};
const stackTest = useStack(seed);

stackTest(
  "full applies every booking once, moves the cursor and says what it cost",
  async (stack) => {
    const organizationId = await stack.organization();
    const before = Date.now();
    const answer = await runWell(stack, organizationId, { syncMode: "full" });
    assert.deepEqual([answer.success, answer.completed, answer.next], [true, true, null]);
    const { counters } = answer;
    assert.deepEqual(counters.verdicts, { created: COUNT });
    assert.deepEqual([counters.bookings, counters.refused, counters.calls], [COUNT, [], 1]);
    for (
      const name of [
        "bytes_read",
        "source_ms",
        "database_ms",
        "cpu_ms",
        "peak_heap_bytes",
        "max_page_cpu_ms",
      ]
    ) {
      assert.ok(counters[name] > 0, `${name} is ${counters[name]}`);
    }
    assert.deepEqual(await historyCounts(stack.database, organizationId), [
      { verdict: "created", times: 1, bookings: COUNT },
    ]);
    // Our clock when it began, less ten minutes (rule: the cursor moves only past what is applied).
    const cursor = Date.parse(String(await cursorOf(stack.database, organizationId)));
    assert.ok(
      cursor >= before - 601_000 && cursor < Date.now() - 599_000,
      new Date(cursor).toISOString(),
    );
  },
);

stackTest("full writes no row of the domain when nothing has changed", async (stack) => {
  const organizationId = await stack.organization();
  await runWell(stack, organizationId, { syncMode: "full" });
  const mark = await markRows(stack.database);
  const answer = await runWell(stack, organizationId, { syncMode: "full" });
  assert.deepEqual(answer.counters.verdicts, { unchanged: COUNT });
  const written = Object.keys(await writtenSince(stack.database, mark));
  assert.deepEqual(
    written.filter((table) => !["sync.runs", "sync.connections"].includes(table)),
    [],
  );
});

stackTest(
  "full killed in the middle goes on at its checkpoint, nothing skipped or twice",
  async (stack) => {
    const whole = await stack.organization();
    await runWell(stack, whole, { syncMode: "full" });
    const organizationId = await stack.organization();
    // Each read takes a moment, so the run is still at work when its process dies.
    await stack.eventflow.setFault({ mode: "hang", seconds: 0.3, count: null });
    for (const pages of [1, 2]) {
      const calling = run(stack, organizationId, { syncMode: "full" }).catch(() => undefined);
      assert.equal(await untilPages(stack, organizationId, pages, calling), pages);
      await killImporter(stack);
      await calling;
      await expireLease(stack, organizationId);
    }
    await stack.eventflow.clearFaults();
    await untilCompleted(stack, organizationId);
    assert.deepEqual(
      await domainRows(stack.database, organizationId),
      await domainRows(stack.database, whole),
    );
    assert.deepEqual(await historyCounts(stack.database, organizationId), [
      { verdict: "created", times: 1, bookings: COUNT },
    ]);
    const runs = await runsOf(stack, organizationId);
    assert.deepEqual(runs.map(({ status }) => status), ["completed"]);
    assert.equal(runs[0]?.created, COUNT);
  },
);

stackTest("a second start of a running import is told so and doubles nothing", async (stack) => {
  const organizationId = await stack.organization();
  await stack.eventflow.setFault({ mode: "hang", seconds: 0.3, count: null });
  const first = run(stack, organizationId, { syncMode: "full" });
  await untilPages(stack, organizationId, 1, first);
  const second = await runWell(stack, organizationId, { syncMode: "full" });
  await stack.eventflow.clearFaults();
  assert.deepEqual([second.completed, second.next], [false, "running"]);
  const { body } = await first;
  assert.equal(body.run_id, second.run_id);
  assert.equal(body.completed, true);
  assert.equal((await runsOf(stack, organizationId)).length, 1);
});

stackTest("full with dry_run writes nothing and shows the first 100 row changes", async (stack) => {
  const organizationId = await stack.organization();
  const mark = await markRows(stack.database);
  const answer = await runWell(stack, organizationId, { syncMode: "full", dry_run: true });
  assert.deepEqual([answer.dry_run, answer.completed, answer.run_id], [true, true, null]);
  assert.deepEqual(answer.counters.verdicts, { created: COUNT });
  assert.equal(answer.changes.length, 100);
  assert.deepEqual(Object.keys(answer.changes[0]).sort(), [
    "external_id",
    "fields",
    "key",
    "operation",
    "table",
  ]);
  assert.deepEqual(await writtenSince(stack.database, mark), {});
});

Deno.test({
  name: "full with a budget goes on with drain until the rows are those of a whole run",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(): Promise<void> {
    const stack = await startTestStack({
      ...seed,
      environment: { ...seed.environment, IMPORT_BUDGET_MS: "6000" },
    });
    try {
      const organizationId = await stack.organization();
      // Its three reads take longer than the budget, on any machine.
      await stack.eventflow.setFault({ mode: "hang", seconds: 2.5, count: null });
      const first = await runWell(stack, organizationId, { syncMode: "full" });
      assert.deepEqual([first.completed, first.next], [false, {
        syncMode: "full",
        source: "eventflow",
        organization_id: organizationId,
      }]);
      await stack.eventflow.clearFaults();
      await untilCompleted(stack, organizationId);
      assert.deepEqual(await historyCounts(stack.database, organizationId), [
        { verdict: "created", times: 1, bookings: COUNT },
      ]);
      const runs = await runsOf(stack, organizationId);
      assert.deepEqual(runs.map(({ status, created }) => [status, created]), [[
        "completed",
        COUNT,
      ]]);
    } finally {
      await stack.stop();
    }
  },
});

/** Drains until no run of the organization is open. */
async function untilCompleted(stack: TestStack, organizationId: string): Promise<void> {
  for (let calls = 0; calls < 60; calls++) {
    const { status, body } = await stack.postImport({ syncMode: "drain" });
    assert.equal(status, 200, JSON.stringify(body));
    const runs = await runsOf(stack, organizationId);
    if (runs.every((each) => each.status === "completed")) return;
  }
  assert.fail("the run does not end");
}

/** Waits until the run has done so many pages; undefined if the call has ended before. */
async function untilPages(
  stack: TestStack,
  organizationId: string,
  pages: number,
  calling: Promise<unknown>,
): Promise<number | undefined> {
  let ended = false;
  void calling.then(() => ended = true, () => ended = true);
  while (!ended) {
    const [run] = await runsOf(stack, organizationId);
    if (run !== undefined && run.pages >= pages && run.status === "running") return run.pages;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return undefined;
}

/** Kills the process in the middle of what it does, and waits for the next one. */
async function killImporter(stack: TestStack): Promise<void> {
  const process = stack.functions.get("import-bookings");
  const before = process?.pid();
  process?.kill("SIGKILL");
  while (process?.ready() !== true || process.pid() === before) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** As if 60 s had gone by since the worker died. */
async function expireLease(stack: TestStack, organizationId: string): Promise<void> {
  await stack.database.query(
    "update sync.runs set heartbeat_at = heartbeat_at - interval '61 seconds' where organization_id = $1",
    [organizationId],
  );
}

async function runsOf(stack: TestStack, organizationId: string) {
  return await stack.database.query<{ status: string; pages: number; created: number }>(
    `select status, coalesce((counters ->> 'pages')::int, 0) as pages,
       coalesce((counters #>> '{verdicts,created}')::int, 0) as created
     from sync.runs where organization_id = $1 order by started_at`,
    [organizationId],
  );
}
