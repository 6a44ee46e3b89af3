import assert from "node:assert/strict";
import {
  countByStatus,
  createBookings,
  drain,
  letTimePass,
  patientOrganization,
  queueDeliveries,
  untilHeld,
} from "../../support/deliveries.ts";
import { eventually } from "../../support/answers.ts";
import { type TestStack, useStack } from "../../support/stack.ts";

const stackTest = useStack();

stackTest(
  "claim_deliveries() takes organizations in turns, however long the one's queue is",
  async (stack) => {
    const [large, small] = [await patientOrganization(stack), await patientOrganization(stack)];
    await queueDeliveries(stack.database, large, await createBookings(stack, large, 200));
    await queueDeliveries(stack.database, small, await createBookings(stack, small, 5));
    const { claimed } = await drain(stack, 10);
    assert.equal(claimed, 10);
    assert.deepEqual(await countByStatus(stack.database, small), { succeeded: 5 });
    assert.deepEqual(await countByStatus(stack.database, large), { pending: 195, succeeded: 5 });
    await drain(stack);
  },
);

stackTest(
  "claim_deliveries() has one read stand for all webhooks of a booking that came before it",
  async (stack) => {
    const organizationId = await patientOrganization(stack);
    const ids = await createBookings(stack, organizationId, 3);
    for (let round = 0; round < 5; round++) {
      await queueDeliveries(stack.database, organizationId, ids);
    }
    const counters = await drain(stack);
    assert.deepEqual([counters.claimed, counters.source_reads, counters.applied_calls], [3, 3, 1]);
    assert.deepEqual(await countByStatus(stack.database, organizationId), { succeeded: 15 });
    const rows = await stack.database.query<{ covered: number }>(
      `select count(*)::integer as covered from sync.deliveries d
     join sync.connections c on c.id = d.connection_id
     join sync.deliveries by on by.id = (d.result ->> 'coalesced_into')::uuid
     where c.organization_id = $1 and by.external_id = d.external_id`,
      [organizationId],
    );
    assert.equal(rows[0]?.covered, 12);
  },
);

stackTest(
  "a webhook that arrives while its booking is read causes a second read",
  async (stack) => {
    const organizationId = await patientOrganization(stack);
    const [id = ""] = await createBookings(stack, organizationId, 1, { title: "Före" });
    await queueDeliveries(stack.database, organizationId, [id]);
    await stack.eventflow.setFault({ mode: "hold", booking_id: id });
    const reads = (await stack.eventflow.requests()).total;
    const draining = drain(stack);
    await untilHeld(stack, 1);
    // The read has begun: its answer is what the booking was then.
    await stack.eventflow.patch(id, { title: "Efter" });
    const answer = await stack.eventflow.sendWebhook(id, { organization_id: organizationId });
    const { sync } = answer.body as { readonly sync: { readonly reason: string } };
    assert.deepEqual([answer.status, sync.reason], [202, "busy"]);
    await stack.eventflow.clearFaults();
    await draining;
    await drain(stack);
    assert.equal((await stack.eventflow.requests()).total - reads, 2);
    assert.deepEqual(await countByStatus(stack.database, organizationId), { succeeded: 2 });
    const rows = await stack.database.query(
      "select title from public.bookings where external_id = $1",
      [id],
    );
    assert.deepEqual(rows, [{ title: "Efter" }]);
  },
);

stackTest(
  "receive-booking has a booking that was busy read again within seconds",
  async (stack) => {
    const organizationId = await patientOrganization(stack);
    const [id = ""] = await createBookings(stack, organizationId, 1, { title: "Före" });
    await stack.eventflow.setFault({ mode: "hold", booking_id: id });
    const first = stack.eventflow.sendWebhook(id, { organization_id: organizationId });
    await untilHeld(stack, 1);
    await stack.eventflow.patch(id, { title: "Efter" });
    const second = await stack.eventflow.sendWebhook(id, { organization_id: organizationId });
    await stack.eventflow.clearFaults();
    assert.deepEqual([(await first).status, second.status], [200, 202]);
    // Nobody drains here but receive-booking itself.
    await eventually("it is read again", async () => {
      return (await countByStatus(stack.database, organizationId)).succeeded === 2;
    });
    const rows = await stack.database.query(
      "select title from public.bookings where external_id = $1",
      [id],
    );
    assert.deepEqual(rows, [{ title: "Efter" }]);
  },
);

stackTest(
  "replay_deliveries() counts first, and then has it done again by id, booking, status and window",
  async (stack) => {
    const organizationId = await patientOrganization(stack);
    const ids = await createBookings(stack, organizationId, 4);
    await queueDeliveries(stack.database, organizationId, ids);
    await drain(stack);
    const deliveries = await stack.database.query<{ id: string; external_id: string }>(
      `select d.id, d.external_id from sync.deliveries d
     join sync.connections c on c.id = d.connection_id where c.organization_id = $1`,
      [organizationId],
    );
    const one = deliveries.find(({ external_id }) => external_id === ids[0]);
    assert.ok(one);
    const byBooking = { organization_id: organizationId, source: "eventflow", external_id: ids[1] };
    const hour = 3_600_000;
    const window = {
      organization_id: organizationId,
      status: "succeeded",
      received_from: new Date(Date.now() - hour).toISOString(),
      received_to: new Date(Date.now() + hour).toISOString(),
    };
    const past = { ...window, received_to: window.received_from };

    for (
      const [args, matched] of [
        [{ delivery_ids: [one.id] }, 1],
        [byBooking, 1],
        [window, 4],
        [{ ...past, received_from: undefined }, 0],
        [{ organization_id: organizationId, status: "dead" }, 0],
      ] as const
    ) {
      assert.deepEqual(await replay(stack, args), [matched, 0]);
    }
    assert.equal((await drain(stack)).claimed, 0, "counting has done something");
    await assert.rejects(replay(stack, {}), /22023/);

    const reads = (await stack.eventflow.requests()).total;
    assert.deepEqual(await replay(stack, { delivery_ids: [one.id], count_only: false }), [1, 1]);
    // Twice by hand is twice done: dedupe does not swallow it (rule: same event, one effect).
    assert.deepEqual(await replay(stack, { delivery_ids: [one.id], count_only: false }), [1, 1]);
    assert.deepEqual(await replay(stack, { ...byBooking, count_only: false }), [1, 1]);
    const { claimed } = await drain(stack);
    assert.equal(claimed, new Set([one.external_id, ids[1]]).size);
    assert.equal((await stack.eventflow.requests()).total - reads, claimed);
    assert.deepEqual(await countByStatus(stack.database, organizationId), { succeeded: 7 });

    // What was given up can be had again.
    await stack.eventflow.setFault({ mode: "other_booking", booking_id: ids[0] });
    await queueDeliveries(stack.database, organizationId, ids.slice(0, 1));
    assert.equal((await drain(stack)).dead, 1);
    const dead = { organization_id: organizationId, status: "dead" };
    assert.deepEqual(await replay(stack, dead), [1, 0]);
    assert.deepEqual(await replay(stack, { ...dead, count_only: false }), [1, 1]);
    await letTimePass(stack.database);
    assert.equal((await drain(stack)).succeeded, 1);
  },
);

async function replay(
  stack: TestStack,
  args: Readonly<Record<string, unknown>>,
): Promise<readonly [number, number]> {
  const { data, error } = await stack.service.rpc("replay_deliveries", args);
  if (error !== null) throw new Error(`${error.code}: ${error.message}`);
  return [data[0].matched, data[0].replayed];
}
