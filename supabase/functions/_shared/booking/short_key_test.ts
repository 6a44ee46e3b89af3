import assert from "node:assert/strict";
import { shortKey } from "./short_key.ts";

Deno.test("shortKey() keeps short text and hashes what an index cannot hold", () => {
  assert.equal(shortKey("p1#Bardisk"), "p1#Bardisk");
  assert.equal(shortKey("å".repeat(300)), "å".repeat(300));
  for (const text of ["x".repeat(301), "a\0b", "a\ud800"]) {
    assert.match(shortKey(text), /^sha256:[0-9a-f]{64}$/);
    assert.equal(shortKey(text), shortKey(text));
  }
  assert.notEqual(shortKey("x".repeat(301)), shortKey("x".repeat(302)));
});
