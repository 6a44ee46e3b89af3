import assert from "node:assert/strict";
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { DatabaseError, DatabaseUnavailable } from "../_shared/errors.ts";
import { createBackground } from "../_shared/http/background.ts";
import { createJwtVerifier, KeysUnavailable } from "../_shared/http/jwt.ts";
import {
  applied,
  captureLog,
  DELIVERY,
  fakeImporter,
  fakeInbox,
  LEASE,
  megabyte,
  never,
  NOW,
  ORGANIZATION,
  OTHER_ORGANIZATION,
  post,
  read,
  received,
  stalled,
  withWallClock,
} from "../_shared/testing.ts";
import { createHandler, type HeadoutWebhookDeps } from "./handler.ts";

const BODY = { bookingId: 123456789, status: "COMPLETED", eventTimestamp: "2024-01-15T10:30:00" };
const KEY = "the-key-in-the-webhook-url";
const URL_WITH_KEY = `https://functions.test/headout-webhook?key=${KEY}`;
const RIGHT = { url: URL_WITH_KEY };

/** A handler in its good case; a test breaks one thing. */
function build(changes: Partial<HeadoutWebhookDeps> = {}) {
  const inbox = fakeInbox();
  const importer = fakeImporter();
  const log = captureLog();
  const background = createBackground();
  const handler = createHandler({
    inbox,
    importer,
    log,
    background,
    webhookKey: KEY,
    organizationId: ORGANIZATION,
    now: () => NOW,
    ...changes,
  });
  return { handler, inbox, importer, log, background };
}

Deno.test("createHandler() applies the event, answers 200 and re-fetches after the answer", async () => {
  const { handler, inbox, importer, log, background } = build();
  const headers = { "x-request-id": "req-1", "user-agent": "Headout", "x-api-key": "nonsense" };
  assert.deepEqual(await read(await handler(post({ ...BODY, odd: 1 }, { ...RIGHT, headers }))), {
    status: 200,
    body: {
      success: true,
      message: "The status has been applied.",
      bookingId: "123456789",
      oldStatus: "PENDING",
      newStatus: "CONFIRMED",
      headoutStatus: "COMPLETED",
      timestamp: "2026-08-04T17:11:00.000Z",
      deliveryId: DELIVERY,
      outcome: "applied",
    },
  });
  assert.deepEqual(inbox.events, [{
    organizationId: ORGANIZATION,
    externalId: "123456789",
    eventType: "COMPLETED",
    eventTimestamp: "2024-01-15T10:30:00",
    headers: {
      "content-type": "application/json",
      "user-agent": "Headout",
      "x-request-id": "req-1",
    },
    body: { ...BODY, odd: 1 },
  }]);
  await background.settled();
  assert.deepEqual(importer.tasks, [{
    externalId: "123456789",
    source: "headout",
    organizationId: ORGANIZATION,
    deliveryId: DELIVERY,
    leaseToken: LEASE,
    requestId: "req-1",
  }]);
  assert.doesNotMatch(JSON.stringify([log.lines, inbox.events]), new RegExp(KEY));
});

Deno.test("createHandler() answers before the re-fetch has ended", async () => {
  const importer = fakeImporter(() => never());
  const { handler, inbox, background } = build({ importer, syncBudgetMs: 50 });
  assert.equal((await handler(post(BODY, RIGHT))).status, 200);
  assert.equal(inbox.ends.length, 0);
  await background.settled();
  assert.equal(inbox.ends[0]?.status, "pending");
});

Deno.test("createHandler() does not re-fetch when the database asks for none", async () => {
  const inbox = fakeInbox({ apply: () => applied({ outcome: "duplicate", leaseToken: null }) });
  const { handler, importer, background } = build({ inbox });
  const { body } = await read(await handler(post(BODY, RIGHT)));
  await background.settled();
  assert.equal(body.outcome, "duplicate");
  assert.equal(importer.tasks.length, 0);
});

for (
  const [given, taken] of [
    ["2024-01-15T10:30:00Z", "2024-01-15T10:30:00"],
    ["2024-01-15T10:30:00+05:30", "2024-01-15T10:30:00"],
    ["2024-01-15T10:30:00.500", "2024-01-15T10:30:00.5"],
    ["2024-01-15T10:30:00.000Z", "2024-01-15T10:30:00"],
    ["2024-01-15T10:30", "2024-01-15T10:30:00"],
  ] as const
) {
  Deno.test(`createHandler() takes the event timestamp ${given} as ${taken}`, async () => {
    const { handler, inbox } = build();
    assert.equal((await handler(post({ ...BODY, eventTimestamp: given }, RIGHT))).status, 200);
    assert.equal(inbox.events[0]?.eventTimestamp, taken);
  });
}

Deno.test("createHandler() takes a booking id in digits", async () => {
  const { handler, inbox } = build();
  assert.equal((await handler(post({ ...BODY, bookingId: "00123" }, RIGHT))).status, 200);
  assert.equal(inbox.events[0]?.externalId, "123");
});

const INVALID: readonly (readonly [string, unknown, readonly string[]])[] = [
  ["is not JSON", "{", ["body"]],
  ["is empty", "", ["body"]],
  ["is a list", [BODY], ["body"]],
  ["is empty of fields", {}, ["bookingId", "status", "eventTimestamp"]],
  ["has an unknown status", { ...BODY, status: "DONE" }, ["status"]],
  ["has a status named constructor", { ...BODY, status: "constructor" }, ["status"]],
  ["has a number for a status", { ...BODY, status: 1 }, ["status"]],
  ["has a booking id of zero", { ...BODY, bookingId: 0 }, ["bookingId"]],
  ["has a negative booking id", { ...BODY, bookingId: -5 }, ["bookingId"]],
  ["has half a booking id", { ...BODY, bookingId: 1.5 }, ["bookingId"]],
  ["has letters in its booking id", { ...BODY, bookingId: "12a" }, ["bookingId"]],
  ["has a huge booking id", { ...BODY, bookingId: "9007199254740993" }, ["bookingId"]],
  ["has the booking id true", { ...BODY, bookingId: true }, ["bookingId"]],
  ["has a day that does not exist", { ...BODY, eventTimestamp: "2024-02-30T10:00:00" }, [
    "eventTimestamp",
  ]],
  ["has the hour 24", { ...BODY, eventTimestamp: "2024-02-03T24:00:00" }, ["eventTimestamp"]],
  ["has a date without time", { ...BODY, eventTimestamp: "2024-02-03" }, ["eventTimestamp"]],
  ["has an epoch for a timestamp", { ...BODY, eventTimestamp: 1705314600 }, ["eventTimestamp"]],
  ["has a NUL character", { ...BODY, note: "\0" }, ["note"]],
];

for (const [what, body, fields] of INVALID) {
  Deno.test(`createHandler() keeps the delivery and answers 400 when the body ${what}`, async () => {
    const { handler, inbox, log } = build();
    const { status, body: answer } = await read(await handler(post(body, RIGHT)));
    assert.equal(status, 400);
    assert.deepEqual(answer.error.details.map((detail: { field: string }) => detail.field), fields);
    assert.equal(inbox.deliveries[0]?.status, "invalid");
    assert.equal(inbox.deliveries[0]?.function, "headout-webhook");
    assert.equal(inbox.events.length, 0);
    assert.doesNotMatch(JSON.stringify([log.lines, inbox.deliveries, answer]), new RegExp(KEY));
  });
}

Deno.test("createHandler() names the booking of an invalid event, so that it is re-fetched", async () => {
  const { handler, inbox } = build();
  assert.equal((await handler(post({ ...BODY, status: "NEW" }, RIGHT))).status, 400);
  assert.equal(inbox.deliveries[0]?.externalId, "123456789");
  assert.equal((await handler(post({ ...BODY, bookingId: "x" }, RIGHT))).status, 400);
  assert.equal(inbox.deliveries[1]?.externalId, null);
});

const bytesOf = (text: string) => new TextEncoder().encode(text);
const NOT_UTF8 = new Uint8Array([0xff]);

/** Refused bodies and the booking that they still name; null for none. */
const NAMED: readonly (readonly [string, unknown, string, string | null])[] = [
  ["has a NUL character elsewhere", { ...BODY, note: "\0" }, "invalid_body", "123456789"],
  ["has a lone surrogate elsewhere", { ...BODY, note: "\ud83d" }, "invalid_body", "123456789"],
  ["has a key that cannot be stored", { ...BODY, "\0": 1 }, "invalid_body", "123456789"],
  [
    "is nested too deep",
    `{"bookingId":17,"a":${"[".repeat(100)}${"]".repeat(100)}}`,
    "invalid_body",
    "17",
  ],
  ["is a list of one event", [BODY], "invalid_body", "123456789"],
  ["is a list of one event with a NUL", [{ ...BODY, note: "\0" }], "invalid_body", "123456789"],
  [
    "has bytes elsewhere that are no UTF-8",
    [bytesOf('{"bookingId":17,"guest":"'), NOT_UTF8, bytesOf('"}')],
    "invalid_json",
    "17",
  ],
  ["is a list of two events", [BODY, BODY], "invalid_body", null],
  ["is an empty list", [], "invalid_body", null],
  ["is a list of a list", [[BODY]], "invalid_body", null],
  ["has a NUL character in its booking", { ...BODY, bookingId: "17\0" }, "invalid_body", null],
  [
    "has bytes in its booking that are no UTF-8",
    [bytesOf('{"bookingId":"17'), NOT_UTF8, bytesOf('"}')],
    "invalid_json",
    null,
  ],
  ["breaks off", '{"bookingId":17,"status":"COMP', "invalid_json", null],
];

for (const [what, body, code, externalId] of NAMED) {
  const meant = externalId === null ? "nobody" : "its booking";
  Deno.test(`createHandler() names ${meant} for a re-fetch when the body ${what}`, async () => {
    const { handler, inbox } = build();
    const chunked = Array.isArray(body) && body[0] instanceof Uint8Array;
    const sent = chunked ? ReadableStream.from(body as Uint8Array[]) : body;
    const answer = await read(await handler(post(sent, RIGHT)));
    assert.deepEqual([answer.status, answer.body.error.code], [400, code]);
    const [kept] = inbox.deliveries;
    assert.deepEqual([kept?.status, kept?.externalId], ["invalid", externalId]);
    assert.deepEqual(Object.keys(kept?.body ?? {}), ["text"]);
  });
}

Deno.test("createHandler() takes a booking id in digits with white space around them", async () => {
  const { handler, inbox } = build();
  for (const bookingId of [" 123 ", "\t123\n"]) {
    assert.equal((await handler(post({ ...BODY, bookingId }, RIGHT))).status, 200);
  }
  assert.deepEqual(inbox.events.map((event) => event.externalId), ["123", "123"]);
  for (const bookingId of ["1 23", " ", " +5 "]) {
    assert.equal((await handler(post({ ...BODY, bookingId }, RIGHT))).status, 400);
  }
});

Deno.test("createHandler() keeps a body of another content type", async () => {
  const { handler, inbox } = build();
  const headers = { "content-type": "text/plain" };
  assert.equal((await handler(post(BODY, { ...RIGHT, headers }))).status, 415);
  assert.deepEqual(inbox.deliveries[0]?.body, { text: JSON.stringify(BODY) });
  // Headout does not repeat a 415 either, and a gateway in between may have changed the header.
  assert.equal(inbox.deliveries[0]?.externalId, "123456789", "it is put up for a re-fetch");
});

Deno.test("createHandler() answers 413 to a megabyte and 405 to a GET", async () => {
  const { handler, inbox } = build();
  const headers = { "content-length": "1048576" };
  assert.equal((await handler(post(megabyte(), { ...RIGHT, headers }))).status, 413);
  assert.equal((await handler(post(megabyte(), RIGHT))).status, 413);
  assert.equal((await handler(post(undefined, { ...RIGHT, method: "GET" }))).status, 405);
  assert.equal(inbox.deliveries.length, 0);
});

for (
  const [outcome, headers, query] of [
    ["absent", {}, ""],
    ["absent", {}, "?key="],
    ["wrong", {}, "?key=guess"],
    ["wrong", { "x-api-key": "guess" }, ""],
    ["wrong", { authorization: `Bearer ${KEY}` }, ""],
  ] as const
) {
  const what = JSON.stringify(headers) + query.replace(KEY, "…");
  Deno.test(`createHandler() answers 401 and stores nothing for ${what}`, async () => {
    const { handler, inbox, log } = build();
    const url = `https://functions.test/${query}`;
    const response = await handler(post("not JSON", { url, headers }));
    assert.equal(response.status, 401);
    assert.equal(inbox.deliveries.length + inbox.events.length, 0);
    assert.equal(log.lines[0]?.["caller"], outcome);
    assert.doesNotMatch(JSON.stringify(log.lines) + await response.text(), /guess/);
  });
}

for (const key of ["a+b/c==", "50%25+off", "100%", "q+'r", "ÅÄ", "a%b+c", "plain"]) {
  Deno.test(`createHandler() takes the key ${key} as it is in the URL, and encoded`, async () => {
    const { handler, log } = build({ webhookKey: key });
    for (const written of [key, encodeURIComponent(key)]) {
      const url = `https://functions.test/?organization_id=&key=${written}`;
      assert.equal((await handler(post(BODY, { url }))).status, 200, written);
    }
    const wrong = `https://functions.test/?other_key=${key}&key=${encodeURIComponent(key)}x`;
    assert.equal((await handler(post(BODY, { url: wrong }))).status, 401);
    assert.ok(!JSON.stringify(log.lines).includes(key));
  });
}

Deno.test("createHandler() answers 401 without reading the body", async () => {
  const { handler } = build();
  for (const url of ["https://functions.test/", "https://functions.test/?key=guess"]) {
    const body = stalled();
    assert.equal((await handler(post(body, { url }))).status, 401);
    assert.deepEqual([body.pulled(), body.cancelled()], [0, true]);
  }
});

Deno.test("createHandler() accepts its key as x-api-key too", async () => {
  const { handler } = build();
  const send = (key: string) => handler(post(BODY, { headers: { "x-api-key": key } }));
  assert.equal((await send(KEY)).status, 200);
  assert.equal((await send("another-key")).status, 401);
});

const { publicKey, privateKey } = await generateKeyPair("ES256");
const jwks = { keys: [{ ...await exportJWK(publicKey), alg: "ES256", kid: "k1" }] };
const seconds = Math.floor(NOW / 1_000);

/** A valid token; a test breaks one thing. */
function token(claims: Readonly<Record<string, unknown>> = {}, key = privateKey): Promise<string> {
  return new SignJWT({ iss: "https://auth.test", aud: "headout", exp: seconds + 60, ...claims })
    .setProtectedHeader({ alg: "ES256", kid: "k1" }).sign(key);
}

const TOKENS: readonly (readonly [string, number, () => string | Promise<string>])[] = [
  ["a right token", 200, () => token()],
  ["a token that expired within the tolerance", 200, () => token({ exp: seconds - 29 })],
  ["an expired token", 401, () => token({ exp: seconds - 31 })],
  ["a token that is not yet valid", 401, () => token({ nbf: seconds + 60 })],
  ["a token of another issuer", 401, () => token({ iss: "https://evil.test" })],
  ["a token for another audience", 401, () => token({ aud: "others" })],
  ["a token without an audience", 401, () => token({ aud: undefined })],
  ["a token of another key", 401, async () => {
    return await token({}, (await generateKeyPair("ES256")).privateKey);
  }],
  [
    "a token with alg none",
    401,
    () =>
      new UnsecuredJWT({ iss: "https://auth.test", aud: "headout", exp: seconds + 60 }).encode(),
  ],
  [
    "a token signed with the public key as a secret",
    401,
    () =>
      new SignJWT({ iss: "https://auth.test", aud: "headout" }).setProtectedHeader({ alg: "HS256" })
        .sign(new TextEncoder().encode(JSON.stringify(jwks.keys[0]))),
  ],
  ["no token at all", 401, () => "a.b.c"],
];

for (const [what, expected, make] of TOKENS) {
  Deno.test(`createHandler() answers ${expected} to ${what}`, async () => {
    const verifyJwt = createJwtVerifier({
      jwks,
      issuer: "https://auth.test",
      audience: "headout",
      now: () => NOW,
    });
    const { handler, inbox, log } = build({ verifyJwt });
    const headers = { authorization: `Bearer ${await make()}` };
    assert.equal((await handler(post(BODY, { headers }))).status, expected);
    assert.equal(inbox.events.length, expected === 200 ? 1 : 0);
    assert.equal(log.lines[0]?.["caller"], expected === 200 ? "right" : "wrong");
  });
}

Deno.test("createHandler() answers 503 when the keys of a token are unreachable", async () => {
  const { handler } = build({ verifyJwt: () => Promise.reject(new KeysUnavailable()) });
  const headers = { authorization: `Bearer ${await token()}` };
  assert.equal((await handler(post(BODY, { headers }))).status, 503);
  // A right key in the URL needs no token.
  assert.equal((await handler(post(BODY, { ...RIGHT, headers }))).status, 200);
});

Deno.test("createHandler() takes the organization from the URL, else leaves it to the database", async () => {
  const { handler, inbox } = build({ organizationId: undefined });
  await handler(post(BODY, { url: `${URL_WITH_KEY}&organization_id=${OTHER_ORGANIZATION}` }));
  await handler(post(BODY, RIGHT));
  assert.deepEqual(inbox.events.map((event) => event.organizationId), [OTHER_ORGANIZATION, null]);
  const malformed = await handler(post(BODY, { url: `${URL_WITH_KEY}&organization_id=x` }));
  const { error } = (await read(malformed)).body;
  assert.equal(error.code, "not_configured");
  assert.deepEqual(error.details.map(fieldAndCode), [["organization_id", "invalid"]]);
});

for (
  const [organizationId, outcome, code] of [
    // Several tenants, or none, or the only connection is disabled.
    [undefined, "not_configured", "required"],
    [ORGANIZATION, "unknown_organization", "unknown_organization"],
  ] as const
) {
  Deno.test(`createHandler() answers 503 and ${code} when no connection takes the event`, async () => {
    const inbox = fakeInbox({
      apply: () => undefined,
      receive: () => received({ outcome, organizationId: null }),
    });
    const { handler } = build({ inbox, organizationId });
    for (const body of [BODY, {}]) {
      const answer = await read(await handler(post(body, RIGHT)));
      assert.deepEqual([answer.status, answer.body.error.code], [503, "not_configured"]);
      assert.deepEqual(answer.body.error.details.map(fieldAndCode), [["organization_id", code]]);
    }
  });
}

function fieldAndCode({ field, code }: { readonly field: string; readonly code: string }) {
  return [field, code];
}

Deno.test("createHandler() answers 503 when the inbox is down, and works when it is back", async () => {
  let down = true;
  const inbox = fakeInbox({
    apply: () => down ? Promise.reject(new DatabaseUnavailable()) : applied(),
    receive: () => down ? Promise.reject(new DatabaseUnavailable()) : received(),
  });
  const { handler } = build({ inbox });
  for (const body of [BODY, "not JSON"]) {
    const response = await handler(post(body, RIGHT));
    assert.ok(Number(response.headers.get("retry-after")) > 0);
    assert.equal(response.status, 503);
  }
  down = false;
  assert.equal((await handler(post(BODY, RIGHT))).status, 200);
});

Deno.test("createHandler() answers 500 to a fault of our own", async () => {
  const apply = () => Promise.reject(new DatabaseError("apply_headout_event", "42P01", "no table"));
  const { handler } = build({ inbox: fakeInbox({ apply }) });
  const { status, body } = await read(await handler(post(BODY, RIGHT)));
  assert.deepEqual([status, body.error.code], [500, "internal_error"]);
});

Deno.test("createHandler() refuses to be made without a credential", () => {
  assert.throws(() => build({ webhookKey: undefined }), TypeError);
});

/** Collects what would continue after the answer without running it. */
function idleBackground() {
  const tasks: (() => Promise<void>)[] = [];
  const run = (task: () => Promise<void>) => void tasks.push(task);
  return { tasks, run, settled: () => Promise.resolve() };
}

Deno.test("createHandler() gives back a re-fetch untried when its slots are taken, and calls drain", async () => {
  const background = idleBackground();
  const { handler, inbox, importer } = build({ background, inlineSyncLimit: 0 });
  assert.equal((await handler(post(BODY, RIGHT))).status, 200);
  const [giveBack] = background.tasks;
  assert.equal(background.tasks.length, 2); // and the drain
  await giveBack?.();
  assert.equal(importer.tasks.length, 0);
  const [end] = inbox.ends;
  // Without an error it costs no attempt.
  assert.deepEqual([end?.status, end?.leaseToken, end?.lastError], ["pending", LEASE, undefined]);
});

Deno.test("createHandler() calls drain for a booking that is being read", async () => {
  for (const outcome of ["applied", "duplicate", "stale"] as const) {
    const background = idleBackground();
    const inbox = fakeInbox({ apply: () => applied({ outcome, leaseToken: null }) });
    const { handler } = build({ inbox, background });
    assert.equal((await handler(post(BODY, RIGHT))).status, 200);
    assert.equal(background.tasks.length, outcome === "applied" ? 1 : 0);
  }
});

Deno.test("createHandler() raises the alarm once when the brake holds events", async () => {
  const inbox = fakeInbox({ apply: () => applied({ outcome: "held", leaseToken: null }) });
  const { handler, log } = build({ inbox });
  for (let event = 0; event < 3; event++) {
    assert.equal((await handler(post(BODY, RIGHT))).status, 200);
  }
  const alarms = log.lines.filter(({ level }) => level === "error");
  assert.deepEqual(alarms.map(({ message, held }) => [message, held]), [
    ["the brake holds changes", 1],
  ]);
});

Deno.test("createHandler() measures by the monotonic clock", async () => {
  await withWallClock(async (step) => {
    const inbox = fakeInbox({
      apply: () => {
        step(-3_600_000);
        return applied();
      },
    });
    const log = captureLog();
    const handler = createHandler({
      ...{ inbox, importer: fakeImporter(), log },
      webhookKey: KEY,
      organizationId: ORGANIZATION,
    });
    await handler(post(BODY, RIGHT));
    const line = log.lines.find(({ message }) => message === "request");
    assert.ok((line?.["duration_ms"] as number) >= 0);
  });
});
