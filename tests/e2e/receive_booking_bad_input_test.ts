import assert from "node:assert/strict";
import { assertError } from "../support/answers.ts";
import { testBadInput } from "../support/bad_input.ts";
import { allRows, deliveriesOf, gained } from "../support/rows.ts";
import { useStack } from "../support/stack.ts";

const stackTest = useStack();

testBadInput(stackTest, {
  name: "receive-booking",
  keeps: true,
  path: () => "receive-booking",
  headers: ({ keys }) => ({ "x-api-key": keys.webhookSecret }),
  valid: (organization_id) => ({ booking_id: "17", organization_id }),
  refused: {
    "a call without a credential": () => ({}),
    "a wrong x-api-key": ({ keys }) => ({ headers: { "x-api-key": `${keys.webhookSecret}x` } }),
    "an empty x-api-key": () => ({ headers: { "x-api-key": "" } }),
    "a wrong bearer": () => ({ headers: { authorization: "Bearer wrong" } }),
    "the right secret as Basic": ({ keys }) => ({
      headers: { authorization: `Basic ${keys.webhookSecret}` },
    }),
    "the right secret in the URL": ({ keys }) => ({
      path: `receive-booking?key=${keys.webhookSecret}`,
    }),
    "the service role key": ({ keys }) => ({
      headers: { authorization: `Bearer ${keys.serviceRoleKey}`, apikey: keys.serviceRoleKey },
    }),
    "Headout's key": ({ keys }) => ({ headers: { "x-api-key": keys.headoutWebhookKey } }),
  },
});

const wrong: Readonly<Record<string, readonly [Record<string, unknown>, string]>> = {
  "no booking_id": [{ booking_id: undefined }, "booking_id"],
  "a null booking_id": [{ booking_id: null }, "booking_id"],
  "an empty booking_id": [{ booking_id: "  " }, "booking_id"],
  "a booking_id of 201 characters": [{ booking_id: "x".repeat(201) }, "booking_id"],
  "a boolean booking_id": [{ booking_id: true }, "booking_id"],
  "a list for booking_id": [{ booking_id: ["17"] }, "booking_id"],
  "a fractional booking_id": [{ booking_id: 1.5 }, "booking_id"],
  "a negative booking_id": [{ booking_id: -1 }, "booking_id"],
  "an organization_id that is no uuid": [{ organization_id: "Demo AB" }, "organization_id"],
  "a number for organization_id": [{ organization_id: 7 }, "organization_id"],
  "no organization_id": [{ organization_id: undefined }, "organization_id"],
  "an organization that does not exist": [
    { organization_id: crypto.randomUUID() },
    "organization_id",
  ],
};
for (const [kind, [fields, field]] of Object.entries(wrong)) {
  stackTest(
    `receive-booking answers ${kind} 400 invalid_body, and keeps the delivery`,
    async (stack) => {
      const organizationId = await stack.organization();
      const before = await allRows(stack.database);
      const body = { booking_id: "17", organization_id: organizationId, note: kind, ...fields };
      const answer = await stack.postEventflow(body);
      assertError(answer, { status: 400, code: "invalid_body", fields: [field] });
      assert.deepEqual(gained(before, await allRows(stack.database)), { "sync.deliveries": 1 });
      const kept = (await deliveriesOf(stack.database, null)).at(-1);
      assert.equal(kept?.status, "invalid");
      assert.equal(kept.function, "receive-booking");
      const unknown = kind === "an organization that does not exist";
      assert.equal(kept.last_error.code, unknown ? "unknown_organization" : "invalid_body");
      assert.equal(kept.body.note, kind);
    },
  );
}

stackTest(
  "receive-booking names every bad field at once, and quotes none of their values",
  async (stack) => {
    const answer = await stack.postEventflow({
      booking_id: [],
      organization_id: "anna@example.se",
    });
    assertError(answer, {
      status: 400,
      code: "invalid_body",
      fields: ["booking_id", "organization_id"],
    });
    assert.ok(!JSON.stringify(answer.body).includes("anna"));
  },
);

stackTest("receive-booking refuses no event type: it keeps an unknown one", async (stack) => {
  const organization_id = await stack.organization();
  for (const event_type of ["exploded", 17, { a: 1 }, null, "x".repeat(5_000)]) {
    const booking_id = crypto.randomUUID();
    const answer = await stack.postEventflow({ booking_id, organization_id, event_type });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const kept = (await deliveriesOf(stack.database, organization_id)).at(-1);
    assert.deepEqual(kept?.body.event_type, event_type);
  }
});

stackTest("receive-booking takes a body without a content type for JSON", async (stack) => {
  const organization_id = await stack.organization();
  const body = new TextEncoder().encode(JSON.stringify({ booking_id: "none", organization_id }));
  const answer = await fetch(`${stack.url}/functions/v1/receive-booking`, {
    method: "POST",
    headers: { "x-api-key": stack.keys.webhookSecret },
    body,
  });
  assert.equal((await answer.json()).sync.outcome, "not_found");
});
