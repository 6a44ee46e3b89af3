import assert from "node:assert/strict";
import postgres from "postgres";
import { checkRows } from "../../local/demo/expectations.ts";
import { openDatabase } from "../../local/database/open.ts";
import { startPsqlSocket } from "../../local/database/psql_socket.ts";
import { freePort } from "../../local/free_port.ts";
import { projectPaths } from "../../local/paths.ts";
import { demoOrganizationId, seedDemo } from "../../local/seed_demo.ts";
import { seedId } from "../../local/simulators/eventflow/seed.ts";
import { sampleBookingId, sampleEvent } from "../../local/simulators/headout/seed.ts";
import { bodyOf, eventually } from "../support/answers.ts";
import { startTestStack } from "../support/stack.ts";

// What `deno task start` and `deno task demo` run on, whatever the other tests run on.
Deno.test({
  name: "the stack on PGlite takes both webhooks, ends in the demo's rows and lets psql in",
  sanitizeOps: false,
  sanitizeResources: false,
  sanitizeExit: false,
  async fn(): Promise<void> {
    const database = await openDatabase({ paths: projectPaths(), inMemory: true });
    assert.equal(database.kind, "pglite");
    const stack = await startTestStack({ database, seed: seedDemo });
    try {
      const said = { booking_id: seedId(0), organization_id: demoOrganizationId };
      assert.equal(bodyOf(await stack.postEventflow(said)).sync.outcome, "created");
      assert.equal(bodyOf(await stack.postEventflow(said)).sync.outcome, "unchanged");
      assert.equal(bodyOf(await stack.postHeadout(sampleEvent)).outcome, "stub_created");
      await eventually("the re-fetch ends", async () => {
        const whole = await database.query(
          "select from public.bookings where source = 'headout' and not is_stub",
        );
        return whole.length === 1;
      });
      assert.equal(bodyOf(await stack.postHeadout(sampleEvent)).outcome, "duplicate");
      const rows = await checkRows(database, {
        organizationId: demoOrganizationId,
        eventflow: await stack.eventflow.get(seedId(0)),
        headoutId: sampleBookingId,
      });
      assert.deepEqual(rows.filter(({ holds }) => !holds), []);
      assert.deepEqual(await askAsPsql(database), ["2"]);
    } finally {
      await stack.stop();
      await database.close();
    }
  },
});

/** Counts the bookings over Postgres' own protocol. */
async function askAsPsql(database: Awaited<ReturnType<typeof openDatabase>>) {
  const socket = await startPsqlSocket(database, freePort());
  assert.ok(socket);
  const client = postgres(socket.url, { max: 1, onnotice: () => {} });
  try {
    const rows = await client.unsafe("select count(*)::text as count from public.bookings")
      .simple();
    return rows.map((row) => row.count as string);
  } finally {
    await client.end({ timeout: 1 });
    await socket.stop();
  }
}
