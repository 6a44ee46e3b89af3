import assert from "node:assert/strict";
import { useStack } from "../../support/stack.ts";
import { runWell } from "./support.ts";

const COUNT = 120;
const stackTest = useStack({ eventflow: { count: COUNT, realLife: true } });

stackTest(
  "a full run takes every booking of real life, and the next one finds nothing new",
  async (stack) => {
    const organizationId = await stack.organization();
    const { counters } = await runWell(stack, organizationId, { syncMode: "full" });
    assert.deepEqual([counters.verdicts, counters.refused], [{ created: COUNT }, []]);
    const again = await runWell(stack, organizationId, { syncMode: "full" });
    assert.deepEqual(again.counters.verdicts, { unchanged: COUNT });
    const compared = await runWell(stack, organizationId, { syncMode: "reconcile" });
    assert.deepEqual([compared.counters.verdicts, compared.drift], [{ unchanged: COUNT }, []]);
  },
);
