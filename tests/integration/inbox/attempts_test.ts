import { SourceError } from "../../../supabase/functions/_shared/source/source_error.ts";
import { buildSnapshot } from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { decodeAnswer } from "../../support/eventflow_answer.ts";
import { only } from "../../support/tenant.ts";
import assert from "node:assert/strict";

const test = useDatabase();

test("rule: work is bounded and resumes: a dead worker's lease ends, and its attempt is counted", async (db) => {
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

test("rule: work is bounded and resumes: attempts end after nine, and the delivery is kept as dead", async (db) => {
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

test("incident: stuck at its last attempt: a job stuck at its last attempt does not swallow later webhooks", async (db) => {
  const tenant = await db.tenant();
  const stuck = await tenant.receive("booking-1");
  await db.query(
    "update sync.deliveries set attempts = 9, leased_until = now() - interval '1 s' where id = $1",
    [stuck.delivery_id],
  );
  const next = await tenant.receive("booking-1");
  assert.equal(next.outcome, "claimed", "the dead worker's lease still blocks the booking");
  const { delivery_id, lease_token } = next;
  const verdict = await tenant.applyOne(buildSnapshot(), { delivery_id, lease_token });
  assert.equal(verdict.verdict, "created");
  const late = await tenant.applyOne(buildSnapshot({ booking: { title: "Sent" } }), {
    delivery_id: stuck.delivery_id,
    lease_token: stuck.lease_token,
  });
  assert.equal(late.verdict, "lease_lost", "a worker without its lease applied something");
});

test("incident: stuck at its last attempt: a job that dies at its last attempt becomes a dead letter", async (db) => {
  const tenant = await db.tenant();
  const stuck = await tenant.receive("booking-1");
  await db.query(
    "update sync.deliveries set attempts = 9, leased_until = now() - interval '1 s' where id = $1",
    [stuck.delivery_id],
  );
  assert.deepEqual(await db.rpc("claim_deliveries", {}), []);
  const ended = await db.query(
    "select status, attempts, last_error ->> 'code' as code from sync.deliveries where id = $1",
    [stuck.delivery_id],
  );
  assert.deepEqual(ended, [{ status: "dead", attempts: 9, code: "lease_expired" }]);
});

test("incident: pausing burned attempts: a pause burns no attempt and loses nothing", async (db) => {
  const tenant = await db.tenant();
  const running = await tenant.receive("booking-1");
  const place = { organization_id: tenant.id, source: "eventflow" };
  await db.rpc("pause_connection", { ...place, reason: "maintenance" });
  const paused = await tenant.applyOne(buildSnapshot(), {
    delivery_id: running.delivery_id,
    lease_token: running.lease_token,
  });
  assert.equal(paused.verdict, "paused");
  const waiting = await tenant.receive("booking-2");
  assert.deepEqual([waiting.outcome, waiting.reason], ["deferred", "paused"]);
  const given = only(
    await db.rpc("finish_delivery", {
      delivery_id: running.delivery_id,
      lease_token: running.lease_token,
      status: "pending",
      last_error: { code: "sync_paused" },
    }),
  );
  assert.deepEqual([given.status, given.attempts], ["pending", 0]);
  for (let tick = 0; tick < 20; tick++) {
    assert.deepEqual(await db.rpc("claim_deliveries", {}), []);
  }
  await db.rpc("resume_connection", place);
  const claimed = await db.rpc("claim_deliveries", {});
  assert.deepEqual(
    claimed.map(({ external_id, attempts }) => [external_id, attempts]).sort(),
    [["booking-1", 1], ["booking-2", 1]],
  );
});

test("incident: throttled counted as done: a read that was throttled half way counts as not done", async (db) => {
  const tenant = await db.tenant();
  const place = { organization_id: tenant.id, source: "eventflow", mode: "incremental" };
  const first = only(await db.rpc("begin_run", place));
  await db.rpc("finish_run", {
    run_id: first.run_id,
    lease_token: first.lease_token,
    status: "completed",
  });
  const cursor = async () =>
    only(await tenant.select("sync.connections", "cursor", "and source = 'eventflow'")).cursor;
  const before = await cursor();
  const run = only(await db.rpc("begin_run", place));
  const lease = { run_id: run.run_id, lease_token: run.lease_token };
  await db.rpc("checkpoint_run", {
    ...lease,
    checkpoint: { page: 2 },
    counters: {},
    snapshots: [buildSnapshot()],
  });
  assert.throws(() => decodePage429(), SourceError);
  await db.rpc("finish_run", { ...lease, status: "failed", error: { code: "rate_limited" } });
  assert.equal(await cursor(), before);
  assert.equal(only(await db.rpc("begin_run", place)).outcome, "started");

  function decodePage429(): unknown {
    return decodeAnswer(tenant, { success: false, error: "too many requests" });
  }
});

test("rule: work is bounded and resumes: nobody ends a delivery of another organization, whatever lease is named", async (db) => {
  const [ours, theirs] = [await db.tenant(), await db.tenant()];
  const { delivery_id, lease_token } = await theirs.receive("booking-1");
  const verdict = await ours.applyOne(buildSnapshot(), { delivery_id, lease_token });
  assert.equal(verdict.verdict, "lease_lost");
  assert.deepEqual(await ours.select("bookings", "id"), []);
  assert.deepEqual(
    await db.query("select status from sync.deliveries where id = $1", [delivery_id]),
    [
      { status: "processing" },
    ],
  );
  const own = await theirs.applyOne(buildSnapshot(), { delivery_id, lease_token });
  assert.equal(own.verdict, "created");
});
