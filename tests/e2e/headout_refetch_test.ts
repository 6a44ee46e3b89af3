import assert from "node:assert/strict";
import { bodyOf, eventually } from "../support/answers.ts";
import { untilIdle } from "../support/idle.ts";
import { deliveryOf, type DeliveryRow, domainRows } from "../support/rows.ts";
import { type TestStack, useStack } from "../support/stack.ts";
import { openTap } from "../support/tap.ts";

const budget = 2_000;
const tap = openTap();
const stackTest = useStack({
  environment: {
    HEADOUT_API_URL: `${tap.url}/simulators/headout`,
    SYNC_BUDGET_MS: String(budget),
  },
});
Deno.test.afterAll(() => tap.stop());

async function partner(stack: TestStack, fields: Record<string, unknown> = {}) {
  tap.to(stack.url);
  const organizationId = await stack.organization();
  const booking = await stack.headout.create({
    status: "COMPLETED",
    startDateTime: "2027-06-19T19:30:00",
    product: {
      id: "9101",
      name: "Vasa Museum: Guided Tour",
      variant: { id: "77", name: "English" },
    },
    customersDetails: {
      count: 3,
      customers: [
        {
          personType: "ADULT",
          isPrimary: true,
          inputFields: [
            { id: "NAME", name: "Full name", value: "Ada Lovelace" },
            { id: "EMAIL", name: "Email", value: "ada@example.com" },
          ],
        },
        { personType: "ADULT", isPrimary: false, inputFields: [] },
        { personType: "CHILD", isPrimary: false, inputFields: [] },
      ],
    },
    price: { amount: 540, currencyCode: "SEK" },
    ...fields,
  });
  const bookingId = String(booking.bookingId);
  async function say(status: string, time: string) {
    const event = { bookingId, status, eventTimestamp: `2024-01-15T${time}` };
    return bodyOf(await stack.postHeadout(event, organizationId));
  }
  async function status(): Promise<unknown> {
    const [row] = await stack.database.query<{ status: string }>(
      "select status from public.bookings where organization_id = $1",
      [organizationId],
    );
    return row?.status;
  }
  return { organizationId, bookingId, say, status };
}

/** Waits until nobody works on the delivery any more. */
function untilSettled(stack: TestStack, id: string): Promise<DeliveryRow> {
  return eventually("the re-fetch ends", async () => {
    const row = await deliveryOf(stack.database, id);
    return row.status !== "processing" && row;
  });
}

stackTest("the re-fetch makes a whole booking of the stub, after the answer", async (stack) => {
  const { organizationId, bookingId, say } = await partner(stack);
  const answer = await say("COMPLETED", "10:30:00");
  assert.equal(answer.outcome, "stub_created");
  const kept = await untilSettled(stack, answer.deliveryId);
  assert.equal(kept.status, "succeeded", JSON.stringify(kept));
  assert.equal(kept.last_error, null);
  assert.equal(kept.result.outcome, "stub_created", "the first answer stays");
  assert.equal(kept.result.refetch.outcome, "updated");
  assert.deepEqual(kept.result.refetch.changes.booking_products.created, 3);
  const [booking] = await stack.database.query(
    `select external_id, title, status, is_stub, contact_name, contact_email,
       price_amount::float as price, price_currency,
       (select array_agg(quantity::int order by quantity) from public.booking_products p
        where p.booking_id = b.id and p.parent_external_id is not null) as guests,
       (select array_agg(starts_at at time zone 'Europe/Stockholm') from public.calendar_events c
        where c.booking_id = b.id and c.active)::text as calendar
     from public.bookings b where organization_id = $1`,
    [organizationId],
  );
  assert.deepEqual(booking, {
    external_id: bookingId,
    title: "Vasa Museum: Guided Tour",
    status: "CONFIRMED",
    is_stub: false,
    contact_name: "Ada Lovelace",
    contact_email: "ada@example.com",
    price: 540,
    price_currency: "SEK",
    guests: [1, 2],
    calendar: '{"2027-06-19 19:30:00"}',
  });
});

stackTest(
  "the re-fetch of a known booking that has not changed writes no domain row",
  async (stack) => {
    const { say } = await partner(stack);
    await untilSettled(stack, (await say("COMPLETED", "10:30:00")).deliveryId);
    await untilIdle(stack);
    const answer = await say("COMPLETED", "10:30:01");
    assert.equal(answer.outcome, "applied");
    const before = await domainRows(stack.database);
    const kept = await untilSettled(stack, answer.deliveryId);
    assert.equal(kept.result.refetch.outcome, "unchanged");
    assert.deepEqual(await domainRows(stack.database), before);
  },
);

stackTest(
  "the re-fetch decides a conflict: Headout's own word takes the booking out of REJECTED",
  async (stack) => {
    const { bookingId, say, status } = await partner(stack, { status: "FAILED" });
    await untilSettled(stack, (await say("FAILED", "10:00:00")).deliveryId);
    for (
      const [time, theirs, ours] of [
        ["11:00:00", "FAILED", "REJECTED"],
        ["12:00:00", "COMPLETED", "CONFIRMED"],
      ] as const
    ) {
      await stack.headout.patch(bookingId, { status: theirs });
      const answer = await say("COMPLETED", time);
      assert.deepEqual([answer.outcome, answer.newStatus], ["conflict", "REJECTED"]);
      assert.equal((await untilSettled(stack, answer.deliveryId)).status, "succeeded");
      assert.equal(await status(), ours);
    }
  },
);

stackTest("the re-fetch decides two events of one second", async (stack) => {
  const { say, status } = await partner(stack, { status: "PENDING" });
  await untilSettled(stack, (await say("CANCELLED", "10:00:00")).deliveryId);
  const answer = await say("PENDING", "10:00:00");
  assert.equal(answer.outcome, "stale", "by lifecycle alone it stays cancelled");
  await untilSettled(stack, answer.deliveryId);
  await eventually("it is pending, as Headout says", async () => await status() === "PENDING");
});

const passing: Readonly<Record<string, readonly [Record<string, unknown>, string]>> = {
  "500": [{ mode: "status", status: 500 }, "http_500"],
  "HTML with 200": [{ mode: "html" }, "html_body"],
  "truncated JSON": [{ mode: "truncated" }, "invalid_json"],
  "nothing for 60 s": [{ mode: "hang", seconds: 60 }, "timeout"],
  "429": [{ mode: "rate_limit", retry_after: 120 }, "http_429"],
};
for (const [kind, [fault, why]] of Object.entries(passing)) {
  stackTest(
    `Headout answers ${kind}: the event stands, nothing else changes, we ask again`,
    async (stack) => {
      const { bookingId, say } = await partner(stack);
      await stack.headout.setFault({ ...fault, booking_id: bookingId });
      const answer = await say("COMPLETED", "10:30:00");
      const before = await domainRows(stack.database);
      const kept = await untilSettled(stack, answer.deliveryId);
      await stack.headout.clearFaults();
      assert.deepEqual(await domainRows(stack.database), before);
      assert.deepEqual([kept.status, kept.last_error.code], ["pending", "source_unavailable"]);
      assert.equal(kept.last_error.details[0].code, why);
      const wait = kept.wait ?? 0;
      const [least, most] = kind === "429" ? [100, 120] : [0, 12];
      assert.ok(wait > least && wait <= most, `${wait} s`);
      // The duplicate of an event that waits for its re-fetch is still a duplicate.
      assert.equal((await say("COMPLETED", "10:30:00")).outcome, "duplicate");
    },
  );
}

for (const code of [400, 403, 404]) {
  stackTest(
    `Headout answers ${code}: it cannot be confirmed, which cancels nothing`,
    async (stack) => {
      const { bookingId, say } = await partner(stack);
      const faults = { mode: "status", status: code, booking_id: bookingId };
      await stack.headout.setFault(faults);
      const answer = await say("COMPLETED", "10:30:00");
      const before = await domainRows(stack.database);
      const kept = await untilSettled(stack, answer.deliveryId);
      assert.deepEqual(await domainRows(stack.database), before);
      assert.deepEqual([kept.status, kept.result.refetch.outcome], ["succeeded", "not_found"]);
    },
  );
}

stackTest(
  "Headout answers with another booking: nothing changes, the delivery is dead",
  async (stack) => {
    const { bookingId, say } = await partner(stack);
    await stack.headout.setFault({ mode: "other_booking", booking_id: bookingId });
    const answer = await say("COMPLETED", "10:30:00");
    const before = await domainRows(stack.database);
    const kept = await untilSettled(stack, answer.deliveryId);
    assert.deepEqual(await domainRows(stack.database), before);
    assert.deepEqual([kept.status, kept.last_error.code], ["dead", "source_contradiction"]);
    assert.equal((await say("COMPLETED", "10:30:00")).newStatus, "CONFIRMED");
  },
);

stackTest(
  "Headout refuses connections: the answer is the same, and the re-fetch waits",
  async (stack) => {
    const { say } = await partner(stack);
    await tap.refuse();
    try {
      const answer = await say("COMPLETED", "10:30:00");
      assert.equal(answer.outcome, "stub_created");
      const kept = await untilSettled(stack, answer.deliveryId);
      assert.deepEqual([kept.status, kept.last_error.details[0].code], [
        "pending",
        "network_error",
      ]);
    } finally {
      tap.accept();
    }
  },
);

stackTest(
  "a whole reschedule by Headout's own sender ends CONFIRMED at the new time",
  async (stack) => {
    const { organizationId, bookingId, say, status } = await partner(stack);
    await untilSettled(stack, (await say("COMPLETED", "10:30:00")).deliveryId);
    await stack.headout.request("POST", `/bookings/${bookingId}/reschedule`, {
      startDateTime: "2027-06-20T18:00:00",
      organization_id: organizationId,
    });
    const days = await eventually("the event moves", async () => {
      const rows = await stack.database.query<{ day: string }>(
        `select day from public.calendar_events where organization_id = $1 and active`,
        [organizationId],
      );
      return rows.some(({ day }) => day === "2027-06-20") && rows;
    });
    assert.deepEqual(days, [{ day: "2027-06-20" }]);
    assert.equal(await status(), "CONFIRMED");
  },
);
