import assert from "node:assert/strict";
import { eventually } from "../support/answers.ts";
import { unsigned } from "../support/key_set.ts";
import { findLeaks, secretsOf } from "../support/leaks.ts";
import { type TestStack, useStack } from "../support/stack.ts";

// Every stack of every test file is searched for leaks when it stops. Here the calls that carry
// most are made on purpose, and slowly enough that the limit of 90 lines in 10 s hides none.
const stackTest = useStack({
  environment: { LOG_LEVEL: "trace", SYNC_BUDGET_MS: "2000", HEADOUT_JWT_SECRET: "s".repeat(40) },
});

const person = {
  clientName: "Klientbolaget Hemliga AB",
  delivery_contact_name: "Hjördis Kontaktsson",
  delivery_contact_phone: "+46701234567",
  delivery_contact_email: "hjordis.kontaktsson@example.se",
  delivery_address: "Hemvägen 17",
  internal_notes: "Portkod 4711",
};
const guest = {
  customersDetails: {
    count: 1,
    customers: [{
      personType: "ADULT",
      isPrimary: true,
      inputFields: [
        { id: "NAME", name: "Full name", value: "Gudrun Gästman" },
        { id: "EMAIL", name: "Email", value: "gudrun@example.com" },
        { id: "PHONE", name: "Phone", value: "+442071234567" },
      ],
    }],
  },
};
const words = [...Object.values(person), "Gudrun Gästman", "gudrun@example.com", "+442071234567"];

stackTest("no log line has a secret, a token or personal data in it", async (stack) => {
  await act(stack);
  const lines = await eventually("the last log lines", () => {
    const written = stack.lines();
    const requests = written.filter((line) => line.includes('"request_id"'));
    return Promise.resolve(requests.some((line) => line.includes("last-one")) && written);
  });
  for (const name of ["receive-booking", "headout-webhook", "import-bookings"]) {
    const own = lines.filter((line) => line.startsWith(`${name}: `));
    assert.ok(own.length >= 4, `${name} wrote ${own.length} lines`);
    for (const line of own) {
      assert.doesNotThrow(() => JSON.parse(line.slice(name.length + 2)), `not JSON: ${line}`);
    }
  }
  assert.ok(lines.every((line) => !line.includes('"suppressed"')), "none was suppressed");
  const forbidden = [
    ...secretsOf(stack.environment),
    ...words.map((value) => ({ name: "personal data", value })),
    { name: "a wrong credential", value: "wrong-credential" },
  ];
  assert.deepEqual(findLeaks(lines, forbidden), []);
});

/** What carries secrets and persons: right and wrong calls, bodies, sources that fail. */
async function act(stack: TestStack): Promise<void> {
  const organization_id = await stack.organization();
  const booking = await stack.eventflow.create({
    organization_id,
    title: "Fest hos Hjördis Kontaktsson",
    status: "CONFIRMED",
    event_dates: ["2027-06-02"],
    products: [{ id: "p1", name: "Tält" }],
    ...person,
  });
  const order = {
    booking_id: String(booking.id),
    organization_id,
    event_type: "updated",
    ...person,
  };
  await stack.postEventflow(order);
  await stack.postEventflow({ ...order, booking_id: [person.delivery_contact_email] });
  await stack.postEventflow(`{"contact_email": "${person.delivery_contact_email}"`);
  await stack.postEventflow({ ...order, event_type: person.delivery_contact_email });
  await stack.post("receive-booking?key=wrong-credential", order, {
    "x-api-key": "wrong-credential",
    authorization: `Bearer ${unsigned()}`,
  });
  const faults = ["html", "status", "truncated", "other_booking", "hang"];
  for (const mode of faults) {
    await stack.eventflow.setFault({ mode, booking_id: order.booking_id });
    await stack.postEventflow(order);
    await stack.eventflow.clearFaults();
  }
  // What the database refuses is named, and its message quotes no value.
  await stack.eventflow.patch(order.booking_id, { latitude: "1e999999", price_amount: "x" });
  await stack.postImport(order);
  await stack.postImport({ ...order, dry_run: true });

  const trip = await stack.headout.create({ status: "COMPLETED", ...guest });
  const event = {
    bookingId: trip.bookingId,
    status: "COMPLETED",
    eventTimestamp: "2024-01-15T10:30:00",
    ...guest,
  };
  await stack.postHeadout(event, organization_id);
  await stack.postHeadout(event, organization_id);
  await stack.postHeadout({ ...event, status: "gudrun@example.com" }, organization_id);
  await stack.post(`headout-webhook?key=wrong-credential&token=wrong-credential`, event);
  await stack.post(`headout-webhook?organization_id=${organization_id}`, event, {
    authorization: `Bearer ${unsigned()}`,
  });
  await eventually("the guest is stored", async () => {
    const rows = await stack.database.query(
      "select from public.bookings where contact_email = 'gudrun@example.com'",
    );
    return rows.length === 1;
  });
  await stack.post("import-bookings", order, { authorization: "Bearer wrong-credential" });
  await stack.post("import-bookings", order, { "x-request-id": "last-one" });
}

const leaking: Readonly<Record<string, string>> = {
  "a secret by its value": "start: local-webhook-secret",
  "a JWT": "x: eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYSJ9.abc",
  "a bearer token": 'x: {"authorization":"Bearer abcdef123"}',
  "a key in a URL": "x: POST /headout-webhook?key=abc 200",
  "an e-mail address": 'x: {"why":"anna@example.se is taken"}',
  "a phone number": "x: +46701234567",
};
for (const [kind, line] of Object.entries(leaking)) {
  Deno.test(`findLeaks() finds ${kind}`, () => {
    const secrets = [{ name: "WEBHOOK_SECRET", value: "local-webhook-secret" }];
    assert.equal(findLeaks([line], secrets).length, 1);
  });
}

Deno.test("findLeaks() lets what is redacted and what is public pass", () => {
  const lines = [
    "x: /headout-webhook?key=[REDACTED]&organization_id=0a9e",
    "x: file:///npm/ky@2.1.0/index.js:17 2026-08-04T17:11:10+02:00",
  ];
  assert.deepEqual(findLeaks(lines, []), []);
});
