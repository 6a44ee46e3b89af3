import assert from "node:assert/strict";
import type { Snapshot } from "../booking/snapshot.ts";
import { DatabaseError, DatabaseUnavailable } from "../errors.ts";
import { DELIVERY, LEASE, ORGANIZATION, untilAborted } from "../testing.ts";
import { createPostgresBookings } from "./bookings.ts";
import { createRpc } from "./client.ts";
import { createPostgresInbox } from "./inbox.ts";

const END = { deliveryId: DELIVERY, leaseToken: LEASE, status: "pending" } as const;
const FINISHED = {
  delivery_id: DELIVERY,
  finished: true,
  status: "pending",
  attempts: 1,
  next_attempt_at: "2026-08-04T19:11:10.123456+02:00",
  result: null,
  last_error: null,
};

/** The real supabase-js over a fetch that answers, and what it sent. */
function build(respond: (request: Request) => Response | Promise<Response>) {
  const sent: Request[] = [];
  const rpc = createRpc({
    supabaseUrl: new URL("https://project.supabase.test"),
    serviceKeys: ["legacy.jwt.key", "sb_secret_new"],
    fetch: (input, init) => {
      const request = new Request(input, init);
      sent.push(request.clone());
      return Promise.resolve(respond(request));
    },
  });
  return { inbox: createPostgresInbox(rpc), bookings: createPostgresBookings(rpc), sent };
}

function postgresError(status: number, code: string): Response {
  return Response.json({ code, message: 'value "x" is wrong', details: null, hint: null }, {
    status,
  });
}

Deno.test("createPostgresInbox() calls one rpc with every argument by name", async () => {
  const { inbox, sent } = build(() => Response.json([FINISHED]));
  const row = await inbox.finishDelivery({ ...END, retryAfterMs: 7_000 });
  assert.equal(row.nextAttemptAt, "2026-08-04T17:11:10.123Z");
  assert.equal(row.status, "pending");
  assert.equal(sent.length, 1);
  assert.equal(sent[0]?.url, "https://project.supabase.test/rest/v1/rpc/finish_delivery");
  assert.equal(sent[0]?.headers.get("apikey"), "legacy.jwt.key");
  assert.equal(sent[0]?.headers.get("authorization"), "Bearer legacy.jwt.key");
  assert.deepEqual(await sent[0]?.json(), {
    delivery_id: DELIVERY,
    lease_token: LEASE,
    status: "pending",
    last_error: null,
    result: null,
    retry_after_ms: 7_000,
  });
});

for (const outcome of ["not_configured", "unknown_organization"]) {
  Deno.test(`createPostgresInbox() returns undefined for an event that is ${outcome}`, async () => {
    const { inbox } = build(() => Response.json([{ outcome, delivery_id: null }]));
    const event = { organizationId: null, externalId: "1", eventType: "PENDING" };
    const rest = { eventTimestamp: "2024-01-15T10:30:00", headers: {}, body: {} };
    assert.equal(await inbox.applyHeadoutEvent({ ...event, ...rest }), undefined);
  });
}

const UNREACHABLE: readonly (readonly [string, () => Response | Promise<Response>])[] = [
  ["refuses connections", () => Promise.reject(new TypeError("connection refused"))],
  ["is behind a gateway that answers 502", () => new Response("<html>", { status: 502 })],
  ["is behind a gateway that answers 429", () => new Response("slow down", { status: 429 })],
  ...["PGRST000", "PGRST001", "PGRST002", "PGRST003"].map((code) =>
    [`answers ${code}`, () => postgresError(503, code)] as const
  ),
  ...["57P01", "57P03", "08006", "53300", "57014", "40P01"].map((code) =>
    [`answers ${code}`, () => postgresError(500, code)] as const
  ),
];

for (const [what, respond] of UNREACHABLE) {
  Deno.test(`createPostgresInbox() throws DatabaseUnavailable when the database ${what}`, async () => {
    const { inbox, sent } = build(respond);
    await assert.rejects(inbox.finishDelivery(END), DatabaseUnavailable);
    assert.equal(sent.length, 1); // no retry hides behind the caller's time
  });
}

Deno.test("createPostgresInbox() throws DatabaseUnavailable when aborted while the database hangs", async () => {
  const { inbox } = build((request) => untilAborted(request.signal));
  const controller = new AbortController();
  const call = inbox.finishDelivery(END, { signal: controller.signal });
  controller.abort();
  await assert.rejects(call, DatabaseUnavailable);
});

const FAULTS: readonly (readonly [string, () => Response])[] = [
  ["answers 42883", () => postgresError(404, "42883")],
  ["answers PGRST202", () => postgresError(404, "PGRST202")],
  ["answers 23505", () => postgresError(409, "23505")],
  ["answers XX000", () => postgresError(500, "XX000")],
  ["answers no row", () => Response.json([])],
  ["answers two rows", () => Response.json([FINISHED, FINISHED])],
  ["answers an unknown status", () => Response.json([{ ...FINISHED, status: "odd" }])],
  ["answers no instant", () => Response.json([{ ...FINISHED, next_attempt_at: "soon" }])],
];

for (const [what, respond] of FAULTS) {
  Deno.test(`createPostgresInbox() throws DatabaseError when the database ${what}`, async () => {
    await assert.rejects(build(respond).inbox.finishDelivery(END), DatabaseError);
  });
}

Deno.test("createPostgresInbox() keeps refused values out of its error", async () => {
  const { inbox } = build(() => postgresError(400, "22P02"));
  await assert.rejects(
    inbox.finishDelivery(END),
    (error: unknown) =>
      error instanceof DatabaseError && error.code === "22P02" && !error.message.includes('"x"'),
  );
});

Deno.test("createRpc() takes the next key when one is refused, and stays with it", async () => {
  const { inbox, sent } = build((request) =>
    request.headers.get("apikey") === "sb_secret_new"
      ? Response.json([FINISHED])
      : Response.json({ message: "Legacy API keys are disabled" }, { status: 401 })
  );
  await inbox.finishDelivery(END);
  await inbox.finishDelivery(END);
  assert.deepEqual(sent.map((request) => request.headers.get("apikey")), [
    "legacy.jwt.key",
    "sb_secret_new",
    "sb_secret_new",
  ]);
  assert.equal(sent[1]?.headers.get("authorization"), null); // it is not a JWT
});

Deno.test("createRpc() throws DatabaseError when every key is refused", async () => {
  const { inbox } = build(() => Response.json({ message: "no" }, { status: 401 }));
  await assert.rejects(inbox.finishDelivery(END), DatabaseError);
});

const SNAPSHOT: Snapshot = {
  external_id: "b-1",
  fetched_at: "2026-08-04T17:11:00.000Z",
  content_hash: "0".repeat(64),
  booking: {},
};

Deno.test("createPostgresBookings() returns one verdict per snapshot", async () => {
  const row = {
    external_id: "b-1",
    verdict: "created",
    booking_id: 7,
    changes: { bookings: { created: 1 } },
    error: null,
  };
  const { bookings, sent } = build(() => Response.json([row]));
  const batch = {
    organizationId: ORGANIZATION,
    source: "eventflow",
    snapshots: [SNAPSHOT],
  } as const;
  assert.deepEqual(await bookings.applySnapshots(batch), [{
    externalId: "b-1",
    verdict: "created",
    bookingId: "7",
    changes: { bookings: { created: 1 } },
    error: null,
  }]);
  assert.deepEqual(await sent[0]?.json(), {
    organization_id: ORGANIZATION,
    source: "eventflow",
    snapshots: [SNAPSHOT],
    delivery_id: null,
    lease_token: null,
    force: false,
    dry_run: false,
  });
});

Deno.test("createPostgresBookings() refuses more snapshots than PostgREST returns rows", async () => {
  const { bookings, sent } = build(() => Response.json([]));
  const snapshots = Array.from({ length: 1_001 }, () => SNAPSHOT);
  const batch = { organizationId: ORGANIZATION, source: "eventflow", snapshots } as const;
  await assert.rejects(bookings.applySnapshots(batch), TypeError);
  assert.equal(sent.length, 0);
});
