import { SourceError } from "../../../supabase/functions/_shared/source/source_error.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { decodeAnswer, eventflowBooking, foundAnswer } from "../../support/eventflow_answer.ts";
import assert from "node:assert/strict";

const test = useDatabase();

test("rule: unknown fields are kept: an unknown major is an error, unknown fields are kept", async (db) => {
  const tenant = await db.tenant();
  for (const version of ["2.0", "0.9", "banana"]) {
    const answer = foundAnswer(eventflowBooking(), { contract_version: version });
    assert.throws(() => decodeAnswer(tenant, answer), SourceError, version);
  }
  const news = { a_new_field: { deep: [1, null] }, another: false };
  await tenant.applyOne(decodeAnswer(tenant, foundAnswer(eventflowBooking(news))));
  assert.deepEqual(await tenant.select("bookings", "extra"), [{ extra: news }]);
});

for (const version of ["1", "1.0", "1.1", "1.7", "1.42.3"]) {
  test(`incident: minor version refused: contract version ${version} is accepted`, async (db) => {
    const tenant = await db.tenant();
    const answer = foundAnswer(eventflowBooking(), { contract_version: version });
    assert.equal((await tenant.applyOne(decodeAnswer(tenant, answer))).verdict, "created");
  });
}
