import assert from "node:assert/strict";
import { assertError, bodyOf, eventually } from "../support/answers.ts";
import { allRows, deliveriesOf, deliveryOf, gained } from "../support/rows.ts";
import { type TestStack, useStack } from "../support/stack.ts";

// Headout's API answers nothing here, so that what the events alone do is seen.
const stackTest = useStack({ environment: { HEADOUT_API_URL: "http://127.0.0.1:9" } });

let nextId = 500_000;

/** An organization, a new booking id, and how to send its events. */
async function partner(stack: TestStack) {
  const organizationId = await stack.organization();
  const bookingId = nextId++;
  async function say(status: string, time: string, id: unknown = bookingId) {
    const eventTimestamp = time.includes("T") ? time : `2024-01-15T${time}`;
    return bodyOf(
      await stack.postHeadout({ bookingId: id, status, eventTimestamp }, organizationId),
    );
  }
  async function booking(): Promise<Record<string, unknown> | undefined> {
    const [row] = await stack.database.query(
      `select status, source_status, is_stub, confirmed_at is not null as confirmed,
         completed_at is not null as completed, cancelled_at is not null as cancelled,
         rejected_at is not null as rejected
       from public.bookings where organization_id = $1`,
      [organizationId],
    );
    return row;
  }
  return { organizationId, bookingId, say, booking };
}

/** Waits until a delivery's re-fetch is still owed: here every attempt fails. */
async function untilOwed(stack: TestStack, deliveryId: string): Promise<void> {
  await eventually("its re-fetch is owed", async () => {
    return (await deliveryOf(stack.database, deliveryId)).status === "pending";
  });
}

stackTest(
  "headout-webhook takes Headout's documented sample and answers as agreed",
  async (stack) => {
    const organizationId = await stack.organization();
    const since = Date.now();
    const answer = bodyOf(
      await stack.postHeadout(
        `{ "bookingId": 123456789, "status": "COMPLETED", "eventTimestamp": "2024-01-15T10:30:00" }`,
        organizationId,
      ),
    );
    const { timestamp, deliveryId, message, ...rest } = answer;
    assert.deepEqual(rest, {
      success: true,
      bookingId: "123456789",
      oldStatus: null,
      newStatus: "CONFIRMED",
      headoutStatus: "COMPLETED",
      outcome: "stub_created",
    });
    assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    assert.ok(Math.abs(Date.parse(timestamp) - since) < 5_000);
    assert.match(message, /^[A-Z].*\.$/);
    assert.equal((await deliveryOf(stack.database, deliveryId)).function, "headout-webhook");
  },
);

const statuses: Readonly<Record<string, readonly [string, string?]>> = {
  UNCAPTURED: ["PENDING"],
  PENDING: ["PENDING"],
  COMPLETED: ["CONFIRMED", "confirmed"],
  CANCELLED: ["CANCELLED", "cancelled"],
  FAILED: ["REJECTED", "rejected"],
  CAPTURE_TIMEDOUT: ["REJECTED", "rejected"],
};
for (const [headout, [ours, dated]] of Object.entries(statuses)) {
  stackTest(
    `headout-webhook makes a stub that is ${ours} of an unknown booking that is ${headout}`,
    async (stack) => {
      const { say, booking } = await partner(stack);
      const answer = await say(headout, "10:30:00");
      assert.deepEqual(
        [answer.oldStatus, answer.newStatus, answer.headoutStatus, answer.outcome],
        [null, ours, headout, "stub_created"],
      );
      assert.deepEqual(await booking(), {
        status: ours,
        source_status: headout,
        is_stub: true,
        confirmed: dated === "confirmed",
        completed: dated === "confirmed",
        cancelled: dated === "cancelled",
        rejected: dated === "rejected",
      });
    },
  );
}

stackTest(
  "headout-webhook follows a reschedule: CANCELLED, PENDING, COMPLETED on one id",
  async (stack) => {
    const { say, booking } = await partner(stack);
    await say("COMPLETED", "10:00:00");
    const answers = [
      await say("CANCELLED", "11:00:00"),
      await say("PENDING", "11:00:01"),
      await say("COMPLETED", "11:00:02"),
    ];
    assert.deepEqual(
      answers.map((each) => [each.oldStatus, each.newStatus, each.outcome]),
      [
        ["CONFIRMED", "CANCELLED", "applied"],
        ["CANCELLED", "PENDING", "applied"],
        ["PENDING", "CONFIRMED", "applied"],
      ],
    );
    assert.deepEqual([(await booking())?.status, (await booking())?.cancelled], [
      "CONFIRMED",
      false,
    ]);
  },
);

stackTest("headout-webhook applies nothing backwards: an older event is stale", async (stack) => {
  const { say, booking } = await partner(stack);
  await say("COMPLETED", "10:00:00");
  const answer = await say("PENDING", "09:59:59");
  assert.deepEqual(
    [answer.oldStatus, answer.newStatus, answer.outcome],
    ["CONFIRMED", "CONFIRMED", "stale"],
  );
  assert.equal((await booking())?.status, "CONFIRMED");
  // It names another status, and clocks repeat an hour each autumn: Headout is asked.
  await untilOwed(stack, answer.deliveryId);
  const same = await say("COMPLETED", "09:59:58");
  assert.equal(same.outcome, "stale");
  assert.equal((await deliveryOf(stack.database, same.deliveryId)).status, "stale");
});

stackTest(
  "headout-webhook decides two events of one second by lifecycle, whichever came first",
  async (stack) => {
    for (const order of [["PENDING", "COMPLETED"], ["COMPLETED", "PENDING"]]) {
      const { say, booking } = await partner(stack);
      const answers = [];
      for (const status of order) answers.push(await say(status, "10:00:00"));
      assert.equal((await booking())?.status, "CONFIRMED", order.join(", "));
      assert.equal(answers[1]?.outcome, order[1] === "COMPLETED" ? "applied" : "stale");
      // Both are put up for a re-fetch: nobody can tell which was first.
      await untilOwed(stack, answers[1]?.deliveryId);
    }
  },
);

stackTest(
  "headout-webhook records an event that leaves REJECTED as a conflict, and keeps the status",
  async (stack) => {
    const { say, booking } = await partner(stack);
    await say("FAILED", "10:00:00");
    const answer = await say("COMPLETED", "11:00:00");
    assert.deepEqual(
      [answer.oldStatus, answer.newStatus, answer.outcome],
      ["REJECTED", "REJECTED", "conflict"],
    );
    assert.equal((await booking())?.status, "REJECTED");
    await untilOwed(stack, answer.deliveryId);
  },
);

stackTest(
  "headout-webhook answers a duplicate with the first answer's statuses, and applies it once",
  async (stack) => {
    const { organizationId, say, booking } = await partner(stack);
    await say("PENDING", "10:00:00");
    const first = await say("COMPLETED", "11:00:00");
    await say("CANCELLED", "12:00:00");
    const before = await allRows(stack.database);
    const again = await say("COMPLETED", "11:00:00");
    assert.equal(again.outcome, "duplicate");
    for (const name of ["bookingId", "oldStatus", "newStatus", "headoutStatus"]) {
      assert.equal(again[name], first[name], name);
    }
    assert.deepEqual(gained(before, await allRows(stack.database)), { "sync.deliveries": 1 });
    assert.equal((await booking())?.status, "CANCELLED");
    const copy = (await deliveriesOf(stack.database, organizationId)).find((row) =>
      row.status === "duplicate"
    );
    assert.deepEqual([copy?.id, copy?.duplicate_of], [again.deliveryId, first.deliveryId]);
  },
);

stackTest(
  "headout-webhook applies the same status again when its time is another",
  async (stack) => {
    const { say } = await partner(stack);
    await say("COMPLETED", "10:00:00");
    const answer = await say("COMPLETED", "10:00:01");
    assert.deepEqual(
      [answer.oldStatus, answer.newStatus, answer.outcome],
      ["CONFIRMED", "CONFIRMED", "applied"],
    );
  },
);

stackTest(
  "headout-webhook has one effect of ten equal events at the same moment",
  async (stack) => {
    const { organizationId, say } = await partner(stack);
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => say("COMPLETED", "10:00:00")),
    );
    const outcomes = answers.map((answer) => answer.outcome).sort();
    assert.deepEqual(outcomes, [...Array(9).fill("duplicate"), "stub_created"]);
    const [rows] = await stack.database.query(
      `select (select count(*)::int from public.bookings where organization_id = $1) as bookings,
       (select count(*)::int from public.booking_history where organization_id = $1) as history`,
      [organizationId],
    );
    assert.deepEqual(rows, { bookings: 1, history: 1 });
  },
);

stackTest(
  "headout-webhook takes ids as numbers and as digits for the same booking",
  async (stack) => {
    const { bookingId, say, organizationId } = await partner(stack);
    await say("PENDING", "10:00:00", bookingId);
    assert.equal((await say("COMPLETED", "10:00:01", String(bookingId))).bookingId, `${bookingId}`);
    assert.equal((await say("COMPLETED", "10:00:01", `00${bookingId}`)).outcome, "duplicate");
    const rows = await stack.database.query(
      "select external_id from public.bookings where organization_id = $1",
      [organizationId],
    );
    assert.deepEqual(rows, [{ external_id: String(bookingId) }]);
  },
);

stackTest(
  "headout-webhook takes Z, offset and fraction off the time, and compares what is left",
  async (stack) => {
    const { say } = await partner(stack);
    await say("PENDING", "2024-01-15T10:00:00Z");
    for (
      const same of ["10:00:00", "10:00:00.000", "10:00:00+05:30", "10:00:00.000Z", "10:00:00-0800"]
    ) {
      assert.equal((await say("PENDING", same)).outcome, "duplicate", same);
    }
    assert.equal((await say("COMPLETED", "10:00:00.5")).outcome, "applied");
    assert.equal((await say("CANCELLED", "10:00:00.25Z")).outcome, "stale");
  },
);

stackTest(
  "headout-webhook holds a cancellation beyond the budget, and keeps the status",
  async (stack) => {
    const { organizationId, say, booking } = await partner(stack);
    await say("COMPLETED", "10:00:00");
    await stack.database.query(
      "update sync.connections set cancel_budget = 0 where organization_id = $1",
      [organizationId],
    );
    // As if a read had shown it: what only events know spends nothing of the budget.
    await stack.database.query(
      "update public.bookings set is_stub = false where organization_id = $1",
      [organizationId],
    );
    const answer = await say("CANCELLED", "11:00:00");
    assert.deepEqual([answer.newStatus, answer.outcome], ["CONFIRMED", "held"]);
    assert.equal((await booking())?.status, "CONFIRMED");
    assert.equal((await deliveryOf(stack.database, answer.deliveryId)).status, "held");
  },
);

stackTest("headout-webhook keeps applying events while the connection is paused", async (stack) => {
  const { organizationId, say } = await partner(stack);
  const connection = { organization_id: organizationId, source: "headout" };
  await stack.service.rpc("pause_connection", { ...connection, reason: "test" });
  const answer = await say("COMPLETED", "10:00:00");
  assert.equal(answer.outcome, "stub_created");
  const kept = await deliveryOf(stack.database, answer.deliveryId);
  assert.deepEqual([kept.status, kept.attempts], ["pending", 0], "the re-fetch waits");
});

stackTest(
  "headout-webhook accepts its own key in x-api-key, and EventFlow's secret nowhere",
  async (stack) => {
    const organizationId = await stack.organization();
    const send = (query: string, headers: Readonly<Record<string, string>> = {}) =>
      stack.post(
        `headout-webhook?organization_id=${organizationId}${query}`,
        { bookingId: nextId++, status: "PENDING", eventTimestamp: "2024-01-15T10:00:00" },
        headers,
      );
    const { headoutWebhookKey, webhookSecret } = stack.keys;
    assert.equal(
      bodyOf(await send("", { "x-api-key": headoutWebhookKey })).outcome,
      "stub_created",
    );
    for (
      const answer of [
        await send("", { "x-api-key": webhookSecret }),
        await send("", { authorization: `Bearer ${webhookSecret}` }),
        await send(`&key=${webhookSecret}`),
      ]
    ) assertError(answer, { status: 401, code: "unauthorized" });
  },
);

stackTest(
  "headout-webhook's key in the URL reaches neither a log line nor the inbox",
  async (stack) => {
    const { organizationId, say } = await partner(stack);
    const answer = await say("COMPLETED", "10:00:00");
    await stack.postHeadout("not json", organizationId);
    const key = stack.keys.headoutWebhookKey;
    const lines = await eventually("its log line", () => {
      const written = stack.lines().filter((line) => line.startsWith("headout-webhook: "));
      return Promise.resolve(written.some((line) => line.includes(answer.deliveryId)) && written);
    });
    assert.deepEqual(lines.filter((line) => line.includes(key) || line.includes("key=")), []);
    const stored = await allRows(stack.database);
    const rows = Object.values(stored).flat().filter((row) => row.includes(key));
    assert.deepEqual(rows, []);
  },
);
