import { buildSnapshot, secondsAgo } from "../../support/booking_builder.ts";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";
import { decodePage, eventflowBooking } from "../../support/eventflow_answer.ts";
import { only, type Tenant } from "../../support/tenant.ts";
import assert from "node:assert/strict";

const test = useDatabase();

interface Run {
  readonly outcome: string;
  readonly run_id: string;
  readonly lease_token: string;
  readonly checkpoint: Readonly<Record<string, unknown>>;
  readonly started_at: string;
}

async function begin(
  db: BookingDatabase,
  tenant: Tenant,
  mode = "incremental",
  parameters: Readonly<Record<string, unknown>> = {},
): Promise<Run> {
  const place = { organization_id: tenant.id, source: "eventflow" };
  return only(await db.rpc<Run>("begin_run", { ...place, mode, parameters }));
}

function lease({ run_id, lease_token }: Run) {
  return { run_id, lease_token };
}

test("rule: work is bounded and resumes: a run that died goes on from its checkpoint, and its old worker is shut out", async (db) => {
  const tenant = await db.tenant();
  const dead = await begin(db, tenant, "full");
  const page = { counters: {}, snapshots: [buildSnapshot()] };
  await db.rpc("checkpoint_run", { ...lease(dead), checkpoint: { page: 2 }, ...page });
  assert.equal((await begin(db, tenant, "full")).outcome, "busy");
  await db.query("update sync.runs set heartbeat_at = now() - interval '61 s' where id = $1", [
    dead.run_id,
  ]);
  const heir = await begin(db, tenant, "full");
  assert.deepEqual([heir.outcome, heir.run_id, heir.checkpoint], [
    "resumed",
    dead.run_id,
    { page: 2 },
  ]);
  const late = db.rpc("checkpoint_run", { ...lease(dead), checkpoint: { page: 3 }, ...page });
  await assert.rejects(late, { code: "PT409" });
  const finished = await db.rpc("finish_run", { ...lease(dead), status: "completed" });
  assert.deepEqual(Object.values(only(finished)), [false]);
});

async function cursor(tenant: Tenant): Promise<unknown> {
  return only(await tenant.select("sync.connections", "cursor", "and source = 'eventflow'")).cursor;
}

test("rule: one booking stops nothing: an invalid booking stops neither its page nor the cursor", async (db) => {
  const tenant = await db.tenant();
  const run = await begin(db, tenant);
  const bad = buildSnapshot({ external_id: "bad", booking: { latitude: "x" as never } });
  const verdicts = await db.rpc("checkpoint_run", {
    ...lease(run),
    checkpoint: {},
    counters: {},
    snapshots: [bad, buildSnapshot({ external_id: "good" })],
  });
  assert.deepEqual(verdicts.map(({ verdict }) => verdict), ["invalid", "created"]);
  await db.rpc("finish_run", { ...lease(run), status: "completed" });
  assert.notEqual(await cursor(tenant), null);
});

test("rule: the cursor moves only past what is applied: the cursor never goes backwards", async (db) => {
  const tenant = await db.tenant();
  await db.query(
    "update sync.connections set cursor = now() + interval '1 day' where organization_id = $1",
    [tenant.id],
  );
  const before = await cursor(tenant);
  for (const mode of ["incremental", "full"]) {
    await db.rpc("finish_run", { ...lease(await begin(db, tenant, mode)), status: "completed" });
    assert.equal(await cursor(tenant), before, mode);
  }
});

const proveNothing: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "over a span of dates": { start_date: "2027-01-01", end_date: "2027-02-01" },
  "from a later instant than the cursor": { since: secondsAgo(60) },
};

for (const [name, parameters] of Object.entries(proveNothing)) {
  test(`rule: the cursor moves only past what is applied: a run ${name} does not move the cursor`, async (db) => {
    const tenant = await db.tenant();
    await db.query(
      "update sync.connections set cursor = now() - interval '1 day' where organization_id = $1",
      [tenant.id],
    );
    const before = await cursor(tenant);
    const run = await begin(db, tenant, "incremental", parameters);
    await db.rpc("finish_run", { ...lease(run), status: "completed" });
    assert.equal(await cursor(tenant), before);
  });
}

test("rule: the cursor moves only past what is applied: a valid empty list moves the cursor", async (db) => {
  const tenant = await db.tenant();
  const run = await begin(db, tenant);
  await db.rpc("checkpoint_run", { ...lease(run), checkpoint: {}, counters: {}, snapshots: [] });
  await db.rpc("finish_run", { ...lease(run), status: "completed" });
  assert.notEqual(await cursor(tenant), null);
});

test("rule: pausing costs nothing: a pause in the middle of a run loses no page of it", async (db) => {
  const tenant = await db.tenant();
  const run = await begin(db, tenant);
  const place = { organization_id: tenant.id, source: "eventflow" };
  await db.rpc("checkpoint_run", {
    ...lease(run),
    checkpoint: { page: 2 },
    counters: {},
    snapshots: [buildSnapshot({ external_id: "page-1" })],
  });
  await db.rpc("pause_connection", { ...place, reason: "maintenance" });
  const taken = db.rpc("checkpoint_run", {
    ...lease(run),
    checkpoint: { page: 3 },
    counters: {},
    snapshots: [buildSnapshot({ external_id: "page-2" })],
  });
  await assert.rejects(taken, { code: "PT423" });
  const [kept] = await tenant.select("sync.runs", "checkpoint");
  assert.deepEqual(
    kept,
    { checkpoint: { page: 2 } },
    "the run goes on after a page it never applied",
  );
});

test("rule: pausing costs nothing: a paused connection begins no run and claims nothing", async (db) => {
  const tenant = await db.tenant();
  await db.rpc("pause_connection", {
    organization_id: tenant.id,
    source: "eventflow",
    reason: "maintenance",
  });
  assert.equal((await begin(db, tenant)).outcome, "paused");
  assert.equal((await tenant.applyOne(buildSnapshot())).verdict, "paused");
  assert.deepEqual(await tenant.select("bookings", "id"), []);
});

test("incident: the cursor moved too early: the cursor moves with a completed run, to when the run began", async (db) => {
  const [tenant, other] = [await db.tenant(), await db.tenant()];
  const cursor = async (of = tenant) =>
    only(await of.select("sync.connections", "cursor", "and source = 'eventflow'")).cursor;
  const arguments_ = { organization_id: tenant.id, source: "eventflow", mode: "incremental" };
  const run = only(await db.rpc("begin_run", arguments_));
  const lease = { run_id: run.run_id, lease_token: run.lease_token };
  await db.rpc("checkpoint_run", {
    ...lease,
    checkpoint: { page: 2 },
    counters: {},
    snapshots: [buildSnapshot()],
  });
  assert.equal(await cursor(), null, "a checkpoint moved the cursor");
  await db.rpc("finish_run", { ...lease, status: "stopped" });
  assert.equal(await cursor(), null, "a stopped run moved the cursor");
  const again = only(await db.rpc("begin_run", arguments_));
  assert.deepEqual([again.outcome, again.run_id], ["resumed", run.run_id]);
  await db.rpc("finish_run", {
    run_id: again.run_id,
    lease_token: again.lease_token,
    status: "completed",
  });
  const proven = await db.query(
    `select c.cursor = r.started_at - interval '10 minutes' as as_begun from sync.connections c
     join sync.runs r on r.organization_id = c.organization_id and r.source = c.source
     where r.id = $1`,
    [run.run_id],
  );
  assert.deepEqual(proven, [{ as_begun: true }]);
  assert.equal(await cursor(other), null, "another tenant's cursor moved");
});

test("incident: one booking froze the cursor: a booking without dates lands and freezes no cursor", async (db) => {
  const tenant = await db.tenant();
  const page = decodePage(tenant, [
    eventflowBooking({ id: "dated" }),
    { id: "dateless", title: "Utan datum", status: "CONFIRMED" },
    eventflowBooking({ id: "misdated", event_dates: ["2027-13-45"] }),
    eventflowBooking({ id: "broken", organization_id: crypto.randomUUID() }),
  ]);
  assert.deepEqual(page.invalid.map(({ external_id, field }) => [external_id, field]), [
    ["broken", "organization_id"],
  ]);
  const run = only(
    await db.rpc("begin_run", {
      organization_id: tenant.id,
      source: "eventflow",
      mode: "incremental",
    }),
  );
  const lease = { run_id: run.run_id, lease_token: run.lease_token };
  const verdicts = await db.rpc("checkpoint_run", {
    ...lease,
    checkpoint: {},
    counters: {},
    snapshots: page.snapshots,
  });
  assert.deepEqual(verdicts.map(({ verdict }) => verdict), ["created", "created", "created"]);
  await db.rpc("finish_run", { ...lease, status: "completed" });
  const [connection] = await tenant.select(
    "sync.connections",
    "cursor is not null as moved",
    "and source = 'eventflow'",
  );
  assert.deepEqual(connection, { moved: true });
});
