import assert from "node:assert/strict";
import { startTicker, tick, type TickerOptions, untilTimeOfDay } from "./ticker.ts";

function setUp(answer: () => Response) {
  const lines: string[] = [];
  const requests: Request[] = [];
  const controller = new AbortController();
  const options: TickerOptions = {
    url: "http://127.0.0.1:1",
    serviceRoleKey: "key",
    drainEvery: 1,
    incrementalEvery: false,
    nightlyAt: false,
    log: (line) => lines.push(line),
    signal: controller.signal,
    fetch: (input, init) => {
      requests.push(new Request(input, init));
      return Promise.resolve(answer());
    },
  };
  return { lines, requests, controller, options };
}

Deno.test("tick() drains with the service key", async () => {
  const { requests, options, lines } = setUp(() => Response.json({ success: true }));
  assert.equal(await tick("drain", options), true);
  assert.equal(requests[0]?.headers.get("authorization"), "Bearer key");
  assert.deepEqual(await requests[0]?.json(), { syncMode: "drain" });
  assert.deepEqual(lines, []);
});

Deno.test("startTicker() stops quietly when the mode is not supported", async () => {
  const { requests, options, lines } = setUp(() =>
    Response.json({ error: { code: "unsupported_sync_mode" } }, { status: 400 })
  );
  await startTicker(options);
  assert.equal(requests.length, 1);
  assert.deepEqual(lines, []);
});

Deno.test("startTicker() says what went wrong, and goes on until the signal", async () => {
  let calls = 0;
  const { options, lines, controller } = setUp(() => {
    if (++calls === 3) controller.abort();
    return new Response("boom", { status: 500 });
  });
  await startTicker(options);
  assert.equal(calls, 3);
  assert.deepEqual(lines, Array(3).fill("drain answered 500: boom"));
});

Deno.test("untilTimeOfDay() is never none and at most a day", () => {
  const midnight = Date.parse("2026-11-22T00:00:00Z");
  const at = 75 * 60_000;
  assert.equal(untilTimeOfDay(at, midnight), at);
  assert.equal(untilTimeOfDay(at, midnight + at), 86_400_000);
  assert.equal(untilTimeOfDay(at, midnight + at + 1), 86_399_999);
});

Deno.test("startTicker() reconciles and prunes at night", async () => {
  const { options, requests, controller } = setUp(() => {
    if (requests.length === 2) controller.abort();
    return Response.json({ success: true });
  });
  const now = Date.parse("2026-11-22T01:14:59.999Z");
  await startTicker({ ...options, drainEvery: 60_000, nightlyAt: 75 * 60_000, now: () => now });
  assert.deepEqual(requests.map(({ url }) => new URL(url).pathname), [
    "/functions/v1/import-bookings",
    "/rest/v1/rpc/prune_deliveries",
  ]);
  assert.deepEqual(await requests[0]?.json(), { syncMode: "reconcile" });
});

Deno.test("startTicker() vacuums, says what went wrong, and goes on until the signal", async () => {
  let times = 0;
  const { options, lines, controller } = setUp(() => Response.json({ success: true }));
  await startTicker({
    ...options,
    drainEvery: 600_000,
    vacuumEvery: 1,
    vacuum() {
      times += 1;
      if (times === 1) return Promise.reject(new Error("disk full"));
      controller.abort();
      return Promise.resolve();
    },
  });
  assert.equal(times, 2);
  assert.deepEqual(lines, ["vacuum failed: disk full"]);
});
