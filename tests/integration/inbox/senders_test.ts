import assert from "node:assert/strict";
import { EVENT_DAY, RIG_DAY } from "../../support/booking_builder.ts";
import { startTestStack, type TestStack, useStack } from "../../support/stack.ts";

// A budget shorter than the source's hanging, and a secret with white space around it.
const test = useStack({
  environment: { SYNC_BUDGET_MS: "1500", WEBHOOK_SECRET: "  spaced-secret \n" },
});
const secret = { "x-api-key": "spaced-secret" };

/** A booking at EventFlow for a fresh organization, and the webhook that names it. */
async function announced(stack: TestStack) {
  const organizationId = await stack.organization();
  const booking = await stack.eventflow.create({
    organization_id: organizationId,
    title: "Sommarfest",
    status: "CONFIRMED",
    rig_up_dates: [RIG_DAY],
    event_dates: [EVENT_DAY],
  });
  const id = String(booking.id);
  return { organizationId, id, body: { booking_id: id, organization_id: organizationId } };
}

function stored(stack: TestStack, organizationId: string) {
  return stack.database.query(
    "select external_id, status::text from public.bookings where organization_id = $1",
    [organizationId],
  );
}

async function delivery(stack: TestStack, id: unknown) {
  const [row] = await stack.database.query(
    `select status, attempts, next_attempt_at is not null as due, last_error ->> 'code' as code
     from sync.deliveries where id = $1`,
    [id],
  );
  return row;
}

test("incident: work beyond the platform's limit: work beyond the budget is answered in time and done later", async (stack) => {
  const { organizationId, id, body } = await announced(stack);
  await stack.eventflow.setFault({ mode: "hang", booking_id: id, seconds: 20 });
  const began = performance.now();
  const answer = await stack.postEventflow(body, secret);
  const took = performance.now() - began;
  assert.equal(answer.status, 202, JSON.stringify(answer.body));
  assert.equal(answer.body.sync.outcome, "deferred");
  assert.ok(took < 5_000, `it took ${took.toFixed(0)} ms`);
  const row = await delivery(stack, answer.body.delivery_id);
  assert.deepEqual([row?.status, row?.due], ["pending", true]);
  // A dead worker's lease ends, and the drain does what was left.
  await stack.eventflow.clearFaults();
  await stack.database.query(
    `update sync.deliveries set next_attempt_at = case status when 'pending' then now() end,
       leased_until = case status when 'processing' then now() - interval '1 s' end
     where id = $1`,
    [answer.body.delivery_id],
  );
  const drained = await stack.postImport({ syncMode: "drain" });
  assert.equal(drained.status, 200, JSON.stringify(drained.body));
  assert.deepEqual(await stored(stack, organizationId), [{ external_id: id, status: "CONFIRMED" }]);
});

test("incident: no credential check: import-bookings does nothing for anyone but the service", async (stack) => {
  const { organizationId, id } = await announced(stack);
  const body = { booking_id: id, syncMode: "single", organization_id: organizationId };
  const keys: readonly Record<string, string>[] = [
    {},
    { authorization: "Bearer wrong" },
    { authorization: `Bearer ${stack.keys.anonKey}` },
    { authorization: `Bearer ${stack.keys.publishableKey}` },
    secret,
    { apikey: "" },
  ];
  for (const headers of keys) {
    const answer = await stack.post("import-bookings", body, headers);
    assert.equal(answer.status, 401, JSON.stringify(headers));
  }
  assert.deepEqual(await stored(stack, organizationId), []);
});

test("incident: recorded but never queued: an event that was recorded is worked on, also when its first try was lost", async (stack) => {
  const { organizationId, id, body } = await announced(stack);
  const key = { ...secret, "idempotency-key": `k-${id}` };
  await stack.eventflow.setFault({ mode: "status", status: 503, booking_id: id, count: null });
  const first = await stack.postEventflow(body, key);
  assert.equal(first.status, 202, JSON.stringify(first.body));
  await stack.eventflow.clearFaults();
  const repeated = await stack.postEventflow(body, key);
  assert.equal(repeated.status, 202, JSON.stringify(repeated.body));
  const row = await delivery(stack, first.body.delivery_id);
  assert.deepEqual([row?.status, row?.due], ["pending", true], "nobody will do it");
  await stack.database.query("update sync.deliveries set next_attempt_at = now() where id = $1", [
    first.body.delivery_id,
  ]);
  await stack.postImport({ syncMode: "drain" });
  assert.deepEqual(await stored(stack, organizationId), [{ external_id: id, status: "CONFIRMED" }]);
  const done = await delivery(stack, first.body.delivery_id);
  assert.equal(done?.status, "succeeded");
});

test("incident: every error was a 400: only what can never succeed is answered 4xx", async (stack) => {
  const { organizationId, id, body } = await announced(stack);
  const passing: readonly Record<string, unknown>[] = [
    { mode: "status", status: 500 },
    { mode: "status", status: 404 },
    { mode: "html" },
    { mode: "truncated" },
    { mode: "rate_limit", retry_after: 1 },
  ];
  for (const fault of passing) {
    await stack.eventflow.setFault({ ...fault, booking_id: id, count: null });
    const answer = await stack.postEventflow(body, secret);
    assert.equal(answer.status, 202, `${JSON.stringify(fault)}: ${JSON.stringify(answer.body)}`);
    await stack.eventflow.clearFaults();
    await stack.database.query(
      `update sync.deliveries set status = 'dead', finished_at = now(), next_attempt_at = null,
         lease_token = null, leased_until = null where external_id = $1 and finished_at is null`,
      [id],
    );
  }
  // An unknown booking is no error of the sender's.
  const unknown = { bookingId: 424242, status: "COMPLETED", eventTimestamp: "2026-06-01T10:00:00" };
  const answer = await stack.postHeadout(unknown, organizationId);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.equal(answer.body.outcome, "stub_created");
});

test("incident: every error was a 400: our own fault is a 5xx, so that the sender tries again", async (stack) => {
  const organizationId = await stack.organization();
  const event = { bookingId: 7, status: "COMPLETED", eventTimestamp: "2026-06-01T10:00:00" };
  await stack.database.exec("alter table sync.deliveries rename to deliveries_gone");
  try {
    const headout = await stack.postHeadout(event, organizationId);
    assert.equal(headout.status, 500, JSON.stringify(headout.body));
    const eventflow = await stack.postEventflow(
      { booking_id: "b", organization_id: organizationId },
      secret,
    );
    assert.equal(eventflow.status, 500, JSON.stringify(eventflow.body));
    for (const { body } of [headout, eventflow]) {
      assert.equal(/deliveries|relation|sync\./.test(JSON.stringify(body)), false, "it leaks");
    }
  } finally {
    await stack.database.exec("alter table sync.deliveries_gone rename to deliveries");
  }
  assert.equal((await stack.postHeadout(event, organizationId)).status, 200);
});

test("incident: white space in a secret: white space around a secret costs nobody two days", async (stack) => {
  const { body } = await announced(stack);
  const right = await stack.postEventflow(body, secret);
  assert.equal(right.status, 200, JSON.stringify(right.body));
  const wrong = await stack.postEventflow(body, { "x-api-key": "spaced-other" });
  assert.equal(wrong.status, 401);
  const said = stack.output().filter((line) => line.includes("WEBHOOK_SECRET"));
  assert.ok(said.some((line) => line.includes("white space")), "nobody is told");
  assert.ok(stack.output().every((line) => !line.includes("spaced-secret")), "it is logged");
});

Deno.test({
  name:
    "incident: migrations that could not be replayed: a function that cannot start says why instead of breaking quietly",
  sanitizeOps: false,
  sanitizeResources: false,
  sanitizeExit: false,
  async fn(): Promise<void> {
    const broken = startTestStack({ environment: { IMPORT_BUDGET_MS: "two minutes" } });
    await assert.rejects(broken, /IMPORT_BUDGET_MS/);
  },
});
