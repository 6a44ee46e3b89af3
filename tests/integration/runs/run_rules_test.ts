import assert from "node:assert/strict";
import { untilHeld } from "../../support/deliveries.ts";
import { useStack } from "../../support/stack.ts";
import {
  cursorOf,
  eventflowBooking,
  historyCounts,
  run,
  runWell,
  seedBookings,
} from "./support.ts";

const stackTest = useStack({
  eventflow: { count: 3, productsPerBooking: 1 },
  headout: { count: 2 },
});

/** More files than a booking may have: nothing less stops one. */
const tooMany = Array.from(
  { length: 5_001 },
  (_, n) => ({ url: `https://files.example/${n}.pdf` }),
);

stackTest(
  "a booking that cannot be taken is named and blocks neither the others nor the cursor",
  async (stack) => {
    const organizationId = await stack.organization();
    await seedBookings(
      stack,
      organizationId,
      5,
      (number) =>
        number === 2 ? { attachments: tooMany } : number === 3
          ? {
            organization_id: organizationId,
            products: [{ id: "x", name: "n", quantity: "9e999" }],
          }
          : {},
    );
    const answer = await runWell(stack, organizationId, { syncMode: "full" });
    assert.equal(answer.completed, true);
    assert.deepEqual(
      answer.counters.refused.map((each: { external_id: string }) => each.external_id).includes(
        "b-0002",
      ),
      true,
    );
    assert.deepEqual(answer.counters.verdicts, { created: 4, invalid: 1 });
    assert.ok(await cursorOf(stack.database, organizationId));
  },
);

stackTest("a stored booking that can no longer be taken is not missing", async (stack) => {
  const organizationId = await stack.organization();
  await seedBookings(stack, organizationId, 3);
  await runWell(stack, organizationId, { syncMode: "full" });
  await stack.eventflow.patch("b-0001", { attachments: tooMany });
  const answer = await runWell(stack, organizationId, { syncMode: "reconcile" });
  assert.deepEqual([answer.counters.verdicts, answer.drift], [{ invalid: 1, unchanged: 2 }, []]);
});

stackTest("bookings over before the connection's first day are left to history", async (stack) => {
  const organizationId = await stack.organization();
  await stack.database.query(
    "update sync.connections set not_before = '2027-06-22' where organization_id = $1",
    [organizationId],
  );
  await seedBookings(
    stack,
    organizationId,
    3,
    (number) =>
      number === 0
        ? { rig_down_dates: ["2027-06-22"] }
        : number === 1
        ? { rig_up_dates: [], event_dates: [], rig_down_dates: [] }
        : {},
  );
  const answer = await runWell(stack, organizationId, { syncMode: "full" });
  assert.deepEqual(answer.counters.verdicts, { created: 2, skipped: 1 });
  const single = await stack.postImport({ booking_id: "b-0002", organization_id: organizationId });
  assert.deepEqual([single.status, single.body.outcome, single.body.warnings.at(-1).code], [
    200,
    "unchanged",
    "before_first_day",
  ]);
  const drift = await runWell(stack, organizationId, { syncMode: "reconcile" });
  assert.deepEqual(drift.drift, []);
  // Once the connection has no first day, the next run applies them.
  await stack.database.query(
    "update sync.connections set not_before = null where organization_id = $1",
    [organizationId],
  );
  const all = await runWell(stack, organizationId, { syncMode: "full" });
  assert.deepEqual(all.counters.verdicts, { created: 1, unchanged: 2 });
});

stackTest(
  "incremental asks for what changed since its cursor and moves it, also when there is nothing",
  async (stack) => {
    const organizationId = await stack.organization();
    await seedBookings(stack, organizationId, 4, () => ({ updated_at: "2026-08-04T17:11:00Z" }));
    const first = await runWell(stack, organizationId, { syncMode: "incremental" });
    assert.deepEqual(first.counters.verdicts, { created: 4 });
    await backdateCursor(organizationId);
    const cursor = await cursorOf(stack.database, organizationId);
    await stack.eventflow.patch("b-0001", { title: "Ny" });
    await stack.eventflow.request("DELETE", "/requests");
    const second = await runWell(stack, organizationId, { syncMode: "incremental" });
    assert.deepEqual(second.counters.verdicts, { updated: 1 });
    const { requests } = await stack.eventflow.requests() as unknown as {
      readonly requests: readonly { readonly query: { readonly since: string } }[];
    };
    assert.equal(Date.parse(requests[0]!.query.since), Date.parse(String(cursor)));
    const moved = await cursorOf(stack.database, organizationId);
    assert.ok(Date.parse(String(moved)) > Date.parse(String(cursor)));
    await backdateCursor(organizationId);
    const before = await cursorOf(stack.database, organizationId);
    await stack.eventflow.setFault({ mode: "empty", count: 1 });
    const empty = await runWell(stack, organizationId, { syncMode: "incremental" });
    assert.deepEqual([empty.completed, empty.counters.bookings], [true, 0]);
    assert.ok(
      Date.parse(String(await cursorOf(stack.database, organizationId))) >
        Date.parse(String(before)),
    );

    async function backdateCursor(id: string): Promise<void> {
      await stack.database.query(
        "update sync.connections set cursor = cursor - interval '1 hour' where organization_id = $1",
        [id],
      );
    }
  },
);

stackTest(
  "incremental since a later instant than the cursor proves nothing and moves no cursor",
  async (stack) => {
    const organizationId = await stack.organization();
    await runWell(stack, organizationId, { syncMode: "incremental" });
    await stack.database.query(
      "update sync.connections set cursor = '2026-01-01' where organization_id = $1",
      [organizationId],
    );
    const since = "2026-06-01T00:00:00+02:00";
    const answer = await runWell(stack, organizationId, { syncMode: "incremental", since });
    assert.equal(answer.parameters.since, "2026-05-31T22:00:00.000Z");
    assert.equal(
      Date.parse(String(await cursorOf(stack.database, organizationId))),
      Date.parse("2026-01-01"),
    );
  },
);

stackTest("full over a span of days asks for them and moves no cursor", async (stack) => {
  const organizationId = await stack.organization();
  await seedBookings(
    stack,
    organizationId,
    2,
    (number) => number === 0 ? { event_dates: ["2027-08-01"] } : {},
  );
  const span = { start_date: "2027-07-01", end_date: "2027-09-01" };
  const answer = await runWell(stack, organizationId, { syncMode: "full", ...span });
  assert.deepEqual([answer.counters.verdicts, answer.parameters], [{ created: 1 }, span]);
  assert.equal(await cursorOf(stack.database, organizationId), null);
});

stackTest(
  "a paused connection is not read, and a run that is paused underway loses nothing",
  async (stack) => {
    const organizationId = await stack.organization();
    await seedBookings(stack, organizationId, 3);
    const pause = (on: boolean) =>
      stack.service.rpc(on ? "pause_connection" : "resume_connection", {
        organization_id: organizationId,
        source: "eventflow",
        ...(on ? { reason: "test" } : {}),
      });
    await stack.eventflow.setFault({ mode: "hold" });
    const calling = run(stack, organizationId, { syncMode: "full" });
    await untilHeld(stack, 1);
    await pause(true);
    await stack.eventflow.clearFaults();
    const { status, body } = await calling;
    assert.deepEqual([status, body.completed, body.next], [200, false, "paused"]);
    const refused = await run(stack, organizationId, { syncMode: "full" });
    assert.deepEqual([refused.status, refused.body.error.code], [503, "sync_paused"]);
    await stack.postImport({ syncMode: "drain" });
    assert.deepEqual(await historyCounts(stack.database, organizationId), []);
    await pause(false);
    await stack.postImport({ syncMode: "drain" });
    assert.deepEqual(await historyCounts(stack.database, organizationId), [
      { verdict: "created", times: 1, bookings: 3 },
    ]);
  },
);

stackTest(
  "without an organization every connection has its run, and the answer lists them",
  async (stack) => {
    const [mine, theirs] = [await stack.organization(), await stack.organization()];
    const { status, body } = await stack.postImport({ syncMode: "incremental" });
    assert.deepEqual([status, body.success, body.completed, body.next], [200, true, true, null]);
    for (const organizationId of [mine, theirs]) {
      const own = body.runs.filter((each: { organization_id: string }) =>
        each.organization_id === organizationId
      );
      assert.deepEqual(own.map((each: { source: string }) => each.source), [
        "eventflow",
        "headout",
      ]);
    }
    const sum = body.runs.reduce(
      (all: number, each: { counters: { bookings: number } }) => all + each.counters.bookings,
      0,
    );
    assert.equal(body.counters.bookings, sum);
  },
);

stackTest("an unknown organization and malformed fields are named", async (stack) => {
  const unknown = await run(stack, crypto.randomUUID(), { syncMode: "full" });
  assert.deepEqual([unknown.status, unknown.body.error.details[0].code], [
    400,
    "unknown_organization",
  ]);
  for (
    const [fields, field] of [
      [{ syncMode: "incremental", since: "yesterday" }, "since"],
      [{ syncMode: "full", start_date: "2027-02-31" }, "start_date"],
      [{ syncMode: "full", start_date: "2027-03-01", end_date: "2027-02-01" }, "end_date"],
      [{ syncMode: "reconcile", repair: "yes" }, "repair"],
      [{ syncMode: "full", source: "fortnox" }, "source"],
    ] as const
  ) {
    const { status, body } = await stack.postImport({
      ...fields,
      organization_id: crypto.randomUUID(),
    });
    assert.deepEqual([status, body.error.details[0].field], [400, field]);
  }
});

stackTest(
  "what is gone from the source is marked missing after two sightings and a read, and nothing else of it changes",
  async (stack) => {
    const organizationId = await stack.organization();
    await seedBookings(stack, organizationId, 2);
    await runWell(stack, organizationId, { syncMode: "full" });
    // Never was there, so that the read alone says not_found.
    await stack.database.query(
      `insert into public.bookings (organization_id, source, external_id, title, status, created_at)
     values ($1, 'eventflow', 'gone', 'Borta', 'CONFIRMED', now() - interval '1 day')`,
      [organizationId],
    );
    const state = async () => {
      const [row] = await stack.database.query(
        `select status, title, source_missing_since is not null as missing from public.bookings
       where organization_id = $1 and external_id = 'gone'`,
        [organizationId],
      );
      return row;
    };
    const untouched = { status: "CONFIRMED", title: "Borta", missing: false };
    for (const sighting of [1, 2]) {
      const answer = await runWell(stack, organizationId, { syncMode: "reconcile" });
      assert.deepEqual(answer.drift_counts, {
        missing_at_source: { fields: 1, bookings: 1, repaired: 0 },
      });
      const deliveries = await stack.database.query(
        `select d.event_type from sync.deliveries d join sync.connections c on c.id = d.connection_id
       where c.organization_id = $1 and d.status = 'pending'`,
        [organizationId],
      );
      assert.equal(deliveries.length, sighting - 1);
      assert.deepEqual(await state(), untouched);
    }
    await stack.postImport({ syncMode: "drain" });
    assert.deepEqual(await state(), { ...untouched, missing: true });
    const after = await runWell(stack, organizationId, { syncMode: "reconcile" });
    assert.deepEqual(after.drift, []);
  },
);

stackTest("what came back is no longer missing", async (stack) => {
  const organizationId = await stack.organization();
  await seedBookings(stack, organizationId, 1);
  await runWell(stack, organizationId, { syncMode: "full" });
  await stack.database.query(
    "update sync.source_states set missing_sightings = 1, missing_first_seen_at = now() where organization_id = $1",
    [organizationId],
  );
  await runWell(stack, organizationId, { syncMode: "reconcile" });
  const states = await stack.database.query(
    "select missing_sightings from sync.source_states where organization_id = $1",
    [organizationId],
  );
  assert.deepEqual(states, [{ missing_sightings: 0 }]);
  assert.equal(eventflowBooking(organizationId, 0).id, "b-0000");
});
