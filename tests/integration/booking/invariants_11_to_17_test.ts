import assert from "node:assert/strict";
import { SourceError } from "../../../supabase/functions/_shared/source/source_error.ts";
import { buildSnapshot, secondsAgo } from "../../support/booking_builder.ts";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";
import { decodeAnswer, eventflowBooking, foundAnswer } from "../../support/eventflow_answer.ts";
import { only, type Tenant } from "../../support/tenant.ts";

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

async function cursor(tenant: Tenant): Promise<unknown> {
  return only(await tenant.select("sync.connections", "cursor", "and source = 'eventflow'")).cursor;
}

test("invariant 11: a dead worker's lease ends, and its attempt is counted", async (db) => {
  const tenant = await db.tenant();
  const { delivery_id } = await tenant.receive("booking-1");
  assert.deepEqual(
    await db.rpc("claim_deliveries", {}),
    [],
    "a lease was taken from a live worker",
  );
  await db.query("update sync.deliveries set leased_until = now() - interval '1 s' where id = $1", [
    delivery_id,
  ]);
  const again = only(await db.rpc("claim_deliveries", {}));
  assert.deepEqual([again.delivery_id, again.attempts], [delivery_id, 2]);
});

test("invariant 11: a run that died goes on from its checkpoint, and its old worker is shut out", async (db) => {
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

test("invariant 11: attempts end after nine, and the delivery is kept as dead", async (db) => {
  const tenant = await db.tenant();
  let { delivery_id, lease_token } = await tenant.receive("booking-1");
  const waits: number[] = [];
  for (let attempt = 1;; attempt++) {
    const given = only(
      await db.rpc("finish_delivery", {
        delivery_id,
        lease_token,
        status: "pending",
        last_error: { code: "source_unavailable" },
      }),
    );
    if (given.status === "dead") break;
    assert.ok(attempt < 20, "it is tried for ever");
    const [row] = await db.query<{ wait: number }>(
      "select extract(epoch from next_attempt_at - now())::float8 as wait from sync.deliveries where id = $1",
      [delivery_id],
    );
    waits.push(Number(row?.wait));
    await db.query("update sync.deliveries set next_attempt_at = now() where id = $1", [
      delivery_id,
    ]);
    const claimed = only(await db.rpc("claim_deliveries", {}));
    lease_token = String(claimed.lease_token);
    delivery_id = String(claimed.delivery_id);
  }
  assert.equal(waits.length, 8);
  for (const [index, wait] of waits.entries()) {
    if (index > 0) assert.ok(wait > (waits[index - 1] ?? 0), `waits do not grow: ${waits}`);
  }
});

test("invariant 12: an invalid booking stops neither its page nor the cursor", async (db) => {
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

test("invariant 13: the cursor never goes backwards", async (db) => {
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
  test(`invariant 13: a run ${name} does not move the cursor`, async (db) => {
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

test("invariant 13: a valid empty list moves the cursor", async (db) => {
  const tenant = await db.tenant();
  const run = await begin(db, tenant);
  await db.rpc("checkpoint_run", { ...lease(run), checkpoint: {}, counters: {}, snapshots: [] });
  await db.rpc("finish_run", { ...lease(run), status: "completed" });
  assert.notEqual(await cursor(tenant), null);
});

test("invariant 14: a pause in the middle of a run loses no page of it", async (db) => {
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

test("invariant 14: a paused connection begins no run and claims nothing", async (db) => {
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

test("invariant 16: an unknown major is an error, unknown fields are kept", async (db) => {
  const tenant = await db.tenant();
  for (const version of ["2.0", "0.9", "banana"]) {
    const answer = foundAnswer(eventflowBooking(), { contract_version: version });
    assert.throws(() => decodeAnswer(tenant, answer), SourceError, version);
  }
  const news = { a_new_field: { deep: [1, null] }, another: false };
  await tenant.applyOne(decodeAnswer(tenant, foundAnswer(eventflowBooking(news))));
  assert.deepEqual(await tenant.select("bookings", "extra"), [{ extra: news }]);
});

test("invariant 17: every change says who, when, by which delivery, and what before and after", async (db) => {
  const tenant = await db.tenant();
  const first = await tenant.receive("booking-1");
  const { booking_id } = await tenant.applyOne(buildSnapshot(), {
    delivery_id: first.delivery_id,
    lease_token: first.lease_token,
  });
  await tenant.asPlanner((sql) => sql.query("update public.bookings set planner_notes = 'Vårt'"));
  const second = await tenant.receive("booking-1");
  await tenant.applyOne(buildSnapshot({ booking: { title: "Höstfest" } }), {
    delivery_id: second.delivery_id,
    lease_token: second.lease_token,
  });
  const history = await tenant.select<Record<string, unknown>>(
    "booking_history",
    "actor, actor_id, delivery_id, verdict, changes",
    "order by id",
  );
  assert.deepEqual(history.slice(1), [
    {
      actor: "planner",
      actor_id: tenant.userId,
      delivery_id: null,
      verdict: "updated",
      changes: { "bookings.planner_notes": [null, "Vårt"] },
    },
    {
      actor: "webhook",
      actor_id: null,
      delivery_id: second.delivery_id,
      verdict: "updated",
      changes: { "bookings.title": ["Sommarfest", "Höstfest"] },
    },
  ]);
  const told = await db.rpc("explain_booking", { booking_id });
  const words = told.map(({ summary }) => String(summary)).join("\n");
  for (const said of ["title: Sommarfest → Höstfest", tenant.userId, "planner_notes"]) {
    assert.ok(words.includes(said), `${said} is not told:\n${words}`);
  }
});
