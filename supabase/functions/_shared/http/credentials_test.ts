import assert from "node:assert/strict";
import { checkSecret, combineOutcomes, readBearer } from "./credentials.ts";

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
