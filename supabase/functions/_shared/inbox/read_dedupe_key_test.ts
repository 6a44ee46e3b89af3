import assert from "node:assert/strict";
import { readDedupeKey } from "./read_dedupe_key.ts";

const SCOPE = { function: "receive-booking", organizationId: "o-1" };

Deno.test("readDedupeKey() prefers idempotency-key to webhook-id", () => {
  const headers = new Headers({ "idempotency-key": " k1 ", "webhook-id": "w1" });
  assert.equal(readDedupeKey(headers, SCOPE), "receive-booking:o-1:k1");
  headers.set("idempotency-key", " ");
  assert.equal(readDedupeKey(headers, SCOPE), "receive-booking:o-1:w1");
});

Deno.test("readDedupeKey() is null without a header", () => {
  assert.equal(readDedupeKey(new Headers(), SCOPE), null);
});

Deno.test("readDedupeKey() keeps organizations apart", () => {
  const headers = new Headers({ "idempotency-key": "k" });
  const other = { ...SCOPE, organizationId: "o-2" };
  assert.notEqual(readDedupeKey(headers, SCOPE), readDedupeKey(headers, other));
});

Deno.test("readDedupeKey() shortens a huge key and still tells it from others", () => {
  const keyOf = (value: string) => readDedupeKey(new Headers({ "webhook-id": value }), SCOPE)!;
  assert.ok(keyOf("x".repeat(8_000)).length < 120);
  assert.notEqual(keyOf("x".repeat(8_000)), keyOf("x".repeat(8_001)));
});
