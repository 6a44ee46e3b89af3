import assert from "node:assert/strict";
import {
  countByStatus,
  createBookings,
  drain,
  letTimePass,
  patientOrganization,
  queueDeliveries,
} from "../../support/deliveries.ts";
import { type TestStack, useStack } from "../../support/stack.ts";

const stackTest = useStack();

stackTest(
  "finish_delivery() gives up a booking that always fails, which stops nothing else",
  async (stack) => {
    const organizationId = await patientOrganization(stack);
    const ids = await createBookings(stack, organizationId, 10);
    const [bad = "", ...good] = ids;
    await stack.eventflow.setFault({ mode: "status", status: 500, booking_id: bad, count: null });
    await queueDeliveries(stack.database, organizationId, ids);

    let began = await clock(stack);
    const first = await drain(stack);
    assert.deepEqual([first.completed, first.succeeded, first.failed], [true, 9, 1]);
    for (let attempt = 2; attempt <= 9; attempt++) {
      const seconds = [10, 30, 120, 600, 1_800, 7_200, 21_600, 43_200][attempt - 2] ?? 0;
      const due = await dueOf(stack, bad);
      const [most, least] = [due - began, due - await clock(stack)];
      assert.ok(most > seconds * 0.79, `at most ${most} s instead of ${seconds} s`);
      assert.ok(least < seconds * 1.21, `at least ${least} s instead of ${seconds} s`);
      assert.equal((await drain(stack)).claimed, 0, "it was tried before its time");
      await letTimePass(stack.database);
      await queueDeliveries(stack.database, organizationId, good.slice(0, 1));
      began = await clock(stack);
      const { succeeded, failed, dead } = await drain(stack);
      assert.deepEqual([succeeded, failed, dead], [1, attempt < 9 ? 1 : 0, attempt < 9 ? 0 : 1]);
    }
    assert.deepEqual(await countByStatus(stack.database, organizationId), {
      dead: 1,
      succeeded: 17,
    });

    // Its next webhook is processed like any other.
    await stack.eventflow.clearFaults();
    const answer = await stack.eventflow.sendWebhook(bad, { organization_id: organizationId });
    const { sync } = answer.body as { readonly sync: { readonly outcome: string } };
    assert.deepEqual([answer.status, sync.outcome], [200, "created"]);
  },
);

stackTest(
  "drain waits as long as a source asks, and costs the rest of the batch no attempt",
  async (stack) => {
    const organizationId = await patientOrganization(stack);
    const ids = await createBookings(stack, organizationId, 40);
    await queueDeliveries(stack.database, organizationId, ids);
    await stack.eventflow.setFault({ mode: "rate_limit", retry_after: 90, count: null });
    const before = (await stack.eventflow.requests()).total;
    const counters = await drain(stack);
    assert.equal(counters.completed, false);
    assert.ok((await stack.eventflow.requests()).total - before <= 8);
    assert.equal(counters.failed + counters.given_back, 40);
    const rows = await stack.database.query<{ tried: number; soonest: number; latest: number }>(
      `select (count(*) filter (where d.attempts > 0))::integer as tried,
       extract(epoch from min(d.next_attempt_at) - now())::float as soonest,
       extract(epoch from max(d.next_attempt_at) - now())::float as latest
     from sync.deliveries d join sync.connections c on c.id = d.connection_id
     where c.organization_id = $1`,
      [organizationId],
    );
    assert.equal(rows[0]?.tried, counters.failed);
    assert.ok((rows[0]?.soonest ?? 0) > 80 && (rows[0]?.latest ?? 99) <= 90, JSON.stringify(rows));
    await stack.eventflow.clearFaults();
    await letTimePass(stack.database);
    assert.equal((await drain(stack)).succeeded, 40);
  },
);

stackTest(
  "claim_deliveries() takes over what a worker died with, and the dead worker can finish nothing",
  async (stack) => {
    const organizationId = await patientOrganization(stack);
    const [id = ""] = await createBookings(stack, organizationId, 1);
    await queueDeliveries(stack.database, organizationId, [id]);
    const claim = async () =>
      (await stack.service.rpc("claim_deliveries", { max_deliveries: 100 })).data
        ?.find((each: { readonly external_id: string }) => each.external_id === id);
    const first = await claim();
    assert.equal(await claim(), undefined, "one booking was leased twice");
    await letTimePass(stack.database);
    const second = await claim();
    assert.equal(second.delivery_id, first.delivery_id);
    assert.notEqual(second.lease_token, first.lease_token);

    const finished = await stack.service.rpc("finish_delivery", {
      delivery_id: first.delivery_id,
      lease_token: first.lease_token,
      status: "succeeded",
    });
    assert.deepEqual([finished.data[0].finished, finished.data[0].status], [false, "processing"]);
    const applied = await stack.service.rpc("apply_snapshots", {
      organization_id: organizationId,
      source: "eventflow",
      snapshots: [{
        external_id: id,
        fetched_at: new Date().toISOString(),
        content_hash: "0".repeat(64),
        booking: { title: "Too late" },
      }],
      deliveries: [{ delivery_id: first.delivery_id, lease_token: first.lease_token }],
    });
    assert.deepEqual(applied.data?.map(({ verdict }: { verdict: string }) => verdict), [
      "lease_lost",
    ]);
    assert.deepEqual(
      await stack.database.query("select from public.bookings where external_id = $1", [id]),
      [],
    );
    await letTimePass(stack.database);
    const { claimed, succeeded } = await drain(stack);
    assert.deepEqual([claimed, succeeded], [1, 1]);
  },
);

/** When the waiting delivery of a booking is due, in seconds since 1970. */
async function dueOf(stack: TestStack, externalId: string): Promise<number> {
  const [row] = await stack.database.query<{ due: number }>(
    `select extract(epoch from next_attempt_at)::float as due from sync.deliveries
     where external_id = $1 and status = 'pending'`,
    [externalId],
  );
  return row?.due ?? 0;
}

/** The database's clock, in seconds since 1970. */
async function clock(stack: TestStack): Promise<number> {
  const [row] = await stack.database.query<{ now: number }>(
    "select extract(epoch from now())::float as now",
  );
  return row?.now ?? 0;
}
