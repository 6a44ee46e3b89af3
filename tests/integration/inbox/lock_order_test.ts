import assert from "node:assert/strict";
import { attachments, buildSnapshot } from "../../support/booking_builder.ts";
import {
  type BookingDatabase,
  callFunction,
  pgArray,
  useDatabase,
} from "../../support/booking_database.ts";
import { only, type Tenant } from "../../support/tenant.ts";

/*
 * Two calls that want the same rows. A third session holds one row until both wait, so that each has
 * what the other wants if they lock in different orders; then Postgres would break one of them off
 * with 40P01. An embedded database has one session, where nobody ever waits.
 */
const test = useDatabase();

const CANCELLED = { booking: { status: "CANCELLED" } } as const;

test("receive_delivery() and a drain's apply_snapshots() do not wait for each other", async (db) => {
  const tenant = await db.tenant();
  const leaving = buildSnapshot({ external_id: "leaving" });
  const same = buildSnapshot({ external_id: "same" });
  await tenant.apply([leaving, same]);
  const deliveries = [await tenant.receive("leaving"), await tenant.receive("same")];
  // Else nobody would note when the last delivery came.
  await db.query("update sync.connections set last_delivery_at = null where organization_id = $1", [
    tenant.id,
  ]);
  const [received, verdicts] = await collide(db, stateOf(tenant, "same"), [
    () => tenant.receive("same"),
    () =>
      db.rpc("apply_snapshots", {
        organization_id: tenant.id,
        source: "eventflow",
        snapshots: [buildSnapshot({ external_id: "leaving", ...CANCELLED }), same],
        deliveries: deliveries.map(({ delivery_id, lease_token }) => ({
          delivery_id,
          lease_token,
        })),
      }),
  ]);
  assert.equal(received.reason, "busy");
  assert.deepEqual(verdicts.map(({ verdict }) => verdict), ["updated", "unchanged"]);
});

test("begin_run() and a page of the same run do not wait for each other", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(buildSnapshot());
  const mode = { organization_id: tenant.id, source: "eventflow", mode: "full", parameters: {} };
  const run = only(await db.rpc("begin_run", mode));
  const connection = {
    sql: "select from sync.connections where organization_id = $1 for no key update",
    parameters: [tenant.id],
  };
  const [begun, verdicts] = await collide(db, connection, [
    () => db.rpc("begin_run", mode),
    () =>
      db.rpc("checkpoint_run", {
        run_id: run["run_id"],
        lease_token: run["lease_token"],
        checkpoint: {},
        counters: {},
        snapshots: [buildSnapshot(CANCELLED)],
      }),
  ]);
  assert.equal(only(begun)["outcome"], "busy");
  assert.equal(only(begun)["run_id"], run["run_id"]);
  assert.equal(only(verdicts)["verdict"], "updated");
});

test("release_held_changes() and the page of its booking do not wait for each other", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  await tenant.applyOne(buildSnapshot());
  await tenant.applyOne(buildSnapshot(CANCELLED));
  const { id } = only(await tenant.select<{ id: number }>("sync.held_changes", "id"));
  const [verdict, released] = await collide(db, stateOf(tenant, "booking-1"), [
    () => tenant.applyOne(buildSnapshot({ booking: { title: "Höstfest" } })),
    () => db.rpc("release_held_changes", { held_change_ids: pgArray([id]), by: "anna" }),
  ]);
  assert.equal(verdict.verdict, "updated");
  assert.equal(only(released)["outcome"], "decided_before"); // the source has said otherwise first
});

test("apply_headout_event() does not wait for the end of the event that it repeats", async (db) => {
  const tenant = await db.tenant();
  const at = "2026-01-15T10:30:00";
  const { delivery_id, lease_token } = await tenant.event("77", "COMPLETED", at);
  const [repeated, verdict] = await collide(db, stateOf(tenant, "77"), [
    () => tenant.event("77", "COMPLETED", at),
    () =>
      tenant.applyOne(buildSnapshot({ external_id: "77" }), {
        source: "headout",
        delivery_id,
        lease_token,
      }),
  ]);
  assert.equal(repeated.outcome, "duplicate");
  assert.equal(verdict.verdict, "updated");
});

test("replay_deliveries() does not wait for the end of what it replays", async (db) => {
  const tenant = await db.tenant();
  const { delivery_id, lease_token } = await tenant.receive("booking-1");
  const [replayed, verdict] = await collide(db, stateOf(tenant, "booking-1"), [
    () => db.rpc("replay_deliveries", { delivery_ids: pgArray([delivery_id]), count_only: false }),
    () => tenant.applyOne(buildSnapshot(), { delivery_id, lease_token }),
  ]);
  assert.equal(Number(only(replayed)["replayed"]), 1);
  assert.equal(verdict.verdict, "created");
});

test("a repair and a page of its bookings do not wait for each other", async (db) => {
  const tenant = await db.tenant();
  const page = (version: number, token: string) =>
    ["a", "b"].map((external_id) =>
      buildSnapshot({
        external_id,
        source_version: version,
        booking: { title: `v${version}` },
        attachments: attachments(`https://files.example/${external_id}.pdf?token=${token}`),
      })
    );
  await tenant.apply(page(1, "1"));
  const place = { organization_id: tenant.id, source: "eventflow", mode: "reconcile" };
  const run = only(await db.rpc("begin_run", { ...place, parameters: { repair: true } }));
  const link = {
    sql: `select from public.booking_attachments a join public.bookings b on b.id = a.booking_id
      where b.organization_id = $1 and b.external_id = 'b' for update of a`,
    parameters: [tenant.id],
  };
  const [repaired, verdicts] = await collide(db, link, [
    () =>
      db.rpc("checkpoint_run", {
        run_id: run["run_id"],
        lease_token: run["lease_token"],
        checkpoint: {},
        counters: {},
        snapshots: page(1, "2"),
      }),
    () => tenant.apply(page(2, "3").slice(0, 1)),
  ]);
  assert.equal(repaired.length, 2);
  assert.equal(verdicts.length, 1);
});

test("a page with a bad snapshot and another page do not wait for each other", async (db) => {
  const tenant = await db.tenant();
  const booking = (external_id: string, version: number, fields = {}) =>
    buildSnapshot({
      external_id,
      source_version: version,
      booking: { title: `v${version}`, ...fields },
    });
  await tenant.apply(["a", "b", "c", "d"].map((id) => booking(id, 1)));
  const row = {
    sql: "select from public.bookings where organization_id = $1 and external_id = 'c' for update",
    parameters: [tenant.id],
  };
  const [halved, whole] = await collide(db, row, [
    () =>
      tenant.apply([
        booking("c", 2),
        booking("d", 2, { latitude: "x" }),
        booking("a", 2),
        booking("b", 2),
      ]),
    () => tenant.apply(["a", "b", "c", "d"].map((id) => booking(id, 3))),
  ]);
  assert.deepEqual(halved.map(({ verdict }) => verdict).filter((each) => each === "invalid"), [
    "invalid",
  ]);
  assert.deepEqual(whole.map(({ verdict }) => verdict), Array(4).fill("updated"));
});

test("claim_deliveries() gives up dead workers' deliveries without waiting for a page", async (db) => {
  const tenant = await db.tenant();
  await tenant.apply(["a", "b"].map((external_id) => buildSnapshot({ external_id })));
  for (const [external_id, seconds] of [["b", 2], ["a", 1]] as const) {
    const { delivery_id } = await tenant.receive(external_id);
    await db.query(
      `update sync.deliveries set attempts = 9, leased_until = now() - make_interval(secs => $2) where id = $1`,
      [delivery_id, seconds],
    );
  }
  await collide(db, stateOf(tenant, "a"), [
    () =>
      tenant.apply(
        ["a", "b"].map((external_id) => buildSnapshot({ external_id, booking: { title: "v2" } })),
      ),
    () => db.rpc("claim_deliveries", { max_deliveries: 5 }),
  ]);
  await db.rpc("claim_deliveries", { max_deliveries: 5 });
  const left = await db.query(
    `select d.status from sync.deliveries d join sync.connections c on c.id = d.connection_id
     where c.organization_id = $1`,
    [tenant.id],
  );
  assert.deepEqual(left, [{ status: "dead" }, { status: "dead" }]);
});

test("claim_deliveries() and a call by hand do not wait for each other", async (db) => {
  const tenant = await db.tenant();
  const { delivery_id } = await tenant.receive("booking-1", { claim: false });
  if (db.database.kind !== "postgres") return;
  const { claim } = await db.database.transaction(async (sql) => {
    await sql.query("select from sync.hold_lease($1, null)", [delivery_id]);
    const claim = db.rpc("claim_deliveries", {});
    await Promise.race([untilWaiting(db, 1), claim.catch(() => {})]);
    await callFunction(sql, "apply_snapshots", {
      organization_id: tenant.id,
      source: "eventflow",
      snapshots: [buildSnapshot()],
      delivery_id,
    });
    return { claim };
  });
  assert.deepEqual(await claim, []);
});

interface Lock {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

function stateOf(tenant: Tenant, externalId: string): Lock {
  return {
    sql:
      "select from sync.source_states where organization_id = $1 and external_id = $2 for update",
    parameters: [tenant.id, externalId],
  };
}

/**
 * Begins both calls while the row is locked, the second once the first waits, and lets the row go when
 * the second waits too; returns what they answer.
 */
async function collide<First, Second>(
  db: BookingDatabase,
  lock: Lock,
  [first, second]: readonly [() => Promise<First>, () => Promise<Second>],
): Promise<[First, Second]> {
  if (db.database.kind !== "postgres") return [await first(), await second()];
  const calls = await db.database.transaction(async (sql) => {
    await sql.query(lock.sql, lock.parameters);
    const one = first();
    await untilWaiting(db, 1);
    const two = second();
    // A session that skips locked rows does not wait at all.
    await Promise.race([untilWaiting(db, 2), two.catch(() => {})]);
    return { both: Promise.all([one, two]) };
  });
  return await calls.both;
}

async function untilWaiting(db: BookingDatabase, sessions: number): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { waiting } = only(
      await db.query<{ waiting: number }>(
        `select count(*)::integer as waiting from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      ),
    );
    if (waiting >= sessions) return;
    if (Date.now() > deadline) throw new Error(`Only ${waiting} of ${sessions} sessions wait`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
