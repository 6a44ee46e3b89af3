import assert from "node:assert/strict";
import { openTestDatabase } from "../../../local/database/test_database.ts";
import { openPostgres } from "../../../local/database/open_postgres.ts";
import { projectPaths } from "../../../local/paths.ts";
import { eventually } from "../../support/answers.ts";
import { stopAt } from "../../support/checkpoint.ts";
import { countByStatus, createBookings, drain, letTimePass } from "../../support/deliveries.ts";
import { fullScale } from "../../support/scale.ts";
import { startTestStack, type TestStack } from "../../support/stack.ts";
import { type StoppableCluster, withStoppableCluster } from "../../support/stoppable_cluster.ts";
import { openTap } from "../../support/tap.ts";

const APPLY = "/rest/v1/rpc/apply_snapshots";

Deno.test({
  name: "a webhook survives kill -9 of Postgres at every stage",
  // Five crashes and recoveries take half a minute: left to test:postgres and test:nightly.
  ignore: !fullScale && Deno.env.get("TEST_SERVER") !== "machine",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t): Promise<void> {
    globalThis.addEventListener("error", outliveLostConnections);
    const ran = await withStoppableCluster(async (cluster) => {
      const tap = openTap();
      const database = await openTestDatabase(cluster.url, projectPaths());
      const stack = await startTestStack({ database, environment: { SUPABASE_URL: tap.url } });
      tap.to(stack.url);
      try {
        for (
          const [when, path, stage, status, sourceFails] of [
            ["after the delivery is stored", "/rest/v1/rpc/receive_delivery", "answer", 202, false],
            ["after the fetch", APPLY, "request", 202, false],
            ["after the transaction", APPLY, "answer", 200, false],
            [
              "before a failed delivery is finished",
              "/rest/v1/rpc/finish_delivery",
              "request",
              202,
              true,
            ],
          ] as const
        ) {
          await t.step(when, async () => {
            const { organizationId, id } = await setUp(stack, sourceFails);
            const checkpoint = stopAt(tap, { path, stage, target: stack.url });
            const sending = stack.eventflow.sendWebhook(id, { organization_id: organizationId });
            await checkpoint.reached;
            await crash(cluster);
            checkpoint.release();
            assert.equal((await sending).status, status);
            await restart(cluster, stack);
            await endsWell(stack, organizationId);
          });
        }
        await t.step("inside the transaction", () => killInside(stack, cluster, database.label));
      } finally {
        await stack.stop();
        await tap.stop();
        await database.close().catch(() => {});
      }
    });
    globalThis.removeEventListener("error", outliveLostConnections);
    assert.ok(ran, "this machine has no Postgres programs");
  },
});

/** The Postgres client writes to a connection that has gone, on a timer, where nobody can catch it. */
function outliveLostConnections(event: ErrorEvent): void {
  if (/null \(reading 'write'\)/.test(event.message)) event.preventDefault();
}

async function setUp(
  stack: TestStack,
  sourceFails: boolean,
): Promise<{ readonly organizationId: string; readonly id: string }> {
  const organizationId = await stack.organization();
  const [id = ""] = await createBookings(stack, organizationId, 1, { title: "Efter" });
  if (sourceFails) {
    await stack.eventflow.setFault({ mode: "status", status: 500, booking_id: id });
  }
  return { organizationId, id };
}

/** The transaction of apply_snapshots has written, and waits for a lock, when the server dies. */
async function killInside(
  stack: TestStack,
  cluster: StoppableCluster,
  databaseUrl: string,
): Promise<void> {
  const { organizationId, id } = await setUp(stack, false);
  const other = await openPostgres(databaseUrl, { connections: 2 });
  const locked = Promise.withResolvers<void>();
  const holding = other.transaction(async (sql) => {
    await sql.exec("lock table public.booking_history in exclusive mode");
    locked.resolve();
    await new Promise(() => {});
  }).catch(() => {});
  await locked.promise;
  const sending = stack.eventflow.sendWebhook(id, { organization_id: organizationId });
  await eventually("apply_snapshots waits", async () => {
    const waiting = await other.query(
      `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%apply_snapshots%'`,
    );
    return waiting.length > 0;
  });
  await crash(cluster);
  assert.equal((await sending).status, 202, "it was stored");
  await holding;
  await other.close().catch(() => {});
  await restart(cluster, stack);
  assert.deepEqual(
    await stack.database.query("select from public.bookings where external_id = $1", [id]),
    [],
    "half a transaction was left",
  );
  await endsWell(stack, organizationId);
}

/** Kills the server's first process; its children see that and end. */
async function crash(cluster: StoppableCluster): Promise<void> {
  const session = await openPostgres(cluster.url, { connections: 1 });
  const [found] = await session.query<{ data: string }>(
    "select current_setting('data_directory') as data",
  );
  await session.close();
  const [pid] = (await Deno.readTextFile(`${found?.data}/postmaster.pid`)).split("\n");
  Deno.kill(Number(pid), "SIGKILL");
}

async function restart(cluster: StoppableCluster, stack: TestStack): Promise<void> {
  // Until the last child has ended its memory is in use, and the server does not start.
  await eventually("Postgres starts again", () => cluster.start().then(() => true, () => false));
  // All connections of the API: what its client has sent on one that had just gone is never answered.
  await eventually("the stack reaches it again", async () => {
    const calls = Array.from(
      { length: 20 },
      () => stack.service.rpc("sync_status").abortSignal(AbortSignal.timeout(1_000)),
    );
    return (await Promise.all(calls)).every(({ error }) => error === null);
  });
}

async function endsWell(stack: TestStack, organizationId: string): Promise<void> {
  await drain(stack);
  await letTimePass(stack.database);
  await drain(stack);
  assert.deepEqual(await countByStatus(stack.database, organizationId), { succeeded: 1 });
  const rows = await stack.database.query(
    `select b.title, count(h.id)::integer as writes from public.bookings b
     join public.booking_history h on h.booking_id = b.id
     where b.organization_id = $1 group by b.title`,
    [organizationId],
  );
  assert.deepEqual(rows, [{ title: "Efter", writes: 1 }]);
}
