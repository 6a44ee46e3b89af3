import assert from "node:assert/strict";
import { checkSecret, combineOutcomes, readBearer, readUrlKey } from "./credentials.ts";

Deno.test("checkSecret() tells absent, wrong and right apart", () => {
  assert.equal(checkSecret(null, ["a"]), "absent");
  assert.equal(checkSecret(undefined, ["a"]), "absent");
  assert.equal(checkSecret("", ["a"]), "absent");
  assert.equal(checkSecret("b", ["a"]), "wrong");
  assert.equal(checkSecret("a", ["a"]), "right");
});

Deno.test("checkSecret() accepts every secret of a rotation and no part of one", () => {
  assert.equal(checkSecret("old", ["new", "old"]), "right");
  assert.equal(checkSecret("ol", ["new", "old"]), "wrong");
  assert.equal(checkSecret("oldold", ["new", "old"]), "wrong");
});

Deno.test("checkSecret() accepts nothing when no secret is configured", () => {
  assert.equal(checkSecret("anything", []), "wrong");
});

Deno.test("readBearer() reads the token in any case of the scheme", () => {
  for (const value of ["Bearer t", "bearer t", "BEARER   t"]) {
    assert.equal(readBearer(new Headers({ authorization: value })), "t");
  }
});

Deno.test("readBearer() tells another scheme from no header", () => {
  assert.equal(readBearer(new Headers()), undefined);
  assert.equal(readBearer(new Headers({ authorization: "Basic t" })), "-");
  assert.equal(readBearer(new Headers({ authorization: "Bearer" })), "-");
});

Deno.test("combineOutcomes() prefers right, then wrong", () => {
  assert.equal(combineOutcomes(["absent", "wrong", "right"]), "right");
  assert.equal(combineOutcomes(["absent", "wrong"]), "wrong");
  assert.equal(combineOutcomes(["absent"]), "absent");
  assert.equal(combineOutcomes([]), "absent");
});

for (
  const [query, presented] of [
    ["", []],
    ["?organization_id=o", []],
    ["?keys=a&xkey=b", []],
    ["?key", [""]],
    ["?key=", [""]],
    ["?key=abc", ["abc"]],
    ["?a=1&key=abc&key=def", ["abc"]],
    ["?key=a+b", ["a b", "a+b"]],
    ["?key=a%2Bb", ["a+b", "a%2Bb"]],
    ["?key=a+b%2F", ["a b/", "a+b%2F", "a+b/"]],
    ["?key=a==", ["a=="]],
    ["?key=50%", ["50%"]],
    // The URL itself encodes a quote.
    ["?key=a+'", ["a '", "a+%27", "a+'"]],
  ] as const
) {
  Deno.test(`readUrlKey() reads ${JSON.stringify(presented)} from "${query}"`, () => {
    assert.deepEqual(readUrlKey(new URL(`https://functions.test/${query}`)), presented);
  });
}
