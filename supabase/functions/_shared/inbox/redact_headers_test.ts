import assert from "node:assert/strict";
import { redactHeaders } from "./redact_headers.ts";

Deno.test("redactHeaders() keeps what identifies the delivery and drops every credential", () => {
  const kept = {
    "content-type": "application/json",
    "user-agent": "EventFlow/1",
    "webhook-id": "msg_1",
    "idempotency-key": "k1",
    "x-request-id": "r1",
  };
  const dropped = {
    authorization: "Bearer t",
    apikey: "k",
    "x-api-key": "k",
    cookie: "c=1",
    "webhook-signature": "v1,x",
    "x-forwarded-for": "192.0.2.1",
    "x-some-new-token": "t",
  };
  assert.deepEqual(redactHeaders(new Headers({ ...kept, ...dropped })), kept);
});

Deno.test("redactHeaders() cuts long values", () => {
  const headers = redactHeaders(new Headers({ "user-agent": "x".repeat(9_000) }));
  assert.equal(headers["user-agent"]?.length, 500);
});
