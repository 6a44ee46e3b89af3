import assert from "node:assert/strict";
import { useDatabase } from "../../support/booking_database.ts";
import { only } from "../../support/tenant.ts";

const test = useDatabase();

test("receive_delivery() takes a refused event that comes again for a new one", async (db) => {
  const organization_id = crypto.randomUUID();
  const event = {
    function: "receive-booking",
    source: "eventflow",
    organization_id,
    external_id: "booking-1",
    dedupe_key: `receive-booking:${organization_id}:evt_1`,
  };
  const receive = async () => only(await db.rpc("receive_delivery", event));
  for (let times = 0; times < 2; times++) {
    const { outcome, status } = await receive();
    assert.deepEqual([outcome, status], ["unknown_organization", "invalid"]);
  }
  await db.query("insert into public.organizations (id, name) values ($1, 'Made later')", [
    organization_id,
  ]);
  const accepted = await receive();
  assert.equal(accepted["outcome"], "claimed");
  const again = await receive();
  assert.deepEqual([again["outcome"], again["duplicate_of"]], [
    "duplicate",
    accepted["delivery_id"],
  ]);
});

test("receive_delivery() keeps the sender's key free when the body is invalid", async (db) => {
  const tenant = await db.tenant();
  const dedupe_key = crypto.randomUUID();
  const invalid = await tenant.receive("booking-1", { dedupe_key, status: "invalid" });
  assert.equal(invalid.outcome, "invalid");
  assert.equal((await tenant.receive("booking-1", { dedupe_key })).outcome, "claimed");
});
