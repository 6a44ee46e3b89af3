import assert from "node:assert/strict";
import { withoutBody } from "./ask_source.ts";

Deno.test("withoutBody() keeps the status and headers of a refusal and closes its body", async () => {
  let cancelled = false;
  const body = new ReadableStream({
    cancel: () => {
      cancelled = true;
    },
  });
  const headers = { "retry-after": "60" };
  const bare = withoutBody(new Response(body, { status: 503, statusText: "Busy", headers }));
  assert.deepEqual([bare.status, bare.statusText, bare.headers.get("retry-after")], [
    503,
    "Busy",
    "60",
  ]);
  assert.equal(await bare.text(), "");
  assert.ok(cancelled);
});

Deno.test("withoutBody() returns a success and a network error as they are", () => {
  for (const response of [new Response("{}"), Response.error()]) {
    assert.equal(withoutBody(response), response);
  }
});
