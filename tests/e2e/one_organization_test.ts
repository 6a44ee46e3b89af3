import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { assertError, bodyOf } from "../support/answers.ts";
import { untilIdle } from "../support/idle.ts";
import { allRows, deliveryOf, gained } from "../support/rows.ts";
import { type TestStack, useStack } from "../support/stack.ts";

// An installation that serves one organization, in the middle of a rotation of its secrets.
const ours = "0a9e0c1e-5b1f-4c62-9a55-6a1f5f0a1b2c";
const signingSecret = `whsec_${btoa("a signing secret of 32 characters")}`;
const stackTest = useStack({
  environment: {
    ORGANIZATION_ID: ours,
    WEBHOOK_SECRET: "the-new-secret",
    WEBHOOK_SECRET_PREVIOUS: " the-old-secret\n",
    WEBHOOK_SIGNING_SECRET: signingSecret,
  },
  async seed(database): Promise<void> {
    await database.query("insert into public.organizations (id, name) values ($1, 'The one')", [
      ours,
    ]);
  },
});

/** The headers of the Standard Webhooks specification, by hand. */
function sign(at: Date, payload: string): Record<string, string> {
  const timestamp = String(Math.floor(at.getTime() / 1000));
  const signature = createHmac("sha256", "a signing secret of 32 characters")
    .update(`msg_1.${timestamp}.${payload}`).digest("base64");
  return {
    "webhook-id": "msg_1",
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${signature}`,
  };
}

async function newBooking(stack: TestStack): Promise<string> {
  const booking = await stack.eventflow.create({ organization_id: ours, title: "Vår fest" });
  return String(booking.id);
}

stackTest(
  "receive-booking needs no organization in the body where ORGANIZATION_ID is set",
  async (stack) => {
    const booking_id = await newBooking(stack);
    assert.equal(bodyOf(await stack.postEventflow({ booking_id })).sync.outcome, "created");
    for (const organization_id of [ours, ours.toUpperCase(), null]) {
      const answer = await stack.postEventflow({ booking_id, organization_id });
      assert.equal(bodyOf(answer).sync.outcome, "unchanged");
    }
  },
);

stackTest(
  "receive-booking answers another organization 403 organization_mismatch, and keeps the delivery",
  async (stack) => {
    const organization_id = await stack.organization();
    await untilIdle(stack);
    const before = await allRows(stack.database);
    const answer = await stack.postEventflow({ booking_id: "17", organization_id });
    assertError(answer, {
      status: 403,
      code: "organization_mismatch",
      fields: ["organization_id"],
    });
    assert.deepEqual(gained(before, await allRows(stack.database)), { "sync.deliveries": 1 });
    const [kept] = await stack.database.query<{ id: string }>(
      "select id from sync.deliveries order by received_at desc limit 1",
    );
    const { status, last_error, external_id } = await deliveryOf(stack.database, kept?.id ?? "");
    assert.deepEqual(
      [status, last_error.code, external_id],
      ["invalid", "organization_mismatch", "17"],
    );
  },
);

stackTest(
  "headout-webhook takes every event for ORGANIZATION_ID, whatever the URL names",
  async (stack) => {
    const other = await stack.organization();
    for (const [bookingId, organizationId] of [[901, undefined], [902, other]] as const) {
      const event = { bookingId, status: "PENDING", eventTimestamp: "2024-01-15T10:30:00" };
      assert.equal(bodyOf(await stack.postHeadout(event, organizationId)).outcome, "stub_created");
    }
    const rows = await stack.database.query(
      "select organization_id from public.bookings where external_id in ('901', '902')",
    );
    assert.deepEqual(rows, [{ organization_id: ours }, { organization_id: ours }]);
  },
);

stackTest("import-bookings takes ORGANIZATION_ID for a default only", async (stack) => {
  const booking_id = await newBooking(stack);
  assert.equal(bodyOf(await stack.postImport({ booking_id })).organization_id, ours);
  const organization_id = await stack.organization();
  const theirs = await stack.eventflow.create({ organization_id });
  const answer = bodyOf(await stack.postImport({ booking_id: theirs.id, organization_id }));
  assert.deepEqual([answer.organization_id, answer.outcome], [organization_id, "created"]);
});

stackTest(
  "receive-booking accepts both secrets during a rotation, in either header",
  async (stack) => {
    const booking_id = await newBooking(stack);
    for (const secret of ["the-new-secret", "the-old-secret"]) {
      for (const headers of [{ "x-api-key": secret }, { authorization: `Bearer ${secret}` }]) {
        bodyOf(
          await stack.post("receive-booking", { booking_id }, headers as Record<string, string>),
        );
      }
    }
    const wrong = await stack.post("receive-booking", { booking_id }, {
      "x-api-key": stack.keys.webhookSecret,
    });
    assertError(wrong, { status: 401, code: "unauthorized" });
  },
);

stackTest(
  "a function says at its start that a secret had white space around it, and which",
  async (stack) => {
    bodyOf(await stack.postEventflow({ booking_id: await newBooking(stack) }));
    const warnings = stack.lines().filter((line) => line.includes("WEBHOOK_SECRET_PREVIOUS"));
    assert.ok(warnings.some((line) => line.startsWith("receive-booking: ")));
  },
);

stackTest(
  "receive-booking accepts a Standard Webhooks signature without another credential",
  async (stack) => {
    const body = JSON.stringify({ booking_id: await newBooking(stack) });
    const first = bodyOf(await stack.post("receive-booking", body, sign(new Date(), body)));
    assert.equal(first.sync.outcome, "created");
    // webhook-id is the dedupe key, so the sender's own repetition has no second effect.
    assert.deepEqual(
      bodyOf(await stack.post("receive-booking", body, sign(new Date(), body))),
      first,
    );

    await untilIdle(stack);
    const before = await allRows(stack.database);
    const refused: readonly (readonly [string, Record<string, string>])[] = [
      [body, sign(new Date(Date.now() - 10 * 60_000), body)],
      [body, sign(new Date(Date.now() + 10 * 60_000), body)],
      [`${body} `, sign(new Date(), body)],
      [body, { ...sign(new Date(), body), "webhook-id": "msg_2" }],
      [body, { ...sign(new Date(), body), "webhook-signature": "v1,AAAA" }],
    ];
    for (const [sent, headers] of refused) {
      assertError(await stack.post("receive-booking", sent, headers), {
        status: 401,
        code: "unauthorized",
      });
    }
    assert.deepEqual(await allRows(stack.database), before);
  },
);
