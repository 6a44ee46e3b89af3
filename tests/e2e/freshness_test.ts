import assert from "node:assert/strict";
import { createBookings, drain } from "../support/deliveries.ts";
import { dayFromNow } from "../support/booking_builder.ts";
import { type TestStack, useStack } from "../support/stack.ts";

const stackTest = useStack();

/** A stored booking whose rig is in two days and whose cancellation no webhook told us of. */
async function lostCancellation(stack: TestStack) {
  const organizationId = await stack.organization();
  const [id = ""] = await createBookings(stack, organizationId, 1, {
    rig_up_dates: [dayFromNow(2)],
    event_dates: [dayFromNow(3)],
    rig_down_dates: [dayFromNow(4)],
  });
  await stack.eventflow.sendWebhook(id, { organization_id: organizationId });
  await stack.eventflow.cancel(id);
  const status = async () =>
    (await stack.database.query<{ status: string }>(
      "select status from public.bookings where external_id = $1",
      [id],
    ))[0]?.status;
  return { organizationId, id, status };
}

/** Lets so many minutes pass for what an organization keeps fresh. */
const letPass = (stack: TestStack, organizationId: string, minutes: number) =>
  stack.database.query(
    `update sync.source_states set read_at = coalesce(read_at, fetched_at) - $1 * interval '1 minute',
       refresh_due_at = refresh_due_at - $1 * interval '1 minute'
     where organization_id = $2`,
    [minutes, organizationId],
  );

stackTest(
  "rule: it heals by itself: a lost cancellation of a booking in two days is applied within two hours",
  async (stack) => {
    const { organizationId, status } = await lostCancellation(stack);
    assert.equal((await drain(stack)).refreshed, 0, "it has just been read");
    await letPass(stack, organizationId, 119);
    assert.equal((await drain(stack)).refreshed, 0);
    assert.equal(await status(), "CONFIRMED");
    await letPass(stack, organizationId, 1);
    assert.equal((await drain(stack)).refreshed, 1);
    assert.equal(await status(), "CANCELLED");
    assert.deepEqual(await stack.database.query("select id from sync.runs"), []);
  },
);

stackTest(
  "rule: it heals by itself: a cancellation that is found so goes through the brake",
  async (stack) => {
    const { organizationId, status } = await lostCancellation(stack);
    await stack.database.query(
      "update sync.connections set cancel_budget = 0, freshness_swept_at = null where organization_id = $1",
      [organizationId],
    );
    await drain(stack);
    await letPass(stack, organizationId, 121);
    assert.equal((await drain(stack)).refreshed, 1);
    assert.equal(await status(), "CONFIRMED");
    assert.deepEqual(
      await stack.database.query("select kind from sync.held_changes where organization_id = $1", [
        organizationId,
      ]),
      [{ kind: "CANCELLED" }],
    );
  },
);

stackTest(
  "rule: it heals by itself: ten bookings that the source answers with 404 do not starve the others",
  async (stack) => {
    const organizationId = await stack.organization();
    const near = {
      rig_up_dates: [dayFromNow(2)],
      event_dates: [dayFromNow(3)],
      rig_down_dates: [dayFromNow(4)],
    };
    const ids = await createBookings(stack, organizationId, 20, near);
    for (const id of ids) {
      await stack.eventflow.sendWebhook(id, { organization_id: organizationId });
    }
    await stack.database.query(
      "update sync.connections set freshness_reads_per_minute = 10, freshness_swept_at = null where organization_id = $1",
      [organizationId],
    );
    await drain(stack);
    // The first ten are the stalest, and never answer again.
    for (const id of ids.slice(0, 10)) {
      await stack.eventflow.setFault({ mode: "status", status: 404, booking_id: id, count: null });
      await stack.database.query(
        "update sync.source_states set refresh_due_at = refresh_due_at - interval '1 hour' where external_id = $1",
        [id],
      );
    }
    await letPass(stack, organizationId, 121);
    // Eight of them in a row look like a source that is down; the next minute goes on behind them.
    let refreshed = 0;
    for (const _ of [1, 2, 3]) {
      refreshed += (await drain(stack)).refreshed;
      await stack.database.query(
        "update sync.freshness_claims set claimed_at = claimed_at - interval '1 minute'",
      );
    }
    assert.equal(refreshed, 10);
    const fresh = await stack.database.query<{ id: string }>(
      `select external_id as id from sync.source_states
       where organization_id = $1 and read_at > now() - interval '1 minute' order by 1`,
      [organizationId],
    );
    assert.deepEqual(fresh.map(({ id }) => id), ids.slice(10).toSorted());
    await stack.eventflow.clearFaults();
  },
);
