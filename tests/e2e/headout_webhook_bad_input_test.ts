import assert from "node:assert/strict";
import { assertError, send } from "../support/answers.ts";
import { testBadInput } from "../support/bad_input.ts";
import { allRows, deliveriesOf, gained } from "../support/rows.ts";
import { type TestStack, useStack } from "../support/stack.ts";

const stackTest = useStack();

testBadInput(stackTest, {
  name: "headout-webhook",
  keeps: true,
  refetches: true,
  path: ({ keys }, organizationId) =>
    `headout-webhook?key=${keys.headoutWebhookKey}&organization_id=${organizationId}`,
  headers: () => ({}),
  valid: () => ({ bookingId: 17, status: "COMPLETED", eventTimestamp: "2024-01-15T10:30:00" }),
  refused: {
    "a call without a credential": () => ({ path: "headout-webhook" }),
    "a wrong key in the URL": ({ keys }) => ({
      path: `headout-webhook?key=${keys.headoutWebhookKey}x`,
    }),
    "an empty key in the URL": () => ({ path: "headout-webhook?key=" }),
    "a wrong x-api-key": () => ({ path: "headout-webhook", headers: { "x-api-key": "wrong" } }),
    "EventFlow's secret in x-api-key": ({ keys }) => ({
      path: "headout-webhook",
      headers: { "x-api-key": keys.webhookSecret },
    }),
    "a bearer where no JWT is configured": ({ keys }) => ({
      path: "headout-webhook",
      headers: { authorization: `Bearer ${keys.serviceRoleKey}` },
    }),
  },
});

/** A body with one thing broken, sent to an organization of its own. */
async function sendBroken(stack: TestStack, fields: Readonly<Record<string, unknown>>) {
  const organizationId = await stack.organization();
  const body = {
    bookingId: 17,
    status: "COMPLETED",
    eventTimestamp: "2024-01-15T10:30:00",
    ...fields,
  };
  const before = await allRows(stack.database);
  const answer = await stack.postHeadout(body, organizationId);
  const rows = gained(before, await allRows(stack.database));
  return { answer, rows, kept: await deliveriesOf(stack.database, organizationId) };
}

const anonymous: Readonly<Record<string, unknown>> = {
  "no bookingId": undefined,
  "a null bookingId": null,
  "an empty bookingId": "",
  "a bookingId of letters": "abc",
  "bookingId 0": 0,
  "a negative bookingId": -17,
  "a fractional bookingId": 17.5,
  "a bookingId beyond what is exact": 9007199254740993,
  "a bookingId beyond it in digits": "9007199254740993",
  "a bookingId with a sign": "+17",
  "a boolean bookingId": true,
  "a list for bookingId": [17],
};
for (const [kind, bookingId] of Object.entries(anonymous)) {
  stackTest(
    `headout-webhook answers ${kind} 400 invalid_body, and keeps the delivery`,
    async (stack) => {
      const { answer, rows, kept } = await sendBroken(stack, { bookingId });
      assertError(answer, { status: 400, code: "invalid_body", fields: ["bookingId"] });
      assert.deepEqual(rows, { "sync.deliveries": 1 });
      assert.deepEqual(kept.map((row) => row.status), ["invalid"]);
      assert.equal(kept[0]?.last_error.code, "invalid_body");
    },
  );
}

const named: Readonly<Record<string, readonly [Record<string, unknown>, readonly string[]]>> = {
  "no status": [{ status: undefined }, ["status"]],
  "an unknown status": [{ status: "REFUNDED" }, ["status"]],
  "a status in lower case": [{ status: "completed" }, ["status"]],
  "a number for status": [{ status: 1 }, ["status"]],
  "a null status": [{ status: null }, ["status"]],
  "no eventTimestamp": [{ eventTimestamp: undefined }, ["eventTimestamp"]],
  "a number for eventTimestamp": [{ eventTimestamp: 1705314600 }, ["eventTimestamp"]],
  "an eventTimestamp without a time": [{ eventTimestamp: "2024-01-15" }, ["eventTimestamp"]],
  "a day that does not exist": [{ eventTimestamp: "2024-02-30T10:30:00" }, ["eventTimestamp"]],
  "an hour that does not exist": [{ eventTimestamp: "2024-01-15T24:00:00" }, ["eventTimestamp"]],
  "words for eventTimestamp": [{ eventTimestamp: "yesterday" }, ["eventTimestamp"]],
  "nothing but a bookingId": [{ status: undefined, eventTimestamp: undefined }, [
    "status",
    "eventTimestamp",
  ]],
};
for (const [kind, [fields, bad]] of Object.entries(named)) {
  stackTest(
    `headout-webhook answers ${kind} 400, keeps the delivery and queues a re-fetch`,
    async (stack) => {
      const { answer, rows, kept } = await sendBroken(stack, { ...fields, bookingId: "00123" });
      assertError(answer, { status: 400, code: "invalid_body", fields: bad });
      assert.deepEqual(rows, { "sync.deliveries": 2, "sync.source_states": 1 });
      const invalid = kept.find((row) => row.function === "headout-webhook");
      assert.equal(invalid?.status, "invalid");
      assert.equal(invalid.last_error.code, "invalid_body");
      assert.deepEqual(
        invalid.last_error.details.map((each: { field: string }) => each.field),
        bad,
      );
      assert.equal(invalid.body.bookingId, "00123");
      const refetch = kept.find((row) => row.function === "import-bookings");
      assert.equal(refetch?.status, "pending");
      assert.equal(refetch.external_id, "123");
      assert.ok((refetch.wait ?? 1) <= 0, "it is due at once");
    },
  );
}

const event = { bookingId: " 456 ", status: "COMPLETED", eventTimestamp: "2024-01-15T10:30:00" };
const spoiled: Readonly<Record<string, readonly [string | Uint8Array<ArrayBuffer>, string]>> = {
  "a NUL character beside it": [JSON.stringify({ ...event, note: "\0" }), "invalid_body"],
  "half of an emoji beside it": [JSON.stringify({ ...event, note: "\ud83d" }), "invalid_body"],
  "a list around it": [JSON.stringify([event]), "invalid_body"],
  "a byte beside it that is no UTF-8": [
    new TextEncoder().encode(JSON.stringify({ ...event, note: "?" }))
      .map((byte) => byte === 0x3f ? 0xff : byte),
    "invalid_json",
  ],
};
for (const [kind, [body, code]] of Object.entries(spoiled)) {
  stackTest(
    `headout-webhook answers a booking with ${kind} 400, keeps the delivery and queues a re-fetch`,
    async (stack) => {
      const organizationId = await stack.organization();
      const query = `key=${stack.keys.headoutWebhookKey}&organization_id=${organizationId}`;
      const answer = await send(`${stack.url}/functions/v1/headout-webhook?${query}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      assertError(answer, { status: 400, code });
      const kept = await deliveriesOf(stack.database, organizationId);
      assert.deepEqual(kept.map((row) => [row.function, row.status, row.external_id]).sort(), [
        ["headout-webhook", "invalid", "456"],
        ["import-bookings", "pending", "456"],
      ]);
    },
  );
}

stackTest(
  "headout-webhook takes an unknown organization in its URL for our fault: 503",
  async (stack) => {
    const event = { bookingId: 17, status: "COMPLETED", eventTimestamp: "2024-01-15T10:30:00" };
    const before = await allRows(stack.database);
    for (const organization of [crypto.randomUUID(), "not-a-uuid"]) {
      const answer = await stack.postHeadout(event, organization);
      assertError(answer, {
        status: 503,
        code: "not_configured",
        fields: ["organization_id"],
        retryAfter: true,
      });
    }
    assert.deepEqual(gained(before, await allRows(stack.database)), {});
  },
);

stackTest(
  "headout-webhook cannot guess among several organizations: 503, also for a bad body",
  async (stack) => {
    await stack.organization();
    await stack.organization();
    const before = await allRows(stack.database);
    for (const status of ["COMPLETED", "REFUNDED"]) {
      const answer = await stack.postHeadout({
        bookingId: 17,
        status,
        eventTimestamp: "2024-01-15T10:30:00",
      });
      assertError(answer, {
        status: 503,
        code: "not_configured",
        fields: ["organization_id"],
        retryAfter: true,
      });
    }
    assert.deepEqual(gained(before, await allRows(stack.database)), {});
  },
);

stackTest("headout-webhook takes a body without a content type for JSON", async (stack) => {
  const organizationId = await stack.organization();
  const query = `key=${stack.keys.headoutWebhookKey}&organization_id=${organizationId}`;
  const answer = await send(`${stack.url}/functions/v1/headout-webhook?${query}`, {
    method: "POST",
    body: new TextEncoder().encode(
      `{ "bookingId": 18, "status": "COMPLETED", "eventTimestamp": "2024-01-15T10:30:00" }`,
    ),
  });
  assert.equal(answer.body.outcome, "stub_created", JSON.stringify(answer.body));
});
