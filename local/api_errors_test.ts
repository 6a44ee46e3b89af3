import assert from "node:assert/strict";
import { withApiErrors } from "./api_errors.ts";

Deno.test("withApiErrors() reports a database error without its parameters", async () => {
  const lines: string[] = [];
  await withApiErrors((line) => lines.push(line), async () => {
    await Promise.resolve();
    const error = Object.assign(new Error("permission denied for table bookings"), {
      code: "42501",
      params: ["secret"],
    });
    console.error(error);
  });
  assert.deepEqual(lines, ["permission denied for table bookings (42501)"]);
});
