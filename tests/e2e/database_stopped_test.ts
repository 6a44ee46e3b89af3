import assert from "node:assert/strict";
import { openTestDatabase } from "../../local/database/test_database.ts";
import { projectPaths } from "../../local/paths.ts";
import { assertError, bodyOf } from "../support/answers.ts";
import { allRows } from "../support/rows.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { type StoppableCluster, withStoppableCluster } from "../support/stoppable_cluster.ts";

// Always on a cluster of its own: nobody else's database is stopped. Without Postgres programs on
// the machine internal_call_test.ts shows the same with an API that refuses connections.
Deno.test({
  name: "the database is stopped: both webhooks answer 503, and work again without a restart",
  sanitizeOps: false,
  sanitizeResources: false,
  sanitizeExit: false,
  async fn(): Promise<void> {
    const ran = await withStoppableCluster(async (cluster) => {
      const database = await openTestDatabase(cluster.url, projectPaths());
      const stack = await startTestStack({ database, environment: { SYNC_BUDGET_MS: "3000" } });
      try {
        await stopAndStart(stack, cluster);
      } finally {
        await stack.stop().finally(() => database.close());
      }
    });
    if (!ran) console.log("no Postgres programs here: see internal_call_test.ts");
  },
});

async function stopAndStart(stack: TestStack, cluster: StoppableCluster): Promise<void> {
  const organization_id = await stack.organization();
  const booking = await stack.eventflow.create({ organization_id, status: "CONFIRMED" });
  const order = { booking_id: String(booking.id), organization_id };
  const event = { bookingId: 17, status: "PENDING", eventTimestamp: "2024-01-15T10:30:00" };
  assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "created");
  const before = await allRows(stack.database);
  const pids = stack.functions.all.map((process) => process.pid());

  await cluster.stop();
  const attempts = [
    () => stack.postEventflow(order),
    () => stack.postHeadout(event, organization_id),
    () => stack.postEventflow("not json"),
    () => stack.postHeadout("not json", organization_id),
    () => stack.postImport(order),
  ];
  for (const attempt of attempts) {
    const since = performance.now();
    const answer = await attempt();
    assertError(answer, { status: 503, code: "inbox_unavailable", retryAfter: true });
    assert.ok(performance.now() - since < 4_000, "within the budget and a second");
  }
  const health = await fetch(`${stack.url}/functions/v1/_health`);
  assert.equal(health.status, 503);
  assert.equal((await health.json()).checks.database, false);

  await cluster.start();
  assert.deepEqual(await allRows(stack.database), before);
  await stack.eventflow.patch(order.booking_id, { title: "Efter avbrottet" });
  assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "updated");
  assert.equal(bodyOf(await stack.postHeadout(event, organization_id)).outcome, "stub_created");
  assert.deepEqual(stack.functions.all.map((process) => process.pid()), pids);
}
