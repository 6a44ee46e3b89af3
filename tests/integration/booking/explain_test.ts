import assert from "node:assert/strict";
import {
  buildSnapshot,
  complete,
  days,
  EVENT_DAY,
  products,
  RIG_DAY,
  RIGDOWN_DAY,
} from "../../support/booking_builder.ts";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";

const test = useDatabase();

async function explain(db: BookingDatabase, bookingId: unknown): Promise<readonly string[]> {
  const lines = await db.rpc<{ summary: string }>("explain_booking", { booking_id: bookingId });
  return lines.map(({ summary }) => summary);
}

test("explain_booking() says in words what the source no longer lists, and lists again", async (db) => {
  const tenant = await db.tenant();
  const { booking_id } = await tenant.applyOne(buildSnapshot());
  const chair = { external_id: "chair", name: "Stol", quantity: 40, unit_price: 12 };
  await tenant.applyOne(buildSnapshot({
    products: complete(products(chair)),
    dates: complete(days(["rig", RIG_DAY], ["event", EVENT_DAY])),
  }));
  await tenant.applyOne(buildSnapshot());
  const said = await explain(db, booking_id);
  assert.deepEqual(said.slice(1), [
    `Changed (import): the day rigdown ${RIGDOWN_DAY} is no longer listed by the source; ` +
    "the product tent is no longer listed by the source.",
    `Changed (import): the day rigdown ${RIGDOWN_DAY} is listed by the source again; ` +
    "the product tent is listed by the source again.",
  ]);
});

test("explain_booking() says which kind of run changed it, and what the brake stopped", async (db) => {
  const tenant = await db.tenant({ cancel_budget: 0 });
  const place = { organization_id: tenant.id, source: "eventflow" };
  const [run] = await db.rpc("begin_run", { ...place, mode: "full", parameters: {} });
  const page = { run_id: run!["run_id"], lease_token: run!["lease_token"], counters: {} };
  const [verdict] = await db.rpc<{ booking_id: number }>("checkpoint_run", {
    ...page,
    checkpoint: { page: 1 },
    snapshots: [buildSnapshot()],
  });
  await tenant.applyOne(buildSnapshot({ booking: { status: "CANCELLED" } }));
  const said = await explain(db, verdict!.booking_id);
  assert.match(said[0] ?? "", /^The booking appeared \(full run\): /);
  assert.match(said[1] ?? "", /^The change to CANCELLED was stopped by the brake/);
});
