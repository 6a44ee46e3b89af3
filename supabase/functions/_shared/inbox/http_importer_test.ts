import assert from "node:assert/strict";
import { untilAborted } from "../testing.ts";
import { createHttpImporter } from "./http_importer.ts";
import { ImporterUnavailable } from "./importer.ts";

const TASK = {
  externalId: "b-1",
  source: "eventflow",
  organizationId: "o-1",
  deliveryId: "d-1",
  leaseToken: "l-1",
  requestId: "req-1",
} as const;

/** An importer whose calls are answered by `respond`, and what it sent. */
function build(respond: (request: Request) => Response | Promise<Response>) {
  const sent: Request[] = [];
  const importer = createHttpImporter({
    supabaseUrl: new URL("https://project.supabase.test"),
    serviceKey: "service-key",
    fetch: (input, init) => {
      const request = new Request(input, init);
      sent.push(request.clone());
      return Promise.resolve(respond(request));
    },
  });
  return {
    importBooking: () => importer.importBooking(TASK, new AbortController().signal),
    drain: importer.drain,
    sent,
  };
}

function failed(status: number, members: Readonly<Record<string, unknown>> = {}): Response {
  const details = [{ code: "x", message: "m" }];
  const error = { code: "source_unavailable", message: "m", status, details };
  return Response.json({ success: false, error, ...members, request_id: "r" }, { status });
}

Deno.test("createHttpImporter() sends the task with both credentials and the request id", async () => {
  const { importBooking, sent } = build(() =>
    Response.json({ success: true, outcome: "updated", changes: { bookings: {} } })
  );
  assert.deepEqual(await importBooking(), {
    success: true,
    outcome: "updated",
    changes: { bookings: {} },
  });
  const [request] = sent;
  assert.equal(request?.url, "https://project.supabase.test/functions/v1/import-bookings");
  assert.equal(request?.headers.get("authorization"), "Bearer service-key");
  assert.equal(request?.headers.get("apikey"), "service-key");
  assert.equal(request?.headers.get("x-request-id"), "req-1");
  assert.deepEqual(await request?.json(), {
    booking_id: "b-1",
    syncMode: "single",
    source: "eventflow",
    organization_id: "o-1",
    delivery_id: "d-1",
    lease_token: "l-1",
  });
});

Deno.test("createHttpImporter() returns a failure as it was answered, with the delivery", async () => {
  const delivery = { status: "pending", next_attempt_at: "2026-08-04T17:11:10.000Z" };
  assert.deepEqual(await build(() => failed(502, { delivery })).importBooking(), {
    success: false,
    error: {
      code: "source_unavailable",
      message: "m",
      status: 502,
      details: [{ code: "x", message: "m" }],
    },
    delivery,
  });
});

Deno.test("createHttpImporter() does not retry", async () => {
  const { importBooking, sent } = build(() => failed(503));
  await importBooking();
  assert.equal(sent.length, 1);
});

for (
  const [what, respond] of [
    ["cannot be reached", () => Promise.reject(new TypeError("refused"))],
    ["answers the platform's 404", () => Response.json({ code: "NOT_FOUND" }, { status: 404 })],
    ["answers HTML", () => new Response("<html>", { status: 502 })],
    ["answers 200 with another body", () => Response.json({ ok: true })],
    ["answers 200 with an error", () => failed(200)],
    ["answers an unknown state", () => failed(502, { delivery: { status: "odd" } })],
    ["answers a redirect", () => Response.redirect("https://elsewhere.test/")],
  ] as const
) {
  Deno.test(`createHttpImporter() throws when import-bookings ${what}`, async () => {
    await assert.rejects(build(respond).importBooking(), ImporterUnavailable);
  });
}

Deno.test("createHttpImporter() passes on how long the platform asks to wait", async () => {
  const respond = () => new Response("slow down", { status: 429, headers: { "retry-after": "7" } });
  await assert.rejects(
    build(respond).importBooking(),
    (error: unknown) => error instanceof ImporterUnavailable && error.retryAfterMs === 7_000,
  );
});

Deno.test("createHttpImporter() throws the signal's reason when aborted", async () => {
  const controller = new AbortController();
  const importer = createHttpImporter({
    supabaseUrl: new URL("https://project.supabase.test"),
    serviceKey: "k",
    fetch: (input, init) => untilAborted(new Request(input, init).signal),
  });
  const reason = new RangeError("over");
  const answer = importer.importBooking(TASK, controller.signal);
  controller.abort(reason);
  await assert.rejects(answer, reason);
});

Deno.test("createHttpImporter() drains until a drain has nothing more to do at once, ten times at most", async () => {
  for (const [calls, expected] of [[3, 3], [99, 10]] as const) {
    let left: number = calls;
    const sent: unknown[] = [];
    const importer = createHttpImporter({
      supabaseUrl: new URL("https://project.supabase.test"),
      serviceKey: "service-key",
      fetch: async (input, init) => {
        sent.push(await new Request(input, init).json());
        const next = --left > 0 ? { syncMode: "drain" } : null;
        return Response.json({ success: true, completed: next === null, next });
      },
    });
    await importer.drain();
    assert.equal(sent.length, expected);
    assert.deepEqual(sent[0], { syncMode: "drain" });
  }
});

Deno.test("createHttpImporter() leaves a drain that fails to the next scheduled one", async () => {
  const { sent, drain } = build(() => failed(503));
  await drain();
  assert.equal(sent.length, 1);
});

Deno.test("createHttpImporter() ends a drain that is not answered in its time", async () => {
  const sent: Request[] = [];
  const importer = createHttpImporter({
    supabaseUrl: new URL("https://project.supabase.test"),
    serviceKey: "service-key",
    drainTimeoutMs: 20,
    fetch: (input, init) => {
      const request = new Request(input, init);
      sent.push(request);
      return untilAborted(request.signal);
    },
  });
  await importer.drain();
  assert.equal(sent.length, 1);
});
