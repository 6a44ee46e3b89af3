import assert from "node:assert/strict";
import { AnswerError, DatabaseError, DatabaseUnavailable } from "../errors.ts";
import { captureLog, post, read, withWallClock } from "../testing.ts";
import { respondJson } from "./respond.ts";
import { type Call, serveCall } from "./serve_call.ts";

function build(answer: (call: Call) => Promise<Response>) {
  const log = captureLog();
  let time = 1_000;
  const handler = serveCall(answer, {
    log,
    now: () => time += 5,
    makeRequestId: () => "made",
  });
  return { handler, log };
}

Deno.test("serveCall() returns the request id and writes one line", async () => {
  const { handler, log } = build(({ note }) => {
    note({ outcome: "updated" });
    return Promise.resolve(respondJson(200, { ok: true }));
  });
  const response = await handler(post({}, { headers: { "x-request-id": "a.B_c-9" } }));
  assert.equal(response.headers.get("x-request-id"), "a.B_c-9");
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  assert.equal(response.headers.get("cache-control"), "no-store");
  assert.deepEqual(log.lines, [{
    level: "info",
    message: "request",
    request_id: "a.B_c-9",
    method: "POST",
    status: 200,
    duration_ms: 5,
    outcome: "updated",
  }]);
});

Deno.test("serveCall() answers an AnswerError as the contract's error", async () => {
  const details = [{ field: "f", code: "c", message: "m" }];
  const { handler, log } = build(() =>
    Promise.reject(
      new AnswerError(503, "sync_paused", "Paused.", { details, retryAfterSeconds: 0.2 }),
    )
  );
  const response = await handler(post({}));
  assert.equal(response.headers.get("retry-after"), "1");
  assert.deepEqual(await read(response), {
    status: 503,
    body: {
      success: false,
      error: { code: "sync_paused", message: "Paused.", status: 503, details },
      request_id: "made",
    },
  });
  assert.equal(log.lines[0]?.level, "error");
  assert.equal(log.lines[0]?.["code"], "sync_paused");
});

Deno.test("serveCall() shows an unknown error only in the log", async () => {
  for (const error of [new RangeError("inner detail"), "a string", null]) {
    const { handler, log } = build(() => Promise.reject(error));
    const response = await handler(post({}));
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /inner|string/);
    assert.equal(log.lines[0]?.["code"], "internal_error");
    assert.equal(log.lines[0]?.["request_id"], "made");
  }
});

for (const method of ["GET", "HEAD", "PUT", "PATCH", "DELETE"]) {
  Deno.test(`serveCall() answers 405 to ${method} with the methods it allows`, async () => {
    const { handler } = build(() => Promise.reject(new Error("reached")));
    const response = await handler(new Request("https://functions.test/", { method }));
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "POST, OPTIONS");
    assert.equal(response.headers.get("x-request-id"), "made");
  });
}

Deno.test("serveCall() closes a body that a refusal leaves unread", async () => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    cancel: () => {
      cancelled = true;
    },
  });
  const { handler } = build(() => Promise.reject(new AnswerError(401, "unauthorized", "No.")));
  assert.equal((await handler(post(body))).status, 401);
  assert.ok(cancelled);
});

Deno.test("serveCall() answers a refusal of what it has read", async () => {
  const { handler } = build(async ({ request }) => {
    await request.text();
    throw new AnswerError(400, "invalid_body", "No.");
  });
  assert.equal((await handler(post({}))).status, 400);
});

Deno.test("serveCall() logs what caused an answer, without its message", async () => {
  const cause = new DatabaseError("receive_delivery", "57P03", "the value is private");
  const { handler, log } = build(() => Promise.reject(new DatabaseUnavailable({ cause })));
  await handler(post({}));
  assert.deepEqual(log.lines[0]?.["cause"], {
    error: "DatabaseError",
    rpc: "receive_delivery",
    database_code: "57P03",
  });
  assert.doesNotMatch(JSON.stringify(log.lines), /private/);
});

Deno.test("serveCall() measures by the monotonic clock", async () => {
  await withWallClock(async (step) => {
    const log = captureLog();
    const handler = serveCall(() => {
      step(-3_600_000);
      return Promise.resolve(respondJson(200, { ok: true }));
    }, { log });
    await handler(post({}));
    const duration = log.lines[0]?.["duration_ms"] as number;
    assert.ok(duration >= 0 && duration < 60_000, `${duration} ms`);
  });
});

Deno.test("serveCall() writes the line of a quiet call at debug, unless something is wrong", async () => {
  for (const [status, level] of [[200, "debug"], [403, "warn"], [503, "error"]] as const) {
    const { handler, log } = build(({ note }) => {
      note({ outcome: "nothing", quiet: true });
      if (status === 200) return Promise.resolve(respondJson(200, { ok: true }));
      throw new AnswerError(status, "c", "m");
    });
    await handler(post({}));
    assert.deepEqual([log.lines[0]?.level, log.lines[0]?.["outcome"]], [level, "nothing"]);
    assert.ok(!("quiet" in log.lines[0]!));
  }
});

Deno.test("serveCall() answers 400 to a Host header of which no URL can be made", async () => {
  const log = captureLog();
  const handle = serveCall(() => Promise.reject(new Error("it was called")), { log });
  for (const host of ["[::", "a b", "x:99999"]) {
    // As Deno.serve makes it; the constructor of Request would refuse the URL.
    const request = { url: `http://${host}/x`, method: "POST", headers: new Headers(), body: null };
    const { status, body } = await read(await handle(request as unknown as Request));
    assert.deepEqual([status, body.error.code], [400, "invalid_host"]);
  }
});
