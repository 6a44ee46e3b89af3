import assert from "node:assert/strict";
import { type Checkpoint, type Stage, stopAt } from "../../support/checkpoint.ts";
import {
  countByStatus,
  createBookings,
  drain,
  letTimePass,
  queueDeliveries,
} from "../../support/deliveries.ts";
import { startTestStack, type TestStack } from "../../support/stack.ts";
import { openTap, type Tap } from "../../support/tap.ts";

let tap: Tap | undefined;
let stack: TestStack | undefined;

Deno.test.beforeAll(async () => {
  tap = openTap();
  stack = await startTestStack({ environment: { SUPABASE_URL: tap.url } });
  tap.to(stack.url);
});
Deno.test.afterAll(async () => {
  await stack?.stop();
  await tap?.stop();
});

interface Kill {
  readonly when: string;
  readonly victim: "receive-booking" | "import-bookings";
  /** Which call of the functions it is killed at. */
  readonly path: string;
  readonly stage: Stage;
  /** The source fails at the first read. */
  readonly sourceFails?: boolean;
}

const kills: readonly Kill[] = [
  {
    when: "before the delivery is stored",
    victim: "receive-booking",
    path: "/rest/v1/rpc/receive_delivery",
    stage: "request",
  },
  {
    when: "after the delivery is stored",
    victim: "receive-booking",
    path: "/rest/v1/rpc/receive_delivery",
    stage: "answer",
  },
  {
    when: "before it calls the import",
    victim: "receive-booking",
    path: "/functions/v1/import-bookings",
    stage: "request",
  },
  {
    when: "after the import has ended",
    victim: "receive-booking",
    path: "/functions/v1/import-bookings",
    stage: "answer",
  },
  {
    when: "after the fetch",
    victim: "import-bookings",
    path: "/rest/v1/rpc/apply_snapshots",
    stage: "request",
  },
  {
    when: "after the transaction",
    victim: "import-bookings",
    path: "/rest/v1/rpc/apply_snapshots",
    stage: "answer",
  },
  {
    when: "before it finishes a failed delivery",
    victim: "import-bookings",
    path: "/rest/v1/rpc/finish_delivery",
    stage: "request",
    sourceFails: true,
  },
  {
    when: "after it has finished a failed delivery",
    victim: "import-bookings",
    path: "/rest/v1/rpc/finish_delivery",
    stage: "answer",
    sourceFails: true,
  },
];

for (const kill of kills) {
  test(`a webhook survives kill -9 of ${kill.victim} ${kill.when}`, async (stack, tap) => {
    const organizationId = await stack.organization();
    const [id = ""] = await createBookings(stack, organizationId, 1, { title: "Efter" });
    if (kill.sourceFails) {
      await stack.eventflow.setFault({ mode: "status", status: 500, booking_id: id });
    }
    const checkpoint = stopAt(tap, { ...kill, target: stack.url });
    const sending = stack.eventflow.sendWebhook(id, { organization_id: organizationId });
    await killAt(stack, checkpoint, kill.victim, kill.stage);
    const answer = await sending;
    if (kill.when === "before the delivery is stored") {
      // Not accepted, so nothing is promised: this sender would have to send it again.
      assert.equal(answer.status, 503);
      assert.deepEqual(await countByStatus(stack.database, organizationId), {});
      return;
    }
    await endsWell(stack, organizationId, [id]);
  });
}

for (const stage of ["request", "answer"] as const) {
  test(`a drain survives kill -9 at the ${stage} of apply_snapshots`, async (stack, tap) => {
    const organizationId = await stack.organization();
    const ids = await createBookings(stack, organizationId, 12, { title: "Efter" });
    await queueDeliveries(stack.database, organizationId, ids);
    const path = "/rest/v1/rpc/apply_snapshots";
    const checkpoint = stopAt(tap, { path, stage, target: stack.url });
    const draining = stack.postImport({ syncMode: "drain" });
    await killAt(stack, checkpoint, "import-bookings", stage);
    assert.equal((await draining).status, 503);
    await endsWell(stack, organizationId, ids);
  });
}

/** Kills the function when it has come so far, and waits until its successor answers. */
async function killAt(
  stack: TestStack,
  checkpoint: Checkpoint,
  victim: string,
  stage: Stage,
): Promise<void> {
  try {
    await checkpoint.reached;
    const process = stack.functions.get(victim);
    const before = process?.pid();
    process?.kill("SIGKILL");
    const deadline = Date.now() + 20_000;
    while (process?.pid() === before || process?.ready() !== true) {
      assert.ok(Date.now() < deadline, `${victim} does not come back`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  } finally {
    checkpoint.release(stage === "request" ? "lost" : undefined);
  }
}

/** Within two drains, with the lease's end between them, everything is right and was done once. */
async function endsWell(
  stack: TestStack,
  organizationId: string,
  ids: readonly string[],
): Promise<void> {
  await drain(stack);
  await letTimePass(stack.database);
  await drain(stack);
  assert.deepEqual(await countByStatus(stack.database, organizationId), { succeeded: ids.length });
  const rows = await stack.database.query<{ external_id: string; title: string; writes: number }>(
    `select b.external_id, b.title,
       (select count(*)::integer from public.booking_history h where h.booking_id = b.id) as writes
     from public.bookings b where b.organization_id = $1 order by b.external_id`,
    [organizationId],
  );
  assert.deepEqual(
    rows,
    ids.toSorted().map((id) => ({ external_id: id, title: "Efter", writes: 1 })),
  );
}

function test(name: string, work: (stack: TestStack, tap: Tap) => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(): Promise<void> {
      if (stack === undefined || tap === undefined) throw new Error("The stack has not started");
      await work(stack, tap);
    },
  });
}
