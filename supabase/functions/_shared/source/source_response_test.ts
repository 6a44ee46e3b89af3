import assert from "node:assert/strict";
import { parseRetryAfter, readSourceJson } from "./source_response.ts";

const OPTIONS = { source: "Test", maxBytes: 64 };
const NOW = Date.parse("2026-11-21T12:00:00Z");

Deno.test("readSourceJson() reads JSON in any number of chunks", async () => {
  const bytes = new TextEncoder().encode('\ufeff{"name":"Åsa 😀"}');
  const chunks = [...bytes].map((byte) => new Uint8Array([byte]));
  const { body } = await readSourceJson(streamed(chunks), OPTIONS);
  assert.deepEqual(body, { name: "Åsa 😀" });
});

Deno.test("readSourceJson() keeps an own key __proto__ and pollutes nothing", async () => {
  const { body } = await readSourceJson(new Response('{"__proto__":{"admin":true}}'), OPTIONS);
  assert.ok(Object.hasOwn(body as object, "__proto__"));
  assert.equal(({} as Record<string, unknown>)["admin"], undefined);
});

Deno.test("readSourceJson() stops at the limit while the answer streams", async () => {
  let sent = 0;
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent += 32;
      controller.enqueue(new Uint8Array(32).fill(0x20));
    },
    cancel: () => {
      cancelled = true;
    },
  });
  await assert.rejects(readSourceJson(new Response(endless), OPTIONS), {
    code: "source_invalid",
    retryable: false,
  });
  assert.ok(sent <= 4 * 32, `read on to ${sent} bytes`);
  assert.ok(cancelled);
});

Deno.test("readSourceJson() refuses a declared length over the limit unread", async () => {
  const response = new Response("{}", { headers: { "content-length": "65" } });
  await assert.rejects(readSourceJson(response, OPTIONS), { code: "source_invalid" });
});

Deno.test("readSourceJson() takes an aborted answer for no answer, even if it parses", async () => {
  const ended = new AbortController();
  const stalled = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode('{"data":[]}')),
    pull: () => ended.abort(new Error("too late")),
  });
  const read = readSourceJson(new Response(stalled), { ...OPTIONS, signal: ended.signal });
  await assert.rejects(read, { message: "too late" });
});

Deno.test("parseRetryAfter() reads seconds and dates, and at most an hour", () => {
  assert.equal(parseRetryAfter("17", NOW), 17_000);
  assert.equal(parseRetryAfter(" 007 ", NOW), 7_000);
  assert.equal(parseRetryAfter("Sat, 21 Nov 2026 12:00:30 GMT", NOW), 30_000);
  assert.equal(parseRetryAfter("Saturday, 21-Nov-26 12:00:30 GMT", NOW), 30_000);
  assert.equal(parseRetryAfter("86400", NOW), 3_600_000);
  assert.equal(parseRetryAfter("9".repeat(400), NOW), 3_600_000);
});

for (
  const text of [
    null,
    "",
    "soon",
    "0",
    "-5",
    "1.5",
    "+5",
    "60;",
    "1e3",
    "2026-11-21T12:00:30Z",
    "21 Nov 2026 12:00:30 GMT",
    "Sat, 21 Nov 2026 12:00:00 GMT",
    "Sat, 21 Nov 2026 11:00:00 GMT",
    "Sat, 42 Nov 2026 12:00:30 GMT",
  ]
) {
  Deno.test(`parseRetryAfter() takes ${text} for no statement`, () => {
    assert.equal(parseRetryAfter(text, NOW), undefined);
  });
}

function streamed(chunks: readonly Uint8Array[]): Response {
  return new Response(
    new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (const chunk of chunks) controller.enqueue(chunk);
        controller.close();
      },
    }),
  );
}
