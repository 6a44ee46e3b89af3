import { FIXTURE_NOW, testFixtures } from "../source/testing_fixtures.ts";
import assert from "node:assert/strict";
import { withWallClock } from "../testing.ts";
import { createHeadoutClient, type HeadoutClientOptions } from "./client.ts";

const NOW = Date.parse("2026-11-21T12:00:00Z");
const ORGANIZATION = "7d0c2f8e-3a52-4c1e-9a8e-1f6f0a4b5c01";
const single = { externalId: "123", organizationId: ORGANIZATION };

Deno.test("readSingle() asks for the booking with Headout's own header", async () => {
  const { client, requests } = setUp([() => Response.json({ bookingId: "123" })]);
  const answer = await client.readSingle(single);
  assert.deepEqual([answer.kind, answer.bytes], ["stated", '{"bookingId":"123"}'.length]);
  const [request] = requests;
  assert.equal(request?.url, "https://headout.test/api/public/v2/bookings/123/");
  assert.equal(request?.headers.get("headout-auth"), "pk_key");
  assert.equal(request?.headers.get("authorization"), null);
  assert.equal(request?.redirect, "manual");
});

Deno.test("readSingle() asks for nothing but digits: another id would reach another path", async () => {
  const { client, requests } = setUp([]);
  for (const externalId of ["..", "../webhooks?x=1#", "12/34", "", "１２"]) {
    const answer = await client.readSingle({ ...single, externalId });
    assert.deepEqual(answer, { kind: "absent", reason: "not_a_booking_id" });
  }
  assert.equal(requests.length, 0);
});

Deno.test("readSingle() does not try again by itself: the inbox does", async () => {
  const { client, requests } = setUp([() => new Response(null, { status: 503 })]);
  await assert.rejects(client.readSingle(single), { code: "source_unavailable", retryable: true });
  assert.equal(requests.length, 1);
});

for (
  const [code, headers, expected] of [
    [429, { "retry-after": "60" }, 60_000],
    [503, { "retry-after": "60" }, 60_000],
    // An answer that says "later" does not say that the booking cannot be confirmed.
    [404, { "retry-after": "60" }, 60_000],
    // Half a reason is none: the other half may say that the fault is temporary.
    [404, {}, undefined],
  ] as const
) {
  const told = JSON.stringify(headers);
  Deno.test(`readSingle() does not wait for a body that never ends of a ${code} with ${told}`, async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
      cancel: () => {
        cancelled = true;
      },
    });
    const { client } = setUp([() => new Response(body, { status: code, headers })]);
    const startedAt = performance.now();
    await assert.rejects(client.readSingle(single), (error: unknown) => {
      const { code, retryable, retryAfterMs } = error as Record<string, unknown>;
      assert.deepEqual([code, retryable, retryAfterMs], ["source_unavailable", true, expected]);
      return true;
    });
    assert.ok(performance.now() - startedAt < 3_000, "it waited for the body");
    assert.ok(cancelled, "the body was left open");
  });
}

Deno.test("readSingle() takes a 404 with a body for one that cannot be confirmed", async () => {
  for (const body of ['{"error":{"code":"CAL_1404"}}', "<h1>Not found</h1>", ""]) {
    const { client } = setUp([() => new Response(body, { status: 404 })]);
    assert.equal((await client.readSingle(single)).kind, "absent");
  }
});

Deno.test("readSingle() takes a refusal with a huge reason for a temporary one", async () => {
  const { client } = setUp([() => new Response("x".repeat(100_000), { status: 404 })]);
  await assert.rejects(client.readSingle(single), { code: "source_unavailable", retryable: true });
});

Deno.test("readPage() asks by offset and never for more than Headout gives", async () => {
  const answer = (): Response => Response.json({ items: [] });
  const { client, requests } = setUp([answer, answer]);
  await client.readPage({ organizationId: ORGANIZATION });
  await client.readPage({ organizationId: ORGANIZATION, cursor: 40, since: "2026-01-01" });
  const path = "https://headout.test/api/public/v2/bookings/";
  assert.deepEqual(requests.map(({ url }) => url), [
    `${path}?offset=0&limit=20`,
    `${path}?offset=40&limit=20`,
  ]);
});

Deno.test("requests of one client stay under 90 a minute", async () => {
  let clock = NOW;
  const times: number[] = [];
  const { client } = setUp([], {
    elapsed: () => clock,
    sleep: (ms) => {
      clock += ms;
      return Promise.resolve();
    },
    fetch: () => {
      times.push(clock);
      return Promise.resolve(Response.json({ items: [] }));
    },
  });
  for (let read = 0; read < 100; read++) await client.readPage({ organizationId: ORGANIZATION });
  const within = times.filter((time) => time < NOW + 60_000).length;
  assert.ok(within > 60 && within < 90, `${within} requests in the first minute`);
});

type Answer = () => Response;

function setUp(
  answers: readonly Answer[],
  options: Partial<HeadoutClientOptions> = {},
): { client: ReturnType<typeof createHeadoutClient>; requests: Request[] } {
  const requests: Request[] = [];
  const client = createHeadoutClient({
    baseUrl: "https://headout.test/",
    apiKey: "pk_key",
    now: () => NOW,
    sleep: () => Promise.resolve(),
    fetch: (input, init) => {
      requests.push(new Request(input, init));
      return Promise.resolve(answers[requests.length - 1]?.() ?? Response.error());
    },
    ...options,
  });
  return { client, requests };
}

Deno.test("requests of one client are not held up when the wall clock is set back", async () => {
  await withWallClock(async (step) => {
    const answer = (): Response => Response.json({ items: [] });
    const client = createHeadoutClient({
      baseUrl: "https://headout.test",
      apiKey: "pk_key",
      minIntervalMs: 20,
      fetch: () => Promise.resolve(answer()),
      sleep: (ms) => Promise.resolve(assert.ok(ms <= 20, `${ms} ms`)),
    });
    await client.readPage({ organizationId: ORGANIZATION });
    step(-3_600_000);
    await client.readPage({ organizationId: ORGANIZATION });
  });
});

testFixtures("headout", (fetch) =>
  createHeadoutClient({
    baseUrl: "https://headout.test/",
    apiKey: "pk_key",
    fetch,
    now: () => FIXTURE_NOW,
    pageRetries: 0,
  }));
