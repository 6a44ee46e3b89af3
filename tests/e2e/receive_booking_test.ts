import assert from "node:assert/strict";
import { bodyOf, eventually } from "../support/answers.ts";
import { allRows, deliveriesOf, deliveryOf, domainRows, gained } from "../support/rows.ts";
import { untilHeld } from "../support/deliveries.ts";
import { type Answer, type TestStack, useStack } from "../support/stack.ts";

// No burst is put off here: what one delivery does is seen at once (bursts have their own tests).
const stackTest = useStack({ environment: { INLINE_SYNC_LIMIT: "1000" } });

async function bookingOf(stack: TestStack, fields: Record<string, unknown> = {}) {
  const organization_id = await stack.organization();
  const booking = await stack.eventflow.create({
    organization_id,
    title: "Sommarfest",
    clientName: "Ängsholm AB",
    status: "BEKRÄFTAD",
    rig_up_dates: ["2027-06-01"],
    event_dates: ["2027-06-02"],
    rig_down_dates: ["2027-06-03"],
    products: [{ id: "p1", name: "Tält", quantity: 2 }],
    ...fields,
  });
  return { booking_id: String(booking.id), organization_id };
}

/** Sends webhooks at once, while the first one's read stands still; its answer comes last. */
async function sendAtOnce(
  stack: TestStack,
  order: Readonly<Record<string, unknown>>,
  count: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly Answer[]> {
  await stack.eventflow.setFault({ mode: "hold", booking_id: order.booking_id });
  const answers: Answer[] = [];
  const sending = Array.from({ length: count }, async () => {
    answers.push(await stack.postEventflow(order, headers));
  });
  await eventually("all but one are answered", () => Promise.resolve(answers.length === count - 1));
  await stack.eventflow.clearFaults();
  await Promise.all(sending);
  return answers;
}

async function statusOf(stack: TestStack, organizationId: string): Promise<string | undefined> {
  const [row] = await stack.database.query<{ status: string }>(
    "select status from public.bookings where organization_id = $1",
    [organizationId],
  );
  return row?.status;
}

stackTest(
  "receive-booking says created, updated and unchanged, and what each changed",
  async (stack) => {
    const order = await bookingOf(stack);
    const created = bodyOf(await stack.postEventflow({ ...order, event_type: "booking.created" }));
    assert.deepEqual(
      [created.success, created.booking_id, created.event_type, created.sync.outcome],
      [true, order.booking_id, "created", "created"],
    );
    assert.deepEqual(Object.keys(created).sort(), [
      "booking_id",
      "delivery_id",
      "event_type",
      "success",
      "sync",
    ]);
    assert.deepEqual(created.sync.changes.bookings, { created: 1, updated: 0, marked_missing: 0 });
    assert.equal(created.sync.changes.booking_dates.created, 3);

    await stack.eventflow.patch(order.booking_id, { title: "Höstfest" });
    const updated = bodyOf(await stack.postEventflow({ ...order, event_type: "updated" }));
    assert.equal(updated.sync.outcome, "updated");
    assert.equal(updated.sync.changes.bookings.updated, 1);

    const before = await domainRows(stack.database);
    const unchanged = bodyOf(await stack.postEventflow(order));
    assert.deepEqual(
      [unchanged.event_type, unchanged.sync],
      [null, { outcome: "unchanged", changes: {} }],
    );
    assert.deepEqual(await domainRows(stack.database), before);

    const kept = await deliveriesOf(stack.database, order.organization_id);
    assert.deepEqual(kept.map((row) => [row.status, row.result.outcome]), [
      ["succeeded", "created"],
      ["succeeded", "updated"],
      ["succeeded", "unchanged"],
    ]);
  },
);

stackTest(
  "receive-booking takes a number for booking_id, and any word for event_type",
  async (stack) => {
    const organization_id = await stack.organization();
    await stack.eventflow.create({ id: "4711", organization_id, title: "Nummer" });
    const body = {
      booking_id: 4711,
      organization_id,
      event_type: "booking_confirmed",
      extra: { a: [1] },
    };
    const answer = bodyOf(await stack.postEventflow(body));
    assert.deepEqual(
      [answer.booking_id, answer.event_type, answer.sync.outcome],
      ["4711", "confirmed", "created"],
    );
    assert.deepEqual((await deliveryOf(stack.database, answer.delivery_id)).body, body);
  },
);

stackTest(
  "receive-booking says not_found for a booking that EventFlow doesn't know",
  async (stack) => {
    const organization_id = await stack.organization();
    const before = await domainRows(stack.database);
    const answer = bodyOf(await stack.postEventflow({ booking_id: "nobody", organization_id }));
    assert.equal(answer.sync.outcome, "not_found");
    assert.deepEqual(
      [answer.sync.error.code, answer.sync.error.status],
      ["booking_not_found", 404],
    );
    assert.deepEqual(await domainRows(stack.database), before);
  },
);

stackTest(
  "receive-booking cancels on a tombstone that names the booking, and restores it later",
  async (stack) => {
    const order = await bookingOf(stack);
    bodyOf(await stack.postEventflow(order));
    await stack.eventflow.cancel(order.booking_id);
    assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "updated");
    assert.equal(await statusOf(stack, order.organization_id), "CANCELLED");
    await stack.eventflow.patch(order.booking_id, { status: "Bekräftad" });
    assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "updated");
    assert.equal(await statusOf(stack, order.organization_id), "CONFIRMED");
  },
);

stackTest("receive-booking keeps a deleted booking and marks it missing", async (stack) => {
  const order = await bookingOf(stack);
  bodyOf(await stack.postEventflow(order));
  await stack.eventflow.delete(order.booking_id);
  assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "updated");
  const rows = await stack.database.query(
    `select status, source_missing_since is not null as missing from public.bookings
     where organization_id = $1`,
    [order.organization_id],
  );
  assert.deepEqual(rows, [{ status: "CONFIRMED", missing: true }]);
});

for (const header of ["idempotency-key", "webhook-id"]) {
  stackTest(`receive-booking gives the first answer again to the same ${header}`, async (stack) => {
    const order = await bookingOf(stack);
    const key = { [header]: "evt_1" };
    const first = bodyOf(await stack.postEventflow(order, key));
    assert.equal(first.sync.outcome, "created");
    await stack.eventflow.patch(order.booking_id, { title: "Höstfest" });
    const before = await allRows(stack.database);
    const again = bodyOf(await stack.postEventflow(order, key));
    assert.deepEqual(again, first);
    assert.deepEqual(gained(before, await allRows(stack.database)), { "sync.deliveries": 1 });
    const [, copy] = await deliveriesOf(stack.database, order.organization_id);
    assert.deepEqual([copy?.status, copy?.duplicate_of], ["duplicate", first.delivery_id]);
    // Another key is another event.
    const other = bodyOf(await stack.postEventflow(order, { [header]: "evt_2" }));
    assert.equal(other.sync.outcome, "updated");
  });
}

stackTest(
  "receive-booking gives the first answer again after not_found and contradiction too",
  async (stack) => {
    const order = await bookingOf(stack);
    for (
      const [outcome, fault] of [
        ["not_found", { mode: "absent", reason: "archived" }],
        ["contradiction", { mode: "other_booking" }],
      ] as const
    ) {
      await stack.eventflow.setFault({ ...fault, booking_id: order.booking_id });
      const key = { "idempotency-key": fault.mode };
      const first = bodyOf(await stack.postEventflow(order, key));
      assert.equal(first.sync.outcome, outcome);
      assert.deepEqual(bodyOf(await stack.postEventflow(order, key)), first);
    }
  },
);

stackTest("receive-booking takes one key of two organizations for two events", async (stack) => {
  const key = { "idempotency-key": "same" };
  for (const order of [await bookingOf(stack), await bookingOf(stack)]) {
    assert.equal(bodyOf(await stack.postEventflow(order, key)).sync.outcome, "created");
  }
});

stackTest(
  "receive-booking has one effect of ten equal deliveries at the same moment",
  async (stack) => {
    const order = await bookingOf(stack);
    const answers = await sendAtOnce(stack, order, 10, { "idempotency-key": "burst" });
    const ids = new Set(answers.map((answer) => answer.body.delivery_id));
    assert.equal(ids.size, 1, "they all name the first one");
    // Those that came while it was being processed learn that it is.
    assert.deepEqual(answers.slice(0, 9).map(({ status, body }) => [status, body.sync.reason]), [
      ...Array(9).fill([202, "busy"]),
    ]);
    assert.equal(bodyOf(answers[9]!).sync.outcome, "created");
    const kept = await deliveriesOf(stack.database, order.organization_id);
    assert.deepEqual(kept.map((row) => row.status).sort(), [
      ...Array(9).fill("duplicate"),
      "succeeded",
    ]);
  },
);

/** How often a booking was read; reads of other tests' bookings may still be under way. */
async function readsOf(stack: TestStack, bookingId: string): Promise<number> {
  const { requests } = await stack.eventflow.requests();
  return requests.filter(({ query }) => query.booking_id === bookingId).length;
}

stackTest("receive-booking stores a burst of one booking and drops none of it", async (stack) => {
  const order = await bookingOf(stack);
  const answers = await sendAtOnce(stack, order, 8);
  assert.deepEqual(answers.map(({ status }) => status), [...Array(7).fill(202), 200]);
  // Receive-booking itself sees to the seven: one read speaks for all that came before it.
  await eventually("all have succeeded", async () => {
    const kept = await deliveriesOf(stack.database, order.organization_id);
    return kept.filter(({ status }) => status === "succeeded").length === 8;
  });
  assert.equal(await readsOf(stack, order.booking_id), 2);
});

stackTest(
  "receive-booking says busy while the booking is being synced, and reads it once more",
  async (stack) => {
    const order = await bookingOf(stack);
    // That the second finds nothing new is looked into later.
    await stack.database.query(
      "update sync.connections set agreement_waits = '{1 hour}' where organization_id = $1",
      [order.organization_id],
    );
    await stack.eventflow.setFault({ mode: "hold", booking_id: order.booking_id });
    const first = stack.postEventflow(order);
    await untilHeld(stack, 1);
    const second = bodyOf(await stack.postEventflow(order), 202);
    assert.deepEqual(
      [second.accepted, second.sync.outcome, second.sync.reason],
      [true, "deferred", "busy"],
    );
    assert.ok(Date.parse(second.sync.next_attempt_at) <= Date.now());
    await stack.eventflow.clearFaults();
    assert.equal(bodyOf(await first).sync.outcome, "created");
    // The read that began before it does not speak for it: it gets one of its own.
    const kept = await eventually("it is read once more", async () => {
      const row = await deliveryOf(stack.database, second.delivery_id);
      return row.status === "succeeded" && row;
    });
    assert.equal(kept.result.outcome, "unchanged");
    assert.equal(await readsOf(stack, order.booking_id), 2);
  },
);

stackTest(
  "receive-booking keeps everything while the connection is paused, at no attempt's cost",
  async (stack) => {
    const order = await bookingOf(stack);
    const connection = { organization_id: order.organization_id, source: "eventflow" };
    const paused = await stack.service.rpc("pause_connection", { ...connection, reason: "test" });
    assert.equal(paused.error, null);
    const before = await domainRows(stack.database);
    const answer = bodyOf(await stack.postEventflow(order), 202);
    assert.deepEqual([answer.sync.outcome, answer.sync.reason], ["deferred", "paused"]);
    assert.deepEqual(await domainRows(stack.database), before);
    const kept = await deliveryOf(stack.database, answer.delivery_id);
    assert.deepEqual([kept.status, kept.attempts], ["pending", 0]);
    await stack.service.rpc("resume_connection", connection);
    assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "created");
    assert.equal((await deliveryOf(stack.database, answer.delivery_id)).status, "succeeded");
  },
);

stackTest(
  "receive-booking holds what exceeds the budget for cancellations, and says so",
  async (stack) => {
    const order = await bookingOf(stack);
    bodyOf(await stack.postEventflow(order));
    await stack.database.query(
      "update sync.connections set cancel_budget = 0 where organization_id = $1",
      [order.organization_id],
    );
    await stack.eventflow.cancel(order.booking_id);
    const answer = bodyOf(await stack.postEventflow(order));
    assert.equal(answer.sync.outcome, "held");
    assert.equal(await statusOf(stack, order.organization_id), "CONFIRMED");
    assert.equal((await deliveryOf(stack.database, answer.delivery_id)).status, "held");
  },
);

stackTest("receive-booking says stale of a statement that is older than ours", async (stack) => {
  const order = await bookingOf(stack, { version: 5 });
  bodyOf(await stack.postEventflow(order));
  await stack.eventflow.patch(order.booking_id, { title: "Äldre", version: 4 });
  assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "stale");
});
