import assert from "node:assert/strict";
import { untilHeld } from "../../support/deliveries.ts";
import { fullScale } from "../../support/scale.ts";
import { type TestStack, useStack } from "../../support/stack.ts";
import { cursorOf, historyCounts, run, runWell, seedBookings } from "./support.ts";

/** Three pages: two whole ones and one booking. */
const PAGE = fullScale ? 100 : 40;
const COUNT = 2 * PAGE + 1;
const stackTest = useStack({
  environment: { EVENTFLOW_PAGE_SIZE: String(PAGE) },
  eventflow: { count: COUNT, productsPerBooking: 1, wholeEvery: 20 },
  headout: { count: 55 },
});

stackTest(
  "a source that ignores page fails the run, loops nowhere and moves no cursor",
  async (stack) => {
    const organizationId = await fresh(stack);
    await stack.eventflow.setFault({ mode: "ignore_page", count: null });
    const { status, body } = await run(stack, organizationId, { syncMode: "full" });
    assert.deepEqual([status, body.error.code, body.error.details[0].code], [
      502,
      "source_invalid",
      "page_ignored",
    ]);
    assert.equal(await cursorOf(stack.database, organizationId), null);
    assert.ok((await stack.eventflow.requests()).total < 25);
    // Mended: the next run has it all, the first page unchanged.
    await stack.eventflow.clearFaults();
    const mended = await runWell(stack, organizationId, { syncMode: "full" });
    assert.deepEqual(mended.counters.verdicts, { unchanged: PAGE, created: COUNT - PAGE });
    assert.notEqual(await cursorOf(stack.database, organizationId), null);
  },
);

for (
  const [what, fault] of [
    ["repeats a page", { mode: "ignore_page" }],
    ["is empty", { mode: "empty" }],
    ["answers 500", { mode: "status", status: 500 }],
    ["answers HTML with 502", { mode: "html", status: 502 }],
    ["asks for a second of patience", { mode: "rate_limit", retry_after: 1, count: 2 }],
  ] as const
) {
  for (const request of [1, 2, 4]) {
    stackTest(
      `a source that ${what} at request ${request} for a moment loses nothing`,
      async (stack) => {
        const organizationId = await fresh(stack);
        await faultAt(stack, request, fault);
        const answer = await runWell(stack, organizationId, { syncMode: "full" });
        assert.equal(answer.completed, true, JSON.stringify(answer));
        assert.deepEqual(await historyCounts(stack.database, organizationId), [
          { verdict: "created", times: 1, bookings: COUNT },
        ]);
      },
    );
  }
}

stackTest(
  "a source that stays down stops the run at its page, and drain ends it",
  async (stack) => {
    const organizationId = await fresh(stack);
    await faultAt(stack, 4, { mode: "html", count: null });
    const answer = await runWell(stack, organizationId, { syncMode: "full" });
    assert.deepEqual([answer.completed, answer.error.code, answer.next.syncMode], [
      false,
      "source_unavailable",
      "full",
    ]);
    const stopped = answer.counters.bookings;
    assert.ok(stopped > 0 && stopped < COUNT, `${stopped} bookings`);
    assert.equal(await cursorOf(stack.database, organizationId), null);
    await stack.eventflow.clearFaults();
    await stack.postImport({ syncMode: "drain" });
    assert.equal((await stateOf(stack, answer.run_id)).status, "stopped", "its pause is not over");
    await stack.database.query(
      `update sync.runs set checkpoint = checkpoint || '{"retry_at": null}' where id = $1`,
      [answer.run_id],
    );
    await stack.postImport({ syncMode: "drain" });
    assert.deepEqual(await stateOf(stack, answer.run_id), { status: "completed", error: null });
    assert.deepEqual(await historyCounts(stack.database, organizationId), [
      { verdict: "created", times: 1, bookings: COUNT },
    ]);
  },
);

stackTest("a source that asks for an hour is left alone for an hour", async (stack) => {
  const organizationId = await fresh(stack);
  await stack.eventflow.setFault({ mode: "rate_limit", retry_after: 3_600, count: null });
  const answer = await runWell(stack, organizationId, { syncMode: "incremental" });
  assert.deepEqual([answer.completed, answer.error.code], [false, "source_unavailable"]);
  const asked = (await stack.eventflow.requests()).total;
  const again = await runWell(stack, organizationId, { syncMode: "incremental" });
  assert.deepEqual([again.completed, again.run_id], [false, answer.run_id]);
  await stack.postImport({ syncMode: "drain" });
  assert.equal((await stack.eventflow.requests()).total, asked);
});

stackTest("rows that change between pages are neither lost nor doubled", async (stack) => {
  const organizationId = await stack.organization();
  await stack.eventflow.clearFaults();
  const bare = { status: "Offert", products: [], attachments: [] };
  await seedBookings(stack, organizationId, 1_010, () => bare);
  // Three of the first page leave the list while the second is on its way.
  await faultAt(stack, 2, { mode: "hold", count: null });
  const calling = run(stack, organizationId, { syncMode: "full" });
  await untilHeld(stack, 1);
  for (const id of ["b-0001", "b-0002", "b-0003"]) await stack.eventflow.delete(id);
  await stack.eventflow.clearFaults();
  assert.equal((await calling).body.completed, true);
  const missing = await stack.database.query(
    `select n from generate_series(4, 1009) n where not exists (
       select from public.bookings b where b.organization_id = $1 and b.external_id = 'b-' || lpad(n::text, 4, '0'))`,
    [organizationId],
  );
  assert.deepEqual(missing, []);
});

stackTest("Headout is read to its end in pages that overlap", async (stack) => {
  const organizationId = await stack.organization();
  await stack.headout.request("DELETE", "/requests");
  const order = { syncMode: "full", source: "headout", organization_id: organizationId };
  const { body } = await stack.postImport(order);
  assert.deepEqual([body.completed, body.counters.verdicts], [true, { created: 55 }]);
  const { requests } = await stack.headout.requests() as unknown as {
    readonly requests: readonly { readonly query: { readonly offset: string } }[];
  };
  assert.deepEqual(requests.map(({ query }) => query.offset), ["0", "18", "36"]);
});

/** An organization of its own, and a source without faults. */
async function fresh(stack: TestStack): Promise<string> {
  await stack.eventflow.clearFaults();
  await stack.eventflow.request("DELETE", "/requests");
  return await stack.organization();
}

/** Sets a fault once so many list requests have been answered. */
async function faultAt(
  stack: TestStack,
  request: number,
  fault: Readonly<Record<string, unknown>>,
) {
  if (request === 1) return await stack.eventflow.setFault(fault);
  // Until then a fault of the same kind that harms nothing: a bare list, or a pause of no time.
  const filler = ["empty", "ignore_page"].includes(String(fault.mode)) ? "legacy" : "hang";
  await stack.eventflow.setFault({ mode: filler, seconds: 0, count: request - 1 });
  return await stack.eventflow.setFault(fault);
}

async function stateOf(stack: TestStack, runId: string) {
  const [row] = await stack.database.query<{ status: string; error: unknown }>(
    "select status, error from sync.runs where id = $1",
    [runId],
  );
  return row!;
}
