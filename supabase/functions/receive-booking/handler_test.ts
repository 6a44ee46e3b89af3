import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
import { DatabaseError, DatabaseUnavailable } from "../_shared/errors.ts";
import { ImporterUnavailable } from "../_shared/inbox/importer.ts";
import {
  captureLog,
  DELIVERY,
  fakeImporter,
  fakeInbox,
  finished,
  LEASE,
  megabyte,
  never,
  NOW,
  ORGANIZATION,
  OTHER_ORGANIZATION,
  post,
  read,
  received,
  SECRET,
  stalled,
  withWallClock,
} from "../_shared/testing.ts";
import { createHandler, type ReceiveBookingDeps } from "./handler.ts";

const BODY = { booking_id: "b-1", event_type: "updated" };
const RIGHT = { "x-api-key": SECRET };

/** A handler in its good case; a test breaks one thing. */
function build(changes: Partial<ReceiveBookingDeps> = {}) {
  const inbox = fakeInbox();
  const importer = fakeImporter();
  const log = captureLog();
  const handler = createHandler({
    inbox,
    importer,
    log,
    webhookSecrets: [SECRET],
    organizationId: ORGANIZATION,
    now: () => NOW,
    ...changes,
  });
  return { handler, inbox, importer, log };
}

Deno.test("createHandler() stores the delivery, imports it and answers 200", async () => {
  const changes = { bookings: { created: 1, updated: 0, marked_missing: 0 } };
  const importer = fakeImporter(() =>
    Promise.resolve({ success: true, outcome: "created", changes })
  );
  const { handler, inbox, log } = build({ importer });
  const response = await handler(
    post({ ...BODY, odd: [1] }, { headers: { ...RIGHT, "x-request-id": "req-1", cookie: "c=1" } }),
  );
  assert.equal(response.headers.get("x-request-id"), "req-1");
  assert.deepEqual(await read(response), {
    status: 200,
    body: {
      success: true,
      delivery_id: DELIVERY,
      booking_id: "b-1",
      event_type: "updated",
      sync: { outcome: "created", changes },
    },
  });
  assert.deepEqual(inbox.deliveries, [{
    function: "receive-booking",
    organizationId: ORGANIZATION,
    source: "eventflow",
    externalId: "b-1",
    eventType: "updated",
    eventTimestamp: null,
    headers: { "content-type": "application/json", "x-request-id": "req-1" },
    body: { ...BODY, odd: [1] },
    dedupeKey: null,
    status: "pending",
    lastError: null,
    claim: true,
  }]);
  assert.deepEqual(importer.tasks, [{
    externalId: "b-1",
    source: "eventflow",
    organizationId: ORGANIZATION,
    deliveryId: DELIVERY,
    leaseToken: LEASE,
    requestId: "req-1",
  }]);
  assert.equal(log.lines.length, 1);
  assert.equal(log.lines[0]?.["caller"], "right");
});

for (
  const [given, taken] of [
    ["booking.created", "created"],
    ["booking_cancelled", "cancelled"],
    ["offer", "offer"],
    ["crew.assigned", "crew.assigned"],
    [7, "7"],
    [null, null],
    [undefined, null],
  ] as const
) {
  Deno.test(`createHandler() takes the event type ${given} as ${taken}`, async () => {
    const { handler, inbox } = build();
    const answer = await read(
      await handler(post({ booking_id: "b-1", event_type: given }, { headers: RIGHT })),
    );
    assert.equal(answer.status, 200);
    assert.equal(answer.body.event_type, taken);
    assert.equal(inbox.deliveries[0]?.eventType, taken);
  });
}

Deno.test("createHandler() takes a number as the digits of a booking id", async () => {
  const { handler, importer } = build();
  assert.equal((await handler(post({ booking_id: 42 }, { headers: RIGHT }))).status, 200);
  assert.equal(importer.tasks[0]?.externalId, "42");
});

Deno.test("createHandler() accepts a body without a content type as JSON", async () => {
  const { handler } = build();
  const bytes = new TextEncoder().encode(JSON.stringify(BODY));
  const response = await handler(post(bytes, { headers: { ...RIGHT, "content-type": null } }));
  assert.equal(response.status, 200);
});

const INVALID: readonly (readonly [string, unknown, string, string])[] = [
  ["is not JSON", "{booking", "invalid_json", "body"],
  ["is empty", "", "invalid_json", "body"],
  ["is an array", [BODY], "invalid_body", "body"],
  ["is null", "null", "invalid_body", "body"],
  ["has no booking id", { event_type: "updated" }, "invalid_body", "booking_id"],
  ["has a blank booking id", { booking_id: "  " }, "invalid_body", "booking_id"],
  [
    "has a booking id of 201 characters",
    { booking_id: "b".repeat(201) },
    "invalid_body",
    "booking_id",
  ],
  ["has an object for a booking id", { booking_id: {} }, "invalid_body", "booking_id"],
  ["has a number beyond 2^53", '{"booking_id":9007199254740993}', "invalid_body", "booking_id"],
  ["has half a booking id", { booking_id: 1.5 }, "invalid_body", "booking_id"],
  ["has the id in a prototype", '{"__proto__":{"booking_id":"b-1"}}', "invalid_body", "booking_id"],
  [
    "has a malformed organization",
    { ...BODY, organization_id: "x" },
    "invalid_body",
    "organization_id",
  ],
  ["has a NUL character", { booking_id: "b\0" }, "invalid_body", "booking_id"],
  ["has a lone surrogate", '{"booking_id":"b-1","note":"\\ud800"}', "invalid_body", "note"],
];

for (const [what, body, code, field] of INVALID) {
  Deno.test(`createHandler() keeps the delivery when the body ${what}`, async () => {
    const { handler, inbox, importer } = build();
    const { status, body: answer } = await read(await handler(post(body, { headers: RIGHT })));
    assert.equal(status, 400);
    assert.equal(answer.success, false);
    assert.equal(answer.error.code, code);
    assert.equal(answer.error.details[0].field, field);
    assert.equal(inbox.deliveries.length, 1);
    assert.equal(inbox.deliveries[0]?.status, "invalid");
    assert.equal(inbox.deliveries[0]?.dedupeKey, null);
    assert.equal(inbox.deliveries[0]?.lastError?.["code"], code);
    // What is stored must be storable: no NUL, no lone surrogate.
    assert.doesNotMatch(JSON.stringify(inbox.deliveries[0]?.body), /[^\\]\\u(0000|d800)/);
    assert.equal(importer.tasks.length, 0);
  });
}

for (
  const [what, body, externalId] of [
    ["has a NUL character elsewhere", { ...BODY, note: "\0" }, "b-1"],
    ["has a NUL character in its booking", { booking_id: "b\0" }, null],
    ["has a lone surrogate in its booking", '{"booking_id":"b\\ud800"}', null],
    ["has the sign for lost bytes in a list's booking", [{ booking_id: "b\uFFFD" }], null],
  ] as const
) {
  Deno.test(`createHandler() names ${externalId ?? "nobody"} when the body ${what}`, async () => {
    const { handler, inbox } = build();
    assert.equal((await handler(post(body, { headers: RIGHT }))).status, 400);
    assert.equal(inbox.deliveries[0]?.externalId, externalId);
  });
}

Deno.test("createHandler() keeps keys named like prototypes as what they are", async () => {
  const { handler, inbox } = build();
  const body = '{"booking_id":"b-1","__proto__":{"x":1},"constructor":"y"}';
  assert.equal((await handler(post(body, { headers: RIGHT }))).status, 200);
  assert.equal(JSON.stringify(inbox.deliveries[0]?.body), body);
});

Deno.test("createHandler() answers 415 to another content type and keeps the text", async () => {
  const { handler, inbox } = build();
  const headers = { ...RIGHT, "content-type": "application/x-www-form-urlencoded" };
  const { status, body } = await read(await handler(post("booking_id=b-1", { headers })));
  assert.deepEqual([status, body.error.code], [415, "unsupported_media_type"]);
  assert.deepEqual(inbox.deliveries[0]?.body, { text: "booking_id=b-1" });
});

Deno.test("createHandler() answers 413 by the content length without reading", async () => {
  const { handler, inbox } = build();
  const body = megabyte();
  const headers = { ...RIGHT, "content-length": "1048576" };
  assert.equal((await handler(post(body, { headers }))).status, 413);
  assert.ok(body.pulled() <= 1);
  assert.equal(inbox.deliveries.length, 0);
});

Deno.test("createHandler() answers 413 while a body without a length is streaming", async () => {
  const { handler, inbox } = build();
  const body = megabyte();
  const { status, body: answer } = await read(await handler(post(body, { headers: RIGHT })));
  assert.deepEqual([status, answer.error.code], [413, "body_too_large"]);
  assert.ok(body.pulled() < 20, `${body.pulled()} chunks were read`);
  assert.equal(inbox.deliveries.length, 0);
});

Deno.test("createHandler() answers 405 before anything else", async () => {
  const { handler, inbox } = build();
  const response = await handler(post(undefined, { method: "GET" }));
  assert.equal(response.headers.get("allow"), "POST, OPTIONS");
  assert.deepEqual((await read(response)).body.error.code, "method_not_allowed");
  assert.equal(inbox.deliveries.length, 0);
});

Deno.test("createHandler() answers OPTIONS with CORS", async () => {
  const response = await build().handler(post(undefined, { method: "OPTIONS" }));
  assert.equal(response.status, 204);
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
});

for (
  const [outcome, headers] of [
    ["absent", {}],
    ["wrong", { "x-api-key": "guess" }],
    ["wrong", { authorization: "Bearer guess" }],
    ["wrong", { authorization: `Basic ${SECRET}` }],
  ] as const
) {
  Deno.test(`createHandler() answers 401 and stores nothing for ${JSON.stringify(headers)}`, async () => {
    const { handler, inbox, log } = build();
    const { status, body } = await read(await handler(post("{not even JSON", { headers })));
    assert.deepEqual([status, body.error.code], [401, "unauthorized"]);
    assert.equal(inbox.deliveries.length, 0);
    assert.equal(log.lines[0]?.["caller"], outcome);
    assert.doesNotMatch(JSON.stringify(log.lines), /guess|correct-horse/);
  });
}

Deno.test("createHandler() accepts the previous secret during a rotation, as a bearer too", async () => {
  const { handler } = build({ webhookSecrets: ["new-secret", SECRET] });
  for (const headers of [{ authorization: `Bearer ${SECRET}` }, { "x-api-key": "new-secret" }]) {
    assert.equal((await handler(post(BODY, { headers }))).status, 200);
  }
});

Deno.test("createHandler() accepts a Standard Webhooks signature instead of a secret", async () => {
  const signingSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const { handler, inbox, log } = build({ signingSecrets: [signingSecret] });
  const text = JSON.stringify(BODY);
  const at = new Date();
  const headers = {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(signingSecret).sign("msg_1", at, text),
  };
  assert.equal((await handler(post(text, { headers }))).status, 200);
  assert.equal(inbox.deliveries[0]?.dedupeKey, `receive-booking:${ORGANIZATION}:b-1:msg_1`);
  assert.equal((await handler(post(`${text} `, { headers }))).status, 401);
  assert.equal(log.lines[1]?.["caller"], "wrong");
});

Deno.test("createHandler() answers 403 to another organization and keeps the delivery", async () => {
  const { handler, inbox } = build();
  const { status, body } = await read(
    await handler(post({ ...BODY, organization_id: OTHER_ORGANIZATION }, { headers: RIGHT })),
  );
  assert.deepEqual([status, body.error.code], [403, "organization_mismatch"]);
  assert.equal(inbox.deliveries[0]?.status, "invalid");
});

Deno.test("createHandler() takes the organization of the body in any case of letters", async () => {
  const { handler, inbox } = build();
  const body = { ...BODY, organization_id: ORGANIZATION.toUpperCase() };
  assert.equal((await handler(post(body, { headers: RIGHT }))).status, 200);
  assert.equal(inbox.deliveries[0]?.organizationId, ORGANIZATION);
});

Deno.test("createHandler() answers 400 when nobody names an organization", async () => {
  const { handler } = build({ organizationId: undefined });
  const { status, body } = await read(await handler(post(BODY, { headers: RIGHT })));
  assert.equal(status, 400);
  assert.equal(body.error.details[0].field, "organization_id");
});

Deno.test("createHandler() answers 400 to an organization that does not exist", async () => {
  const inbox = fakeInbox({ receive: () => received({ outcome: "unknown_organization" }) });
  const { handler } = build({ inbox, organizationId: undefined });
  const request = post({ ...BODY, organization_id: ORGANIZATION }, { headers: RIGHT });
  const { status, body } = await read(await handler(request));
  assert.deepEqual([status, body.error.details[0].code], [400, "unknown_organization"]);
});

Deno.test("createHandler() answers 503 when its own organization does not exist", async () => {
  const inbox = fakeInbox({ receive: () => received({ outcome: "unknown_organization" }) });
  const { status, body } = await read(
    await build({ inbox }).handler(post(BODY, { headers: RIGHT })),
  );
  assert.deepEqual([status, body.error.code], [503, "not_configured"]);
  const [{ field, code }] = body.error.details;
  assert.deepEqual([field, code], ["organization_id", "unknown_organization"]);
});

Deno.test("createHandler() answers 202 when the inbox defers the delivery", async () => {
  const nextAttemptAt = "2026-08-04T17:12:00.000Z";
  const inbox = fakeInbox({
    receive: () => received({ outcome: "deferred", reason: "paused", nextAttemptAt }),
  });
  const { handler, importer } = build({ inbox });
  assert.deepEqual(await read(await handler(post(BODY, { headers: RIGHT }))), {
    status: 202,
    body: {
      success: true,
      accepted: true,
      delivery_id: DELIVERY,
      booking_id: "b-1",
      event_type: "updated",
      sync: { outcome: "deferred", reason: "paused", next_attempt_at: nextAttemptAt },
    },
  });
  assert.equal(importer.tasks.length, 0);
});

Deno.test("createHandler() answers a duplicate with the first delivery's answer", async () => {
  const first = "de11be17-0000-4000-8000-00000000000f";
  const result = { outcome: "updated", changes: { bookings: { updated: 1 } } };
  const inbox = fakeInbox({
    receive: () =>
      received({ outcome: "duplicate", duplicateOf: first, status: "succeeded", result }),
  });
  const { handler, importer } = build({ inbox });
  const headers = { ...RIGHT, "idempotency-key": "key-1" };
  const { status, body } = await read(await handler(post(BODY, { headers })));
  assert.equal(status, 200);
  assert.equal(body.delivery_id, first);
  assert.deepEqual(body.sync, result);
  assert.equal(importer.tasks.length, 0);
});

Deno.test("createHandler() takes another booking under the same idempotency key for another event", async () => {
  const { handler, inbox } = build();
  const headers = { ...RIGHT, "idempotency-key": "key-1" };
  await handler(post(BODY, { headers }));
  await handler(post({ ...BODY, booking_id: "b-2" }, { headers }));
  await handler(post(BODY, { headers }));
  const [first, other, again] = inbox.deliveries.map((delivery) => delivery.dedupeKey);
  assert.notEqual(first, other);
  assert.equal(first, again);
});

for (
  const [code, status, outcome, end] of [
    ["booking_not_found", 404, "not_found", "succeeded"],
    ["source_contradiction", 409, "contradiction", "dead"],
  ] as const
) {
  Deno.test(`createHandler() answers 200 ${outcome} when the import ended with ${code}`, async () => {
    const error = { code, message: "m", status, details: [] };
    const delivery = { status: end, next_attempt_at: null };
    const importer = fakeImporter(() => Promise.resolve({ success: false, error, delivery }));
    const { handler, inbox } = build({ importer });
    const answer = await read(await handler(post(BODY, { headers: RIGHT })));
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body.sync, { outcome, changes: {}, error });
    assert.equal(inbox.ends.length, 0);
  });
}

Deno.test("createHandler() answers 202 when the source is down and the import gave it back", async () => {
  const error = { code: "source_unavailable", message: "m", status: 502, details: [] };
  const delivery = { status: "pending", next_attempt_at: "2026-08-04T17:11:10.000Z" } as const;
  const importer = fakeImporter(() => Promise.resolve({ success: false, error, delivery }));
  const { handler, inbox } = build({ importer });
  const { status, body } = await read(await handler(post(BODY, { headers: RIGHT })));
  assert.equal(status, 202);
  assert.equal(body.sync.reason, "source_unavailable");
  assert.equal(body.sync.next_attempt_at, delivery.next_attempt_at);
  assert.equal(inbox.ends.length, 0);
});

Deno.test("createHandler() gives the delivery back itself when the import cannot be called", async () => {
  const importer = fakeImporter(() =>
    Promise.reject(new ImporterUnavailable(429, { retryAfterMs: 7_000 }))
  );
  const { handler, inbox } = build({ importer });
  const { status, body } = await read(await handler(post(BODY, { headers: RIGHT })));
  assert.deepEqual([status, body.sync.reason], [202, "import_unavailable"]);
  assert.equal(body.sync.next_attempt_at, "2026-08-04T17:11:10.000Z");
  assert.equal(inbox.ends[0]?.status, "pending");
  assert.equal(inbox.ends[0]?.retryAfterMs, 7_000);
  assert.equal(inbox.ends[0]?.leaseToken, LEASE);
});

Deno.test("createHandler() answers 200 when the import has ended after all", async () => {
  const result = { outcome: "updated", changes: { bookings: { updated: 1 } } };
  const inbox = fakeInbox({
    finish: () => finished({ finished: false, status: "succeeded", nextAttemptAt: null, result }),
  });
  const importer = fakeImporter(() => Promise.reject(new ImporterUnavailable(0)));
  const { handler } = build({ importer, inbox });
  const { status, body } = await read(await handler(post(BODY, { headers: RIGHT })));
  assert.deepEqual([status, body.sync], [200, result]);
});

Deno.test("createHandler() answers within its budget and a second when nothing ever ends", async () => {
  let aborted = false;
  const importer = fakeImporter((_, signal) => {
    signal.addEventListener("abort", () => aborted = true);
    return never();
  });
  const inbox = fakeInbox({ finish: () => never() });
  const { handler } = build({ importer, inbox, syncBudgetMs: 150, now: Date.now });
  const startedAt = Date.now();
  const { status, body } = await read(await handler(post(BODY, { headers: RIGHT })));
  assert.ok(Date.now() - startedAt < 1_150);
  assert.deepEqual([status, body.sync.reason], [202, "budget_exceeded"]);
  assert.equal(body.sync.next_attempt_at, null);
  assert.ok(aborted);
});

Deno.test("createHandler() stores without claiming when its slots are taken, and calls drain", async () => {
  const inbox = fakeInbox({
    receive: ({ claim }) => received(claim ? {} : { outcome: "deferred", reason: "burst" }),
  });
  const tasks: (() => Promise<void>)[] = [];
  const background = { run: (task: () => Promise<void>) => void tasks.push(task) };
  const { handler, importer } = build({
    inbox,
    inlineSyncLimit: 0,
    background: { ...background, settled: () => Promise.resolve() },
  });
  for (let webhook = 0; webhook < 2; webhook++) {
    const { status, body } = await read(await handler(post(BODY, { headers: RIGHT })));
    assert.deepEqual([status, body.sync.reason], [202, "burst"]);
  }
  assert.equal(importer.tasks.length, 0);
  assert.equal(inbox.ends.length, 0); // one call of the database each
  assert.equal(tasks.length, 1); // one drain for both
});

Deno.test("createHandler() leaves a burst to drain for a while", async () => {
  let time = NOW;
  const inbox = fakeInbox({
    receive: ({ claim }) => received(claim ? {} : { outcome: "deferred", reason: "burst" }),
  });
  let release = () => {};
  const importer = fakeImporter(() =>
    new Promise((resolve) => {
      release = () => resolve({ success: true, outcome: "updated", changes: {} });
    })
  );
  const background = { run: () => {}, settled: () => Promise.resolve() };
  const { handler } = build({ inbox, importer, background, inlineSyncLimit: 1, now: () => time });
  const send = async () => (await handler(post(BODY, { headers: RIGHT }))).status;
  const first = send();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(await send(), 202);
  release();
  assert.equal(await first, 200);
  assert.equal(await send(), 202); // the slot is free again, but the burst may not be over
  time += 5_000;
  const later = send();
  await new Promise((resolve) => setTimeout(resolve));
  release();
  assert.equal(await later, 200);
});

Deno.test("createHandler() answers 429 beyond the requests it can hold, and recovers", async () => {
  const { handler } = build({ requestLimit: 1 });
  const first = handler(post(BODY, { headers: RIGHT }));
  const second = await handler(post(BODY, { headers: RIGHT }));
  assert.equal(second.status, 429);
  assert.equal(second.headers.get("retry-after"), "1");
  assert.equal((await first).status, 200);
  assert.equal((await handler(post(BODY, { headers: RIGHT }))).status, 200);
});

for (
  const [outcome, headers] of [
    ["absent", {}],
    ["wrong", { "x-api-key": "guess" }],
    // Without a signing secret no signature can be right.
    ["absent", { "webhook-signature": "v1,AAAA" }],
  ] as const
) {
  Deno.test(`createHandler() answers 401 without reading the body for ${JSON.stringify(headers)}`, async () => {
    const { handler, log } = build();
    const body = stalled();
    assert.equal((await handler(post(body, { headers }))).status, 401);
    assert.equal(log.lines[0]?.["caller"], outcome);
    assert.deepEqual([body.pulled(), body.cancelled()], [0, true]);
  });
}

const SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/** The headers that sign a text. */
function sign(text: string): Readonly<Record<string, string>> {
  const at = new Date();
  return {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": new Webhook(SIGNING).sign("msg_1", at, text),
  };
}

Deno.test("createHandler() keeps slots for callers with a secret free of unsigned strangers", async () => {
  const { handler, log } = build({
    signingSecrets: [SIGNING],
    requestLimit: 1,
    unprovenLimit: 2,
    syncBudgetMs: 50,
  });
  const strange = { ...sign("another body"), "x-api-key": "guess" };
  const slow = [1, 2].map(() => handler(post(stalled(), { headers: strange })));
  const third = stalled();
  assert.equal((await handler(post(third, { headers: strange }))).status, 429);
  assert.ok(third.cancelled());
  assert.equal(log.lines[0]?.["caller"], "wrong");
  assert.equal((await handler(post(BODY, { headers: RIGHT }))).status, 200);
  for (const response of await Promise.all(slow)) assert.equal(response.status, 408);
  const text = JSON.stringify(BODY);
  assert.equal((await handler(post(text, { headers: sign(text) }))).status, 200);
});

Deno.test("createHandler() frees the slot of a signed body once it is verified", async () => {
  let release = () => {};
  const importer = fakeImporter(() =>
    new Promise((resolve) => {
      release = () => resolve({ success: true, outcome: "updated", changes: {} });
    })
  );
  const { handler } = build({
    importer,
    signingSecrets: [SIGNING],
    requestLimit: 1,
    unprovenLimit: 1,
  });
  const text = JSON.stringify(BODY);
  const first = handler(post(text, { headers: sign(text) }));
  while (importer.tasks.length === 0) await new Promise((resolve) => setTimeout(resolve));
  assert.equal((await handler(post("{", { headers: sign(text) }))).status, 401);
  // Its import counts among the authenticated requests.
  assert.equal((await handler(post(BODY, { headers: RIGHT }))).status, 429);
  release();
  assert.equal((await first).status, 200);
});

Deno.test("createHandler() answers 503 when the inbox is unreachable, and works when it is back", async () => {
  let down = true;
  const inbox = fakeInbox({
    receive: () => down ? Promise.reject(new DatabaseUnavailable()) : received(),
  });
  const { handler } = build({ inbox });
  for (const body of [BODY, "not JSON"]) {
    const response = await handler(post(body, { headers: RIGHT }));
    assert.ok(Number(response.headers.get("retry-after")) > 0);
    const answer = await read(response);
    assert.deepEqual([answer.status, answer.body.error.code], [503, "inbox_unavailable"]);
  }
  down = false;
  assert.equal((await handler(post(BODY, { headers: RIGHT }))).status, 200);
});

Deno.test("createHandler() answers 503 when the inbox hangs", async () => {
  const inbox = fakeInbox({ receive: () => never() });
  const { handler } = build({ inbox, syncBudgetMs: 100 });
  const { status, body } = await read(await handler(post(BODY, { headers: RIGHT })));
  assert.deepEqual([status, body.error.code], [503, "inbox_unavailable"]);
});

Deno.test("createHandler() answers 500 without saying why, and the log has it", async () => {
  const inbox = fakeInbox({
    receive: () =>
      Promise.reject(new DatabaseError("receive_delivery", "42703", "column x is missing")),
  });
  const { handler, log } = build({ inbox });
  const response = await handler(post(BODY, { headers: { ...RIGHT, "x-request-id": "req-9" } }));
  const text = await response.text();
  assert.equal(response.status, 500);
  assert.doesNotMatch(text, /42703|column|receive_delivery/);
  assert.equal(JSON.parse(text).request_id, "req-9");
  assert.equal(log.lines[0]?.["database_code"], "42703");
  assert.equal(log.lines[0]?.["request_id"], "req-9");
});

Deno.test("createHandler() replaces a request id that is not well formed", async () => {
  const { handler } = build();
  for (const given of ["a b", "x".repeat(129), "<script>"]) {
    const headers = { ...RIGHT, "x-request-id": given };
    const made = (await handler(post(BODY, { headers }))).headers.get("x-request-id");
    assert.match(made ?? "", /^[0-9a-f-]{36}$/);
  }
});

Deno.test("createHandler() keeps to its budget when the wall clock is set", async () => {
  await withWallClock(async (step) => {
    const inbox = fakeInbox({
      receive: () => {
        step(3_600_000);
        return received();
      },
    });
    const importer = fakeImporter();
    const handler = createHandler({
      ...{ inbox, importer, log: captureLog() },
      webhookSecrets: [SECRET],
      organizationId: ORGANIZATION,
    });
    assert.equal((await handler(post(BODY, { headers: RIGHT }))).status, 200);
    assert.equal(importer.tasks.length, 1);
  });
});
