import { FIXTURE_NOW, testFixtures } from "../source/testing_fixtures.ts";
import assert from "node:assert/strict";
import { createEventFlowClient, type EventFlowClientOptions } from "./client.ts";

const ORGANIZATION = "7d0c2f8e-3a52-4c1e-9a8e-1f6f0a4b5c01";
const BOOKING = "c5a1e0f4-6f1d-4b6e-8a39-2f8f2d6d1a01";
const NOW = Date.parse("2026-11-21T12:00:00Z");
const single = { externalId: BOOKING, organizationId: ORGANIZATION };

Deno.test("readSingle() asks once, with both credential headers and no redirect", async () => {
  const { client, requests } = setUp([found()]);
  await client.readSingle(single);
  assert.equal(requests.length, 1);
  const [request] = requests;
  assert.equal(
    request?.url,
    `https://eventflow.test/api/export_bookings?organization_id=${ORGANIZATION}&booking_id=${BOOKING}`,
  );
  assert.equal(request?.method, "GET");
  assert.equal(request?.redirect, "manual");
  assert.equal(request?.headers.get("authorization"), "Bearer secret-key");
  assert.equal(request?.headers.get("x-api-key"), "secret-key");
  assert.equal(request?.headers.get("accept"), "application/json");
});

Deno.test("readSingle() does not try again by itself: the inbox does", async () => {
  for (const answer of [status(503), status(429), status(500), networkFault]) {
    const { client, requests } = setUp([answer, found()]);
    await assert.rejects(client.readSingle(single), { code: "source_unavailable" });
    assert.equal(requests.length, 1);
  }
});

Deno.test("readSingle() says nothing of the key, the URL or the answer in its errors", async () => {
  for (const answer of [status(401), networkFault, html, () => Response.json({ a: "Ring Åsa" })]) {
    const { client } = setUp([answer]);
    await assert.rejects(client.readSingle(single), (error: unknown) => {
      const { message, details } = error as { message: string; details: unknown };
      const said = message + JSON.stringify(details);
      assert.doesNotMatch(said, /secret-key|eventflow\.test|Ring|Maintenance/);
      return true;
    });
  }
});

Deno.test("readSingle() takes a network fault for a temporary one", async () => {
  const { client } = setUp([networkFault]);
  await assert.rejects(client.readSingle(single), (error: unknown) => {
    const { code, retryable, details } = error as Record<string, unknown>;
    assert.deepEqual([code, retryable], ["source_unavailable", true]);
    assert.equal((details as { code: string }[])[0]?.code, "network_error");
    return true;
  });
});

Deno.test("readSingle() gives up in time, before the headers and within the body", async () => {
  const stalled = (): Response =>
    new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode('{"success":true')),
      }),
    );
  for (const answer of [() => new Promise<Response>(() => {}), stalled]) {
    const { client } = setUp([answer], { singleTimeoutMs: 20 });
    await assert.rejects(client.readSingle(single), (error: unknown) => {
      const { code, details } = error as { code: string; details: { code: string }[] };
      assert.deepEqual([code, details[0]?.code], ["source_unavailable", "timeout"]);
      return true;
    });
  }
});

Deno.test("readSingle() throws the caller's reason when the caller ends it", async () => {
  const reason = new Error("budget over");
  const ended = AbortSignal.abort(reason);
  const { client, requests } = setUp([found()]);
  await assert.rejects(client.readSingle({ ...single, signal: ended }), reason);
  assert.equal(requests.length, 0);

  const later = new AbortController();
  const pending = setUp([(request) => {
    queueMicrotask(() => later.abort(reason));
    return new Promise((_, reject) =>
      request.signal.addEventListener("abort", () => reject(request.signal.reason))
    );
  }]);
  await assert.rejects(pending.client.readSingle({ ...single, signal: later.signal }), reason);
});

Deno.test("readSingle() takes a refusal by its status and headers, though its body never ends", async () => {
  for (const code of [404, 429, 503]) {
    const endless = endlessBody();
    const { client } = setUp([
      () => new Response(endless.body, { status: code, headers: { "retry-after": "60" } }),
    ]);
    const startedAt = performance.now();
    await assert.rejects(client.readSingle(single), { retryAfterMs: 60_000 });
    assert.ok(performance.now() - startedAt < 1_000, "it waited for the body");
    assert.ok(endless.cancelled(), "the body was left open");
  }
});

Deno.test("readPage() tries again after a refusal whose body never ends", async () => {
  const { client, requests } = setUp([
    () => new Response(endlessBody().body, { status: 503 }),
    list({ id: BOOKING }),
  ], { maxRetryDelayMs: 1 });
  const startedAt = performance.now();
  const page = await client.readPage({ organizationId: ORGANIZATION });
  assert.deepEqual([page.ids, requests.length], [[BOOKING], 2]);
  assert.ok(performance.now() - startedAt < 1_000, "it waited for the body");
});

Deno.test("readSingle() refuses an answer over its limit for good", async () => {
  const { client } = setUp([found()], { maxSingleBytes: 16 });
  await assert.rejects(client.readSingle(single), { code: "source_invalid", retryable: false });
});

Deno.test("readPage() sends what it was asked for and the page's number", async () => {
  const { client, requests } = setUp([list(), list()]);
  await client.readPage({ organizationId: ORGANIZATION });
  await client.readPage({
    organizationId: ORGANIZATION,
    cursor: 1_000,
    since: "2026-08-04T17:11:00Z",
    startDate: "2026-01-01",
    endDate: "2026-12-31",
  });
  const queries = requests.map(({ url }) => Object.fromEntries(new URL(url).searchParams));
  const asked = {
    organization_id: ORGANIZATION,
    since: "2026-08-04T17:11:00Z",
    start_date: "2026-01-01",
    end_date: "2026-12-31",
  };
  assert.deepEqual(queries, [
    { organization_id: ORGANIZATION, page: "1", limit: "500" },
    { ...asked, page: "3", limit: "500" },
    { ...asked, page: "50", limit: "20" }, // the last 20 rows of page 2
  ]);
});

Deno.test("readPage() brings along the rows before a page that are not on it", async () => {
  const { client } = setUp([list({ id: "b" }, { id: "c" }), list({ id: "a" }, { id: "b" })]);
  const page = await client.readPage({ organizationId: ORGANIZATION, cursor: 500 });
  assert.deepEqual(page.snapshots.map((snapshot) => snapshot.external_id), ["a", "b", "c"]);
  assert.deepEqual([page.ids, page.overlap], [["b", "c"], ["a", "b"]]);
});

Deno.test("readPage() asks a server with a page size of its own for no smaller page again", async () => {
  const whole = list(...Array.from({ length: 21 }, (_, index) => ({ id: `x${index}` })));
  const { client, requests } = setUp([list({ id: "a" }), whole, list({ id: "b" })]);
  const first = await client.readPage({ organizationId: ORGANIZATION, cursor: 500 });
  assert.deepEqual([first.overlap, first.snapshots.length], [undefined, 1]);
  await client.readPage({ organizationId: ORGANIZATION, cursor: 1_000 });
  assert.equal(requests.length, 3);
});

Deno.test("readPage() does without the rows before, but obeys a Retry-After", async () => {
  const lost = setUp([list({ id: "b" }), status(500)]).client;
  const page = await lost.readPage({ organizationId: ORGANIZATION, cursor: 500 });
  assert.deepEqual([page.ids, page.overlap], [["b"], undefined]);
  const limited = setUp([list({ id: "b" }), status(429, { "retry-after": "60" })]).client;
  await assert.rejects(limited.readPage({ organizationId: ORGANIZATION, cursor: 500 }), {
    retryAfterMs: 60_000,
  });
});

/** A list of `count` bookings that obeys `page` and `limit`, each as `make` says. */
function pages(count: number, make: (row: number) => string): Answer {
  return (request) => {
    const query = new URL(request.url).searchParams;
    const limit = Number(query.get("limit"));
    const from = (Number(query.get("page")) - 1) * limit;
    const rows = Array.from({ length: count }, (_, row) => row).slice(from, from + limit).map(make);
    return new Response(`{"data":[${rows.join(",")}]}`);
  };
}

/** The ids of every page of a list, in the order in which they are first seen, and what was refused. */
async function readAll(client: ReturnType<typeof createEventFlowClient>) {
  const ids = new Set<string>();
  const refused: (string | undefined)[] = [];
  const cursors: (number | undefined)[] = [];
  let cursor: number | undefined;
  for (;;) {
    const page = await client.readPage({
      organizationId: ORGANIZATION,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const { external_id } of page.snapshots) ids.add(external_id);
    refused.push(...page.invalid.map(({ external_id }) => external_id));
    cursors.push(page.next);
    if (page.next === undefined) return { ids: [...ids], refused, cursors };
    assert.ok(page.next > (cursor ?? 0), "it does not move on");
    cursor = page.next;
  }
}

Deno.test("readPage() asks for half of a page that is too large, and reads every booking of the list", async () => {
  const answer = pages(130, (row) => `{"id":"b${row}","internal_notes":"${"x".repeat(900)}"}`);
  const { client, requests } = setUp(Array(200).fill(answer), {
    pageLimit: 100,
    maxPageBytes: 30_000,
  });
  const { ids } = await readAll(client);
  assert.deepEqual(ids.toSorted(), Array.from({ length: 130 }, (_, row) => `b${row}`).toSorted());
  const limits = requests.map(({ url }) => Number(new URL(url).searchParams.get("limit")));
  assert.deepEqual(limits.slice(0, 3), [100, 50, 25]);
});

Deno.test("readPage() passes over a booking that cannot be read even alone, by its id, and goes on", async () => {
  const answer = pages(9, (row) => {
    const rest = row === 4 ? `,"client":{"id":"c"},"x":"${"x".repeat(5_000)}"` : "";
    return `{"id":"b${row}"${rest}}`;
  });
  const { client } = setUp(Array(200).fill(answer), {
    pageLimit: 8,
    maxPageBytes: 1_000,
    maxSingleBytes: 2_000,
  });
  const { ids, refused } = await readAll(client);
  assert.deepEqual(ids, ["b0", "b1", "b2", "b3", "b5", "b6", "b7", "b8"]);
  assert.deepEqual(refused, ["b4"]);
});

Deno.test("readPage() takes too many values in one booking for too large", async () => {
  const answer = pages(
    3,
    (row) => `{"id":"b${row}"${row === 1 ? `,"x":[${"{},".repeat(300_000)}{}]` : ""}}`,
  );
  const { client } = setUp(Array(20).fill(answer), { pageLimit: 4 });
  const { ids, refused } = await readAll(client);
  assert.deepEqual([ids, refused], [["b0", "b2"], ["b1"]]);
  const alone = () => new Response(`{"data":{"id":"${BOOKING}","x":[${"[],".repeat(300_000)}1]}}`);
  await assert.rejects(setUp([alone]).client.readSingle(single), {
    code: "source_invalid",
    retryable: false,
  });
});

Deno.test("readPage() says how many bytes it read", async () => {
  const { client } = setUp([list({ id: "å" })]);
  const page = await client.readPage({ organizationId: ORGANIZATION });
  assert.equal(page.bytes, new TextEncoder().encode('{"data":[{"id":"å"}]}').length);
});

Deno.test("readPage() retries temporary faults and is dated by the attempt that answered", async () => {
  let clock = NOW;
  const taking = (ms: number, answer: Answer): Answer => (request) => {
    clock += ms;
    return answer(request);
  };
  const { client, requests } = setUp(
    [taking(1000, status(503)), taking(500, networkFault), taking(70, list({ id: BOOKING }))],
    { now: () => clock, maxRetryDelayMs: 1 },
  );
  const page = await client.readPage({ organizationId: ORGANIZATION });
  assert.equal(requests.length, 3);
  assert.equal(page.snapshots[0]?.fetched_at, new Date(NOW + 1500).toISOString());
});

Deno.test("readPage() gives up after its further attempts", async () => {
  const { client, requests } = setUp([status(500), status(500), status(500), list()], {
    maxRetryDelayMs: 1,
  });
  await assert.rejects(client.readPage({ organizationId: ORGANIZATION }), {
    code: "source_unavailable",
  });
  assert.equal(requests.length, 3);
});

Deno.test("readPage() does not ask again before the time that EventFlow names", async () => {
  const { client, requests } = setUp([status(429, { "retry-after": "60" }), list()]);
  await assert.rejects(client.readPage({ organizationId: ORGANIZATION }), {
    code: "source_unavailable",
    retryAfterMs: 60_000,
  });
  assert.equal(requests.length, 1);
});

Deno.test("readPage() does not ask again after a permanent fault", async () => {
  for (const answer of [status(401), status(404), html]) {
    const { client, requests } = setUp([answer, list()]);
    await assert.rejects(client.readPage({ organizationId: ORGANIZATION }));
    assert.equal(requests.length, 1);
  }
});

/** A body that sends its beginning and then nothing more. */
function endlessBody() {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
    cancel: () => {
      cancelled = true;
    },
  });
  return { body, cancelled: () => cancelled };
}

type Answer = (request: Request) => Response | Promise<Response>;

function setUp(
  answers: readonly Answer[],
  options: Partial<EventFlowClientOptions> = {},
): { client: ReturnType<typeof createEventFlowClient>; requests: Request[] } {
  const requests: Request[] = [];
  const client = createEventFlowClient({
    baseUrl: "https://eventflow.test/api/",
    apiKey: "secret-key",
    now: () => NOW,
    fetch: (input, init) => {
      const request = new Request(input, init);
      requests.push(request);
      return Promise.resolve(answers[requests.length - 1]?.(request) ?? Response.error());
    },
    ...options,
  });
  return { client, requests };
}

function found(): Answer {
  const frame = { success: true, mode: "single", contract_version: "1.1", found: true };
  return () => Response.json({ ...frame, booking: { id: BOOKING, title: "T" } });
}

function list(...bookings: unknown[]): Answer {
  return () => Response.json({ data: bookings });
}

function status(code: number, headers: Record<string, string> = {}): Answer {
  return () => new Response("Ring Åsa", { status: code, headers });
}

function html(): Response {
  return new Response("<h1>Maintenance</h1>");
}

function networkFault(): Promise<Response> {
  return Promise.reject(new TypeError("error sending request for url (https://eventflow.test/)"));
}

testFixtures("eventflow", (fetch, { request }) =>
  createEventFlowClient({
    baseUrl: "https://eventflow.test/api/",
    apiKey: "key",
    fetch,
    now: () => FIXTURE_NOW,
    pageRetries: 0,
    files: { find: () => Promise.resolve(new Set()), put: () => Promise.resolve() },
    ...(request.page_limit && { pageLimit: request.page_limit }),
  }));
