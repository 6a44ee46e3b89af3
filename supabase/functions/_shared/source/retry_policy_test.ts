import assert from "node:assert/strict";
import { retryPolicy } from "./retry_policy.ts";

const NOW = Date.parse("2026-11-21T12:00:00Z");

for (
  const [status, retryAfter, expected] of [
    [503, null, undefined],
    [503, "2", undefined],
    [503, "6", false],
    // These name no time, so the usual backoff applies, not "at once".
    [503, "0", true],
    [429, "-5", true],
    [429, "Sat, 21 Nov 2026 11:00:00 GMT", true],
    // A permanent fault is not retried because of the header.
    [404, "0", undefined],
  ] as const
) {
  Deno.test(`retryPolicy() answers ${expected} to ${status} with Retry-After ${retryAfter}`, () => {
    const { shouldRetry } = retryPolicy({ limit: 2, maxDelayMs: 5_000, now: () => NOW });
    const headers = new Headers(retryAfter === null ? {} : { "retry-after": retryAfter });
    const response = new Response(null, { status, headers });
    assert.equal(shouldRetry({ error: Object.assign(new Error(), { response }) }), expected);
  });
}
