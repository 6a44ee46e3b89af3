import assert from "node:assert/strict";
import {
  countByStatus,
  createBookings,
  drain,
  queueDeliveries,
  untilHeld,
} from "../../support/deliveries.ts";
import { type TestStack, useStack } from "../../support/stack.ts";

const stackTest = useStack();

stackTest("pause_connection() costs no attempt in an hour and loses nothing", async (stack) => {
  const organizationId = await stack.organization();
  const ids = await createBookings(stack, organizationId, 30);
  // Ten wait already, one of them after a failed attempt, when the connection is paused.
  await queueDeliveries(stack.database, organizationId, ids.slice(0, 1));
  await stack.eventflow.setFault({ mode: "status", status: 500, booking_id: ids[0] });
  assert.equal((await drain(stack)).failed, 1);
  await queueDeliveries(stack.database, organizationId, ids.slice(1, 10));
  await call(stack, "pause_connection", { organization_id: organizationId, reason: "maintenance" });
  const before = await attemptsOf(stack, organizationId);
  assert.equal(before.reduce((sum, attempts) => sum + attempts, 0), 1);

  // Webhooks go on arriving: each is kept and answered 202.
  for (const id of ids.slice(10)) {
    const answer = await stack.eventflow.sendWebhook(id, { organization_id: organizationId });
    const { sync } = answer.body as { readonly sync: { readonly reason: string } };
    assert.deepEqual([answer.status, sync.reason], [202, "paused"]);
  }
  const reads = (await stack.eventflow.requests()).total;
  for (let minute = 0; minute < 60; minute++) {
    await shiftByMinute(stack);
    if (minute % 10 === 0) assert.equal((await drain(stack)).claimed, 0);
  }
  assert.equal((await stack.eventflow.requests()).total, reads);
  assert.deepEqual(await attemptsOf(stack, organizationId), [...before, ...Array(20).fill(0)]);
  assert.deepEqual(await countByStatus(stack.database, organizationId), { pending: 30 });

  await call(stack, "resume_connection", { organization_id: organizationId });
  assert.equal((await drain(stack)).succeeded, 30);
  assert.deepEqual(await countByStatus(stack.database, organizationId), { succeeded: 30 });
});

stackTest("pause_connection() gives back without an attempt what was being read", async (stack) => {
  const organizationId = await stack.organization();
  const ids = await createBookings(stack, organizationId, 5);
  await queueDeliveries(stack.database, organizationId, ids);
  await stack.eventflow.setFault({ mode: "hold", count: 5 });
  const draining = drain(stack);
  await untilHeld(stack, 5);
  await call(stack, "pause_connection", { organization_id: organizationId, reason: "maintenance" });
  await stack.eventflow.clearFaults();
  const counters = await draining;
  assert.deepEqual([counters.claimed, counters.given_back], [5, 5]);
  assert.deepEqual(await attemptsOf(stack, organizationId), [0, 0, 0, 0, 0]);
  await call(stack, "resume_connection", { organization_id: organizationId });
  assert.equal((await drain(stack)).succeeded, 5);
});

async function call(
  stack: TestStack,
  name: string,
  args: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { error } = await stack.service.rpc(name, { source: "eventflow", ...args });
  assert.equal(error, null);
}

async function attemptsOf(stack: TestStack, organizationId: string): Promise<number[]> {
  const rows = await stack.database.query<{ attempts: number }>(
    `select d.attempts from sync.deliveries d join sync.connections c on c.id = d.connection_id
     where c.organization_id = $1 order by d.received_at, d.attempts desc`,
    [organizationId],
  );
  return rows.map(({ attempts }) => attempts);
}

/** A minute goes by: everything that is dated is a minute older. */
async function shiftByMinute(stack: TestStack): Promise<void> {
  await stack.database.exec(
    `update sync.deliveries set received_at = received_at - interval '1 minute',
       next_attempt_at = next_attempt_at - interval '1 minute',
       leased_until = leased_until - interval '1 minute';
     update sync.connections set paused_at = paused_at - interval '1 minute'`,
  );
}
