import assert from "node:assert/strict";
import { countByStatus, createBookings, drain, queueDeliveries } from "../../support/deliveries.ts";
import { type TestStack, useStack } from "../../support/stack.ts";

const BUDGET = 20;
const CANCELLED = 80;

// Without a limit no webhook is put off, and no drain runs behind the tests.
const stackTest = useStack({ environment: { INLINE_SYNC_LIMIT: "1000" } });

for (const path of ["webhooks", "drain"] as const) {
  stackTest(
    `apply_snapshots() holds what exceeds the budget of a mass cancellation by ${path}`,
    async (stack) => {
      const organizationId = await stack.organization();
      const ids = await createConfirmed(stack, organizationId);
      const alarms = countAlarms(stack);
      for (const id of ids) await stack.eventflow.cancel(id);
      if (path === "webhooks") {
        const { statuses } = await stack.eventflow.burst({
          booking_ids: ids,
          seconds: 2,
          organization_id: organizationId,
        });
        assert.deepEqual(statuses, { 200: CANCELLED });
      } else await queueDeliveries(stack.database, organizationId, ids);
      await drain(stack);

      assert.deepEqual(await statuses(stack, organizationId), {
        CANCELLED: BUDGET,
        CONFIRMED: CANCELLED - BUDGET,
      });
      const { held } = await countByStatus(stack.database, organizationId);
      assert.equal(held, CANCELLED - BUDGET);
      assert.equal(countAlarms(stack) - alarms, 1);
      const active = await stack.database.query<{ count: number }>(
        `select count(*)::integer as count from public.packing_projects
       where organization_id = $1 and active`,
        [organizationId],
      );
      assert.equal(active[0]?.count, CANCELLED - BUDGET);

      await releaseWhatTheSourceSaysNow(stack, organizationId);
    },
  );
}

stackTest(
  "release_held_changes() drops what is dismissed and does not ask again",
  async (stack) => {
    const organizationId = await stack.organization();
    await stack.database.query(
      "update sync.connections set cancel_budget = 0 where organization_id = $1",
      [organizationId],
    );
    const [id = ""] = await createConfirmed(stack, organizationId, 1);
    await stack.eventflow.cancel(id);
    await queueDeliveries(stack.database, organizationId, [id]);
    assert.equal((await drain(stack)).held, 1);
    const [hold] = await openHolds(stack, organizationId);
    const dismissed = await stack.service.rpc("release_held_changes", {
      held_change_ids: [hold?.id],
      by: "anna",
      dismiss: true,
    });
    assert.equal(dismissed.data?.[0]?.outcome, "dismissed", JSON.stringify(dismissed.error));
    await queueDeliveries(stack.database, organizationId, [id]);
    assert.equal((await drain(stack)).succeeded, 1);
    assert.deepEqual(await statuses(stack, organizationId), { CONFIRMED: 1 });
    assert.deepEqual(await openHolds(stack, organizationId), []);
  },
);

/** Release applies what is true then: one booking has been confirmed again in the meantime. */
async function releaseWhatTheSourceSaysNow(
  stack: TestStack,
  organizationId: string,
): Promise<void> {
  const holds = await openHolds(stack, organizationId);
  assert.equal(holds.length, CANCELLED - BUDGET);
  const [back] = holds;
  assert.ok(back);
  await stack.eventflow.patch(back.external_id, { status: "Bekräftad", title: "Ändå" });
  const { error } = await stack.service.rpc("release_held_changes", {
    held_change_ids: holds.map(({ id }) => id),
    by: "anna",
  });
  assert.equal(error, null);
  assert.deepEqual((await statuses(stack, organizationId)).CONFIRMED, CANCELLED - BUDGET);
  const { succeeded } = await drain(stack);
  assert.equal(succeeded, CANCELLED - BUDGET);
  assert.deepEqual(await statuses(stack, organizationId), {
    CANCELLED: CANCELLED - 1,
    CONFIRMED: 1,
  });
  const rows = await stack.database.query(
    "select title from public.bookings where organization_id = $1 and status = 'CONFIRMED'",
    [organizationId],
  );
  assert.deepEqual(rows, [{ title: "Ändå" }]);
  assert.deepEqual(await openHolds(stack, organizationId), []);
}

/** Confirmed bookings, here and at the source. */
async function createConfirmed(
  stack: TestStack,
  organizationId: string,
  count = CANCELLED,
): Promise<readonly string[]> {
  const ids = await createBookings(stack, organizationId, count);
  await queueDeliveries(stack.database, organizationId, ids);
  assert.equal((await drain(stack)).succeeded, count);
  return ids;
}

async function statuses(
  stack: TestStack,
  organizationId: string,
): Promise<Readonly<Record<string, number>>> {
  const rows = await stack.database.query<{ status: string; count: number }>(
    `select status, count(*)::integer as count from public.bookings
     where organization_id = $1 group by status`,
    [organizationId],
  );
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}

function openHolds(
  stack: TestStack,
  organizationId: string,
): Promise<readonly { readonly id: number; readonly external_id: string }[]> {
  return stack.database.query(
    `select h.id, b.external_id from sync.held_changes h join public.bookings b on b.id = h.booking_id
     where h.organization_id = $1 and h.released_at is null and h.dismissed_at is null
     order by h.id`,
    [organizationId],
  );
}

function countAlarms(stack: TestStack): number {
  return stack.output().filter((line) => line.includes("the brake holds changes")).length;
}
