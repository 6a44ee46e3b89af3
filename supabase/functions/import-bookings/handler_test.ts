import assert from "node:assert/strict";
import { SignJWT } from "jose";
import type { SingleAnswer, StatedBooking } from "../_shared/source/booking_source.ts";
import { SourceError } from "../_shared/source/source_error.ts";
import { DatabaseUnavailable } from "../_shared/errors.ts";
import { createJwtVerifier } from "../_shared/http/jwt.ts";
import type { SnapshotBatch, Verdict } from "../_shared/sync/booking_store.ts";
import type { ClaimedDelivery, ClaimTask } from "../_shared/sync/delivery_queue.ts";
import {
  captureLog,
  DELIVERY,
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
  stalled,
  withWallClock,
} from "../_shared/testing.ts";
import { fakeRuns, noFiles } from "../_shared/sync/testing_runs.ts";
import { createHandler, type ImportBookingsDeps } from "./handler.ts";

const SERVICE_KEY = "sb_secret_of_the_service_role";
const RIGHT = { authorization: `Bearer ${SERVICE_KEY}` };
const BODY = { booking_id: "b-1", syncMode: "single" };
const CLAIMED = { ...BODY, delivery_id: DELIVERY, lease_token: LEASE };
const CHANGES = { bookings: { created: 0, updated: 1, marked_missing: 0 } };

const STATED: StatedBooking = {
  kind: "stated",
  snapshot: {
    external_id: "b-1",
    fetched_at: "2026-08-04T17:11:00.000Z",
    content_hash: "0".repeat(64),
    booking: { title: "Tält" },
    warnings: [{ field: "status", code: "unknown_status", message: "Parked is no known status." }],
  },
};

/** A handler in its good case; a test breaks one thing. */
function build(changes: Partial<ImportBookingsDeps> & {
  readonly answer?: () => Promise<SingleAnswer>;
  readonly verdict?: Partial<Verdict>;
} = {}) {
  const { answer = () => Promise.resolve(STATED), verdict, ...deps } = changes;
  const reads: { externalId: string; organizationId: string }[] = [];
  const batches: SnapshotBatch[] = [];
  const inbox = fakeInbox();
  const log = captureLog();
  const source = {
    readSingle({ externalId, organizationId }: { externalId: string; organizationId: string }) {
      reads.push({ externalId, organizationId });
      return answer();
    },
    readPage: () => never<never>(),
  };
  const handler = createHandler({
    sources: {
      eventflow: { name: "eventflow", ...source },
      headout: { name: "headout", ...source },
    },
    bookings: {
      applySnapshots(batch) {
        batches.push(batch);
        return Promise.resolve([{
          externalId: "b-1",
          verdict: "updated",
          bookingId: "7",
          changes: CHANGES,
          error: null,
          ...verdict,
        }]);
      },
    },
    inbox,
    queue: {
      claimDeliveries: () => Promise.resolve([]),
      claimRefreshes: () => Promise.resolve([]),
    },
    runs: fakeRuns().store,
    files: noFiles(),
    log,
    serviceKeys: ["legacy-service-role-key", SERVICE_KEY],
    organizationId: ORGANIZATION,
    now: () => NOW,
    ...deps,
  });
  return { handler, inbox, log, reads, batches };
}

Deno.test("createHandler() reads one booking, applies it and answers 200", async () => {
  const { handler, reads, batches, inbox, log } = build();
  const body = { ...CLAIMED, source: "eventflow", organization_id: OTHER_ORGANIZATION };
  assert.deepEqual(await read(await handler(post(body, { headers: RIGHT }))), {
    status: 200,
    body: {
      success: true,
      syncMode: "single",
      booking_id: "b-1",
      organization_id: OTHER_ORGANIZATION,
      outcome: "updated",
      changes: CHANGES,
      warnings: STATED.snapshot.warnings,
      delivery: { status: "succeeded", next_attempt_at: null },
    },
  });
  assert.deepEqual(reads, [{ externalId: "b-1", organizationId: OTHER_ORGANIZATION }]);
  assert.equal(batches[0]?.deliveryId, DELIVERY);
  assert.equal(batches[0]?.leaseToken, LEASE);
  assert.equal(inbox.ends.length, 0); // apply_snapshots has finished the delivery
  assert.equal(log.lines.length, 1);
  assert.doesNotMatch(JSON.stringify(log.lines), /sb_secret|Tält/);
});

for (const verdict of ["created", "unchanged", "stale", "held"] as const) {
  Deno.test(`createHandler() answers 200 with the outcome ${verdict}`, async () => {
    const { handler } = build({ verdict: { verdict } });
    const { status, body } = await read(await handler(post(BODY, { headers: RIGHT })));
    assert.deepEqual([status, body.outcome], [200, verdict]);
  });
}

Deno.test("createHandler() takes a booking id without a mode as single", async () => {
  const { handler } = build();
  const { body } = await read(await handler(post({ booking_id: 42 }, { headers: RIGHT })));
  assert.deepEqual([body.syncMode, body.booking_id, body.organization_id], [
    "single",
    "42",
    ORGANIZATION,
  ]);
});

Deno.test("createHandler() passes dry_run and force on", async () => {
  const changes = [{ table: "bookings", key: "b-1", operation: "updated", fields: {} }];
  const { handler, batches } = build({ verdict: { changes } });
  const request = post({ ...BODY, source: "headout", dry_run: true, force: true }, {
    headers: RIGHT,
  });
  const { body } = await read(await handler(request));
  assert.deepEqual([body.outcome, body.changes], ["dry_run", changes]);
  assert.deepEqual([batches[0]?.dryRun, batches[0]?.force, batches[0]?.source], [
    true,
    true,
    "headout",
  ]);
});

for (const syncMode of ["incremental", "full", "reconcile", undefined]) {
  Deno.test(`createHandler() hands the mode ${syncMode ?? "that is default"} to the runs`, async () => {
    const runs = fakeRuns();
    runs.state.paused = true;
    const { handler } = build({ runs: runs.store });
    const answer = await read(await handler(post({ syncMode }, { headers: RIGHT })));
    assert.deepEqual([answer.status, answer.body.error.code], [503, "sync_paused"]);
  });
}

Deno.test("createHandler() hands the mode drain to the queue", async () => {
  const asked: string[] = [];
  const queue = {
    claimRefreshes: () => Promise.resolve([]),
    claimDeliveries({ source }: ClaimTask) {
      asked.push(source);
      return Promise.resolve([]);
    },
  };
  const { handler } = build({ queue });
  const answer = await read(await handler(post({ syncMode: "drain" }, { headers: RIGHT })));
  assert.deepEqual([answer.status, answer.body.completed, asked], [
    200,
    true,
    ["eventflow", "headout"],
  ]);
});

const INVALID: readonly (readonly [string, unknown, string])[] = [
  ["is not JSON", "{", "body"],
  ["is empty", "", "body"],
  ["is a string", '"b-1"', "body"],
  ["has an unknown mode", { ...BODY, syncMode: "constructor" }, "syncMode"],
  ["has a number for a mode", { ...BODY, syncMode: 1 }, "syncMode"],
  ["has no booking id", { syncMode: "single" }, "booking_id"],
  ["has a huge booking id", { ...BODY, booking_id: "b".repeat(201) }, "booking_id"],
  ["has an unknown source", { ...BODY, source: "__proto__" }, "source"],
  ["has a malformed organization", { ...BODY, organization_id: 1 }, "organization_id"],
  ["has a malformed delivery", { ...BODY, delivery_id: "d" }, "delivery_id"],
  ["has a word for dry_run", { ...BODY, dry_run: "true" }, "dry_run"],
  ["has a dry run with a delivery", { ...CLAIMED, dry_run: true }, "dry_run"],
  ["has a lone surrogate", '{"booking_id":"\\udc00"}', "booking_id"],
];

for (const [what, body, field] of INVALID) {
  Deno.test(`createHandler() answers 400 and reads nothing when the body ${what}`, async () => {
    const { handler, reads } = build();
    const { status, body: answer } = await read(await handler(post(body, { headers: RIGHT })));
    assert.equal(status, 400);
    assert.equal(answer.error.details[0].field, field);
    assert.equal(reads.length, 0);
  });
}

Deno.test("createHandler() answers 400 when nobody names an organization", async () => {
  const { handler, reads } = build({ organizationId: undefined });
  const { status, body } = await read(await handler(post(BODY, { headers: RIGHT })));
  assert.deepEqual([status, body.error.details[0].field], [400, "organization_id"]);
  assert.equal(reads.length, 0);
});

Deno.test("createHandler() answers 413, 415 and 405", async () => {
  const { handler } = build();
  assert.equal((await handler(post(megabyte(), { headers: RIGHT }))).status, 413);
  const headers = { ...RIGHT, "content-type": "text/html" };
  assert.equal((await handler(post(BODY, { headers }))).status, 415);
  assert.equal((await handler(post(undefined, { method: "DELETE" }))).status, 405);
});

for (
  const [outcome, headers] of [
    ["absent", {}],
    ["wrong", { authorization: "Bearer guess" }],
    ["wrong", { apikey: "sb_publishable_key" }],
    ["absent", { "x-api-key": SERVICE_KEY }],
  ] as const
) {
  Deno.test(`createHandler() answers 401 for ${JSON.stringify(headers)}`, async () => {
    const { handler, log, reads } = build();
    assert.equal((await handler(post("not JSON", { headers }))).status, 401);
    assert.equal(log.lines[0]?.["caller"], outcome);
    assert.equal(reads.length, 0);
  });
}

Deno.test("createHandler() answers 401 without reading the body", async () => {
  for (const headers of [{}, { apikey: "guess" }]) {
    const body = stalled();
    assert.equal((await build().handler(post(body, { headers }))).status, 401);
    assert.deepEqual([body.pulled(), body.cancelled()], [0, true]);
  }
});

Deno.test("createHandler() accepts any service key, as apikey too", async () => {
  const { handler } = build();
  for (const headers of [{ apikey: SERVICE_KEY }, { apikey: "legacy-service-role-key" }]) {
    assert.equal((await handler(post(BODY, { headers }))).status, 200);
  }
});

const JWT_SECRET = "super-secret-jwt-token-with-at-least-32-characters-long";

for (
  const [role, secret, expected] of [
    ["service_role", JWT_SECRET, 200],
    ["authenticated", JWT_SECRET, 401],
    ["service_role", `${JWT_SECRET}!`, 401],
  ] as const
) {
  Deno.test(`createHandler() answers ${expected} to a ${role} JWT by ${secret.length} characters`, async () => {
    const verifyJwt = createJwtVerifier({ secret: JWT_SECRET, now: () => NOW });
    const jwt = await new SignJWT({ role }).setProtectedHeader({ alg: "HS256" })
      .setExpirationTime(NOW / 1000 + 600).sign(new TextEncoder().encode(secret));
    const headers = { authorization: `Bearer ${jwt}`, apikey: "sb_publishable_key" };
    assert.equal((await build({ verifyJwt }).handler(post(BODY, { headers }))).status, expected);
    // A JWT that cannot be verified is refused whatever it says.
    assert.equal((await build().handler(post(BODY, { headers }))).status, 401);
  });
}

Deno.test("createHandler() answers 404 with the source's reason and ends the delivery", async () => {
  const answer = () => Promise.resolve({ kind: "absent", reason: "archived" } as const);
  const inbox = fakeInbox({
    finish: () => finished({ status: "succeeded", nextAttemptAt: null }),
  });
  const { handler, batches } = build({ answer, inbox });
  const { status, body } = await read(await handler(post(CLAIMED, { headers: RIGHT })));
  assert.deepEqual([status, body.error.code, body.error.details[0].code], [
    404,
    "booking_not_found",
    "archived",
  ]);
  assert.equal(batches.length, 0); // rule: absence is not a statement
  assert.equal(inbox.ends[0]?.status, "succeeded");
  assert.equal(inbox.ends[0]?.leaseToken, LEASE);
  assert.equal(inbox.ends[0]?.result?.["outcome"], "not_found");
  assert.deepEqual(body.delivery, { status: "succeeded", next_attempt_at: null });
});

const FAILURES: readonly (readonly [SourceError, number, string])[] = [
  [new SourceError("source_contradiction", "m"), 409, "dead"],
  [new SourceError("source_unavailable", "m", { retryAfterMs: 3_000 }), 502, "pending"],
  [new SourceError("source_invalid", "m"), 502, "dead"],
  [new SourceError("source_invalid", "m", { retryable: true }), 502, "pending"],
];

for (const [error, expected, end] of FAILURES) {
  const what = `${error.code}${error.retryable ? "" : " for good"}`;
  Deno.test(`createHandler() answers ${expected} to ${what} and makes the delivery ${end}`, async () => {
    const { handler, inbox, batches } = build({ answer: () => Promise.reject(error) });
    const { status, body } = await read(await handler(post(CLAIMED, { headers: RIGHT })));
    assert.deepEqual([status, body.error.code], [expected, error.code]);
    assert.equal(inbox.ends[0]?.status, end);
    assert.equal(inbox.ends[0]?.lastError?.["code"], error.code);
    assert.equal(inbox.ends[0]?.retryAfterMs ?? undefined, error.retryAfterMs);
    assert.deepEqual(body.delivery, {
      status: "pending",
      next_attempt_at: "2026-08-04T17:11:10.000Z",
    });
    assert.equal(body.error.details.length, 0);
    assert.equal(batches.length, 0);
  });
}

for (
  const [source, verdict, status] of [
    ["eventflow", "created", "succeeded"],
    ["eventflow", "skipped", "succeeded"],
    ["eventflow", "stale", "stale"],
    ["eventflow", "held", "held"],
    ["headout", "stale", "succeeded"],
  ] as const
) {
  Deno.test(`createHandler() says that a delivery of ${source} is ${status} after ${verdict}`, async () => {
    const { handler } = build({ verdict: { verdict } });
    const { body } = await read(await handler(post({ ...CLAIMED, source }, { headers: RIGHT })));
    assert.deepEqual(body.delivery, { status, next_attempt_at: null });
  });
}

Deno.test("createHandler() finishes no delivery and answers none when it was given none", async () => {
  const answer = () => Promise.reject(new SourceError("source_unavailable", "m"));
  const { handler, inbox } = build({ answer });
  const { status, body } = await read(await handler(post(BODY, { headers: RIGHT })));
  assert.deepEqual([status, Object.hasOwn(body, "delivery")], [502, false]);
  assert.equal(inbox.ends.length, 0);
});

Deno.test("createHandler() gives the delivery back when the source does not answer in time", async () => {
  const { handler, inbox } = build({ answer: () => never(), syncBudgetMs: 100 });
  const { status, body } = await read(await handler(post(CLAIMED, { headers: RIGHT })));
  assert.deepEqual([status, body.error.code], [502, "source_unavailable"]);
  assert.equal(inbox.ends[0]?.status, "pending");
});

for (
  const [verdict, expected, code, end] of [
    ["paused", 503, "sync_paused", "pending"],
    ["lease_lost", 503, "lease_lost", undefined],
    ["invalid", 502, "source_invalid", "dead"],
    ["unknown_organization", 400, "invalid_body", "dead"],
  ] as const
) {
  Deno.test(`createHandler() answers ${expected} ${code} to the verdict ${verdict}`, async () => {
    const error = { code: "out_of_range", field: "quantity", message: "m" };
    const { handler, inbox } = build({ verdict: { verdict, error } });
    const { status, body } = await read(await handler(post(CLAIMED, { headers: RIGHT })));
    assert.deepEqual([status, body.error.code], [expected, code]);
    assert.equal(inbox.ends[0]?.status, end);
  });
}

Deno.test("createHandler() answers 503 when the database is unreachable", async () => {
  const { handler } = build({
    bookings: { applySnapshots: () => Promise.reject(new DatabaseUnavailable()) },
  });
  const { status, body } = await read(await handler(post(CLAIMED, { headers: RIGHT })));
  assert.deepEqual([status, body.error.code], [503, "inbox_unavailable"]);
});

Deno.test("createHandler() answers 503 for a source without a key", async () => {
  const { handler, inbox } = build({ sources: {} });
  const { status, body } = await read(await handler(post(CLAIMED, { headers: RIGHT })));
  assert.deepEqual([status, body.error.code], [503, "not_configured"]);
  assert.equal(inbox.ends[0]?.status, "pending");
});

Deno.test("createHandler() keeps to its budget when the wall clock is set", async () => {
  await withWallClock(async (step) => {
    const due: ClaimedDelivery = {
      deliveryId: DELIVERY,
      leaseToken: LEASE,
      organizationId: ORGANIZATION,
      source: "eventflow",
      externalId: "b-1",
      attempts: 1,
    };
    const waiting = [due];
    const queue = {
      claimRefreshes: () => Promise.resolve([]),
      claimDeliveries({ source }: ClaimTask) {
        step(3_600_000);
        return Promise.resolve(source === "eventflow" ? waiting.splice(0) : []);
      },
    };
    const handler = createHandler({
      sources: {
        eventflow: {
          name: "eventflow",
          readSingle: () => Promise.resolve(STATED),
          readPage: () => never<never>(),
        },
      },
      bookings: {
        applySnapshots: () =>
          Promise.resolve([{
            ...{ externalId: "b-1", verdict: "updated", bookingId: "7", changes: {}, error: null },
          }]),
      },
      inbox: fakeInbox(),
      log: captureLog(),
      serviceKeys: [SERVICE_KEY],
      queue,
      runs: fakeRuns().store,
      files: noFiles(),
    });
    const answer = await read(await handler(post({ syncMode: "drain" }, { headers: RIGHT })));
    assert.deepEqual([answer.body.completed, answer.body.counters.succeeded], [true, 1]);
  });
});
