import assert from "node:assert/strict";
import { functionArguments } from "../../../local/functions.ts";
import { freePort } from "../../../local/free_port.ts";
import { type FunctionProcess, startFunctionProcess } from "../../../local/function_process.ts";
import { projectPaths } from "../../../local/paths.ts";
import {
  countByStatus,
  createBookings,
  type DrainCounters,
  queueDeliveries,
  readDrain,
} from "../../support/deliveries.ts";
import { fullScale } from "../../support/scale.ts";
import { type TestStack, useStack } from "../../support/stack.ts";

const WORKERS = 4;
const READ_SECONDS = 0.05;

const stackTest = useStack();

stackTest(
  "claim_deliveries() gives four workers at once each delivery exactly once",
  async (stack) => {
    const count = fullScale ? 2_000 : 300;
    await stack.eventflow.setFault({ mode: "hang", seconds: READ_SECONDS, count: null });
    const workers = await startWorkers(stack, WORKERS);
    try {
      const one = await drainAll(stack, workers.slice(0, 1), count);
      const four = await drainAll(stack, workers, count);
      const faster = one.seconds / four.seconds;
      console.log(
        `  ${count} deliveries, ${READ_SECONDS * 1000} ms per read (${stack.database.kind}): ` +
          `one worker ${one.seconds.toFixed(1)} s, four ${four.seconds.toFixed(1)} s, ` +
          `${faster.toFixed(2)} times faster`,
      );
      // How fast they are says something on a quiet machine with a real Postgres only.
      if (!fullScale) return;
      assert.ok(four.shares.every((share) => share > 0), `shares: ${four.shares}`);
      assert.ok(faster >= 2.5, `only ${faster.toFixed(2)} times faster`);
    } finally {
      await Promise.all(workers.map((worker) => worker.stop()));
      await stack.eventflow.clearFaults();
    }
  },
);

/** Drains `count` due deliveries with some workers at once; each must be processed exactly once. */
async function drainAll(
  stack: TestStack,
  workers: readonly FunctionProcess[],
  count: number,
): Promise<{ readonly seconds: number; readonly shares: readonly number[] }> {
  const organizationId = await stack.organization();
  const ids = await createBookings(stack, organizationId, count);
  await queueDeliveries(stack.database, organizationId, ids);
  const before = (await stack.eventflow.requests()).total;

  const started = performance.now();
  const drains = await Promise.all(workers.map((worker) => drainWith(worker, stack)));
  const seconds = (performance.now() - started) / 1000;

  const sum = (name: keyof DrainCounters) =>
    drains.reduce((total, counters) => total + counters[name], 0);
  assert.deepEqual([sum("claimed"), sum("succeeded"), sum("source_reads")], [count, count, count]);
  assert.equal((await stack.eventflow.requests()).total - before, count);
  assert.deepEqual(await countByStatus(stack.database, organizationId), { succeeded: count });
  const [twice] = await stack.database.query<{ attempts: number; written: number }>(
    `select max(d.attempts)::integer as attempts,
       (select count(*)::integer from public.booking_history h where h.organization_id = $1) as written
     from sync.deliveries d join sync.connections c on c.id = d.connection_id
     where c.organization_id = $1`,
    [organizationId],
  );
  assert.deepEqual(twice, { attempts: 1, written: count });
  return { seconds, shares: drains.map(({ claimed }) => claimed) };
}

async function drainWith(worker: FunctionProcess, stack: TestStack): Promise<DrainCounters> {
  const answer = await fetch(worker.url, {
    method: "POST",
    headers: {
      authorization: `Bearer ${stack.serviceRoleKey}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ syncMode: "drain" }),
  });
  return readDrain({ status: answer.status, body: await answer.json(), headers: answer.headers });
}

/** Processes of import-bookings like the one of the stack, as the platform would start them. */
function startWorkers(stack: TestStack, count: number): Promise<readonly FunctionProcess[]> {
  const paths = projectPaths();
  return Promise.all(Array.from({ length: count }, () =>
    startFunctionProcess({
      name: "import-bookings",
      arguments: functionArguments(paths, "import-bookings", stack.environment, true),
      environment: stack.environment,
      workingDirectory: paths.root,
      port: freePort(),
      log: () => {},
      notice: () => {},
    })));
}
