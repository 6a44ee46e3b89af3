import assert from "node:assert/strict";
import { readDedupeKey } from "./read_dedupe_key.ts";

const SCOPE = {
  function: "receive-booking",
  organizationId: "o-1",
  externalId: "b-1",
  signed: false,
};

Deno.test("readDedupeKey() prefers idempotency-key to webhook-id", () => {
  const headers = new Headers({ "idempotency-key": " k1 ", "webhook-id": "w1" });
  assert.equal(readDedupeKey(headers, SCOPE), "receive-booking:o-1:b-1:k1");
  headers.set("idempotency-key", " ");
  assert.equal(readDedupeKey(headers, SCOPE), "receive-booking:o-1:b-1:w1");
});

Deno.test("readDedupeKey() counts only the signed id once a signature proved the sender", () => {
  const signed = { ...SCOPE, signed: true };
  const headers = new Headers({ "idempotency-key": "k1", "webhook-id": "w1" });
  assert.equal(readDedupeKey(headers, signed), "receive-booking:o-1:b-1:w1");
  const svix = new Headers({ "idempotency-key": "k1", "svix-id": "s1" });
  assert.equal(readDedupeKey(svix, signed), "receive-booking:o-1:b-1:s1");
  assert.equal(readDedupeKey(new Headers({ "idempotency-key": "k1" }), signed), null);
});

Deno.test("readDedupeKey() is null without a header", () => {
  assert.equal(readDedupeKey(new Headers(), SCOPE), null);
});

Deno.test("readDedupeKey() keeps organizations apart", () => {
  const headers = new Headers({ "idempotency-key": "k" });
  const other = { ...SCOPE, organizationId: "o-2" };
  assert.notEqual(readDedupeKey(headers, SCOPE), readDedupeKey(headers, other));
});

Deno.test("readDedupeKey() keeps bookings apart, whatever is in their ids", () => {
  const keyOf = (externalId: string, key: string) =>
    readDedupeKey(new Headers({ "idempotency-key": key }), { ...SCOPE, externalId });
  assert.notEqual(keyOf("b-1", "k"), keyOf("b-2", "k"));
  assert.notEqual(keyOf("b:c", "k"), keyOf("b", "c:k"));
  assert.notEqual(keyOf("b%3Ac", "k"), keyOf("b:c", "k"));
});

Deno.test("readDedupeKey() stays short enough for an index with any booking id", () => {
  const headers = new Headers({ "idempotency-key": "x".repeat(255) });
  const key = readDedupeKey(headers, { ...SCOPE, externalId: "å😀".repeat(66) })!;
  assert.ok(key.length < 400, `${key.length} characters`);
});

Deno.test("readDedupeKey() shortens a huge key and still tells it from others", () => {
  const keyOf = (value: string) => readDedupeKey(new Headers({ "webhook-id": value }), SCOPE)!;
  assert.ok(keyOf("x".repeat(8_000)).length < 120);
  assert.notEqual(keyOf("x".repeat(8_000)), keyOf("x".repeat(8_001)));
});
