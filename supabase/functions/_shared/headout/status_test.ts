import assert from "node:assert/strict";
import { HEADOUT_STATUSES, mapHeadoutStatus } from "./status.ts";

Deno.test("mapHeadoutStatus() knows every word of Headout's", () => {
  assert.deepEqual(HEADOUT_STATUSES.map(mapHeadoutStatus), [
    "PENDING",
    "PENDING",
    "CONFIRMED",
    "CANCELLED",
    "REJECTED",
    "REJECTED",
  ]);
  assert.equal(mapHeadoutStatus("CONFIRMED"), undefined);
});
