import assert from "node:assert/strict";
import { assertError, send, streamOf } from "./answers.ts";
import { allRows, gained } from "./rows.ts";
import type { Answer, TestStack } from "./stack.ts";

/** One function, as its right callers call it. */
export interface Target {
  readonly name: string;
  /** Its path below `/functions/v1/`, with the query that a right call has. */
  path(stack: TestStack, organizationId: string): string;
  /** The credential that a right call has in its headers. */
  headers(stack: TestStack): Readonly<Record<string, string>>;
  /** The same call with each kind of wrong credential, and with none. */
  readonly refused: Readonly<
    Record<
      string,
      (stack: TestStack) => {
        readonly path?: string;
        readonly headers?: Readonly<Record<string, string>>;
      }
    >
  >;
  valid(organizationId: string): Readonly<Record<string, unknown>>;
  /** Whether an authentic but invalid body is kept as a delivery. */
  readonly keeps: boolean;
  /** Whether the booking of such a body, if it names one, is put up for a re-fetch. */
  readonly refetches?: boolean;
}

type StackTest = (name: string, work: (stack: TestStack) => Promise<void>) => void;

const json = { "content-type": "application/json" };
const mega = 1024 * 1024;

/** Registers what must hold for bad input at every function. */
export function testBadInput(stackTest: StackTest, target: Target): void {
  const { name } = target;

  /** Sends with the right credential, and returns the answer and how many rows that cost. */
  async function attempt(
    stack: TestStack,
    init: RequestInit & { readonly path?: string },
  ): Promise<{ readonly answer: Answer; readonly rows: Readonly<Record<string, number>> }> {
    const organizationId = await stack.organization();
    const path = init.path ?? target.path(stack, organizationId);
    const before = await allRows(stack.database);
    const answer = await send(`${stack.url}/functions/v1/${path}`, {
      method: "POST",
      body: JSON.stringify(target.valid(organizationId)),
      ...init,
      headers: init.headers ?? { ...json, ...target.headers(stack) },
    });
    return { answer, rows: gained(before, await allRows(stack.database)) };
  }

  for (const method of ["GET", "PUT", "PATCH", "DELETE"]) {
    stackTest(`${name} answers ${method} 405 with Allow, and writes no row`, async (stack) => {
      const { answer, rows } = await attempt(stack, {
        method,
        ...(method === "GET" ? { body: null } : {}),
      });
      assertError(answer, { status: 405, code: "method_not_allowed" });
      assert.match(answer.headers.get("allow") ?? "", /POST/);
      assert.deepEqual(rows, {});
    });
  }

  stackTest(`${name} answers OPTIONS with CORS and without a credential`, async (stack) => {
    const { answer, rows } = await attempt(stack, { method: "OPTIONS", body: null, headers: {} });
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    assert.match(answer.headers.get("access-control-allow-methods") ?? "", /POST/);
    assert.deepEqual(rows, {});
  });

  for (const [kind, make] of Object.entries(target.refused)) {
    stackTest(`${name} answers ${kind} 401, and writes no row`, async (stack) => {
      const { path, headers = {} } = make(stack);
      const { answer, rows } = await attempt(stack, {
        headers: { ...json, ...headers },
        ...(path === undefined ? {} : { path }),
      });
      assertError(answer, { status: 401, code: "unauthorized", fields: [] });
      assert.deepEqual(rows, {});
    });
  }

  const bodies: Readonly<Record<string, readonly [string, string, string?]>> = {
    "a body that is not JSON": ["booking 17 changed", "invalid_json"],
    "truncated JSON": ['{"booking_id":"a', "invalid_json"],
    "an empty body": ["", "invalid_json"],
    "a body of white space": [" \n", "invalid_json"],
    "HTML": ["<!doctype html><p>hej</p>", "invalid_json"],
    "a list": ["[]", "invalid_body"],
    "a string": ['"17"', "invalid_body"],
    "null": ["null", "invalid_body"],
    "a NUL character": ['{"note":"\\u0000"}', "invalid_body", "note"],
    "a hundred levels of nesting": [`{"a":${"[".repeat(100)}${"]".repeat(100)}}`, "invalid_body"],
  };
  for (const [kind, [body, code, field]] of Object.entries(bodies)) {
    const kept = target.keeps ? "keeps the delivery" : "writes no row";
    stackTest(`${name} answers ${kind} 400 ${code}, and ${kept}`, async (stack) => {
      const { answer, rows } = await attempt(stack, { body });
      assertError(answer, {
        status: 400,
        code,
        ...(field === undefined ? {} : { fields: [field] }),
      });
      assert.deepEqual(rows, target.keeps ? { "sync.deliveries": 1 } : {});
      if (target.keeps) await assertKept(stack, code, body);
    });
  }

  const encodings: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    "a form": { "content-type": "application/x-www-form-urlencoded" },
    "plain text": { "content-type": "text/plain; charset=utf-8" },
    "JSON that is said to be compressed": { ...json, "content-encoding": "gzip" },
  };
  for (const [kind, headers] of Object.entries(encodings)) {
    stackTest(`${name} answers ${kind} 415 unsupported_media_type`, async (stack) => {
      const body = '{"booking_id":"17","bookingId":17}';
      const { answer, rows } = await attempt(stack, {
        body,
        headers: { ...headers, ...target.headers(stack) },
      });
      assertError(answer, { status: 415, code: "unsupported_media_type" });
      const kept = target.refetches
        ? { "sync.deliveries": 2, "sync.source_states": 1 }
        : { "sync.deliveries": 1 };
      assert.deepEqual(rows, target.keeps ? kept : {});
      if (target.keeps) await assertKept(stack, "unsupported_media_type", body);
    });
  }

  for (const kind of ["with a Content-Length", "without a Content-Length"]) {
    stackTest(`${name} answers 1 MB ${kind} 413, and writes no row`, async (stack) => {
      const body = kind.startsWith("without") ? streamOf(mega) : " ".repeat(mega);
      const { answer, rows } = await attempt(stack, { body });
      assertError(answer, { status: 413, code: "body_too_large" });
      assert.deepEqual(rows, {});
    });
  }

  stackTest(
    `${name} returns a well-formed x-request-id, and makes one for any other`,
    async (stack) => {
      for (const given of ["abc-DEF_1.2", "x".repeat(128)]) {
        const headers = { ...json, "x-request-id": given };
        const { answer } = await attempt(stack, { path: name, headers });
        assertError(answer, { status: 401, code: "unauthorized" });
        assert.equal(answer.body.request_id, given);
      }
      for (const given of ["x".repeat(129), "a b", "<script>", "å"]) {
        const headers = { ...json, "x-request-id": encodeURI(given).replaceAll("%20", " ") };
        const { answer } = await attempt(stack, { path: name, headers });
        assertError(answer, { status: 401, code: "unauthorized" });
        assert.match(answer.body.request_id, /^[\da-f]{8}-[\da-f-]{27}$/);
      }
    },
  );
}

/** The newest delivery is the invalid one, with its body and the reason. */
async function assertKept(stack: TestStack, code: string, body: string): Promise<void> {
  const [row] = await stack.database.query<{
    status: string;
    last_error: { readonly code: string };
    body: Readonly<Record<string, unknown>>;
  }>(
    "select status, last_error, body from sync.deliveries where function <> 'import-bookings' order by received_at desc limit 1",
  );
  assert.equal(row?.status, "invalid");
  assert.equal(row.last_error.code, code);
  const text = row.body.text;
  assert.equal(typeof text === "string" ? text : JSON.stringify(row.body), body);
}
