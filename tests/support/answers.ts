import assert from "node:assert/strict";
import type { Answer } from "./stack.ts";

/** What an error must be, besides its shape. */
export interface ExpectedError {
  readonly status: number;
  readonly code: string;
  /** The `field` of each detail, in order. */
  readonly fields?: readonly string[];
  /** Whether `Retry-After` must be there. */
  readonly retryAfter?: boolean;
}

/** Asserts the one shape of errors, and that the request id comes back. */
export function assertError(answer: Answer, expected: ExpectedError): void {
  const { body, headers, status } = answer;
  const shown = JSON.stringify(body);
  assert.equal(status, expected.status, shown);
  assert.deepEqual(Object.keys(body).sort(), ["error", "request_id", "success"], shown);
  assert.equal(body.success, false);
  const { error } = body;
  assert.deepEqual(Object.keys(error).sort(), ["code", "details", "message", "status"], shown);
  assert.equal(error.code, expected.code, shown);
  assert.match(error.code, /^[a-z]+(_[a-z]+)*$/);
  assert.equal(error.status, expected.status);
  assert.match(error.message, /^[A-Z]./);
  assert.ok(Array.isArray(error.details));
  for (const detail of error.details) {
    assert.match(detail.code, /^[a-z0-9]+(_[a-z0-9]+)*$/, shown);
    assert.equal(typeof detail.message, "string", shown);
  }
  if (expected.fields !== undefined) {
    const fields = error.details.map((detail: { readonly field?: string }) => detail.field);
    assert.deepEqual(fields, expected.fields, shown);
  }
  assert.ok(body.request_id.length > 0);
  assert.equal(headers.get("x-request-id"), body.request_id);
  assert.match(headers.get("content-type") ?? "", /^application\/json/);
  if (expected.retryAfter === true) assert.match(headers.get("retry-after") ?? "", /^[1-9]\d*$/);
}

/** Asserts a status and returns the body, showing it if it is another one. */
export function bodyOf(answer: Answer, status = 200): Answer["body"] {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  return answer.body;
}

/** Sends any request and reads its answer as the stack's own helpers do. */
export async function send(url: string, init: RequestInit): Promise<Answer> {
  const answer = await fetch(url, init);
  const text = await answer.text();
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch { /* no JSON */ }
  return { status: answer.status, body, headers: answer.headers };
}

/** `size` bytes in chunks: sent without a Content-Length. */
export function streamOf(size: number, chunk = 64 * 1024): ReadableStream<Uint8Array> {
  let left = size;
  return new ReadableStream({
    pull(controller): void {
      if (left <= 0) return controller.close();
      controller.enqueue(new TextEncoder().encode(" ".repeat(Math.min(chunk, left))));
      left -= chunk;
    },
  });
}

/** Waits until `check` returns something, 10 s at most. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const found = await check();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`It did not come to be: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
