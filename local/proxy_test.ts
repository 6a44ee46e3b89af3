import assert from "node:assert/strict";
import { proxy } from "./proxy.ts";

const target = { name: "receive-booking", url: "http://127.0.0.1:9/receive-booking", ready: true };

Deno.test("proxy() hands on method, query, headers and body, and says whom it came from", async () => {
  let seen: Request | undefined;
  const answer = await proxy(
    new Request("http://localhost:54321/functions/v1/receive-booking?a=1&b=%20", {
      method: "POST",
      headers: { "x-api-key": "k", connection: "keep-alive", "x-forwarded-for": "10.0.0.1" },
      body: "hello",
    }),
    target,
    "127.0.0.1",
    (input, init) => {
      seen = new Request(input, init);
      return Promise.resolve(new Response("created", { status: 201, headers: { "x-a": "b" } }));
    },
  );
  assert.equal(seen?.url, `${target.url}?a=1&b=%20`);
  assert.equal(seen?.method, "POST");
  assert.equal(await seen?.text(), "hello");
  assert.equal(seen?.headers.get("x-api-key"), "k");
  assert.equal(seen?.headers.get("connection"), null);
  assert.equal(seen?.headers.get("x-forwarded-for"), "10.0.0.1, 127.0.0.1");
  assert.equal(seen?.headers.get("x-forwarded-host"), "localhost:54321");
  assert.deepEqual([answer.status, answer.headers.get("x-a"), await answer.text()], [
    201,
    "b",
    "created",
  ]);
});

Deno.test("proxy() answers 503 with Retry-After while the target restarts", async () => {
  const request = () => new Request("http://localhost/functions/v1/receive-booking");
  const unready = await proxy(request(), { ...target, ready: false }, "::1", () => {
    throw new Error("must not be called");
  });
  const refused = await proxy(request(), target, "::1", () => Promise.reject(new TypeError("no")));
  for (const answer of [unready, refused]) {
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get("retry-after"), "1");
  }
});
