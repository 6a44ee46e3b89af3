import assert from "node:assert/strict";
import { z } from "zod";
import { describeIssues } from "./describe_issues.ts";

const schema = z.object({
  id: z.string("Expected text."),
  list: z.array(z.int("Expected a number.")),
});

function describe(body: unknown) {
  return describeIssues(schema.safeParse(body).error!, body);
}

Deno.test("describeIssues() names each bad field and tells missing from wrong", () => {
  assert.deepEqual(describe({ list: [1, "secret"] }), [
    { field: "id", code: "required", message: "Expected text." },
    { field: "list.1", code: "invalid", message: "Expected a number." },
  ]);
});

Deno.test("describeIssues() takes nothing from a prototype", () => {
  const toString = z.object({ toString: z.string("Expected text.") });
  const details = describeIssues(toString.safeParse({}).error!, {});
  assert.equal(details[0]?.code, "required");
});
