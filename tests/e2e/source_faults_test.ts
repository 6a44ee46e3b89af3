import assert from "node:assert/strict";
import { bodyOf } from "../support/answers.ts";
import { allRows, deliveryOf, domainRows } from "../support/rows.ts";
import { type TestStack, useStack } from "../support/stack.ts";
import { type Intercept, openTap } from "../support/tap.ts";

const budget = 2_000;
const tap = openTap();
const stackTest = useStack({
  environment: {
    EVENTFLOW_API_URL: `${tap.url}/simulators/eventflow`,
    SYNC_BUDGET_MS: String(budget),
  },
});
Deno.test.afterAll(() => tap.stop());

/** A confirmed booking that we have whole, with something new to tell about it. */
async function storedBooking(stack: TestStack) {
  tap.to(stack.url);
  const organization_id = await stack.organization();
  const booking = await stack.eventflow.create({
    organization_id,
    title: "Sommarfest",
    clientName: "Ängsholm AB",
    status: "CONFIRMED",
    rig_up_dates: ["2027-06-01"],
    event_dates: ["2027-06-02", "2027-06-03"],
    rig_down_dates: ["2027-06-04"],
    internal_notes: "Grinden öppnas 07.30",
    products: [{ id: "p1", name: "Tält", quantity: 2 }, { id: "p2", name: "Bord", quantity: 9 }],
    attachments: [{ url: "https://files.eventflow.example/offert.pdf", name: "Offert.pdf" }],
  });
  const order = { booking_id: String(booking.id), organization_id };
  assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "created");
  await stack.eventflow.patch(order.booking_id, { title: "Höstfest", status: "Avbokad?" });
  return order;
}

interface Fault {
  /** What the simulator does. */
  readonly fault?: Record<string, unknown>;
  /** Or what is answered in its place. */
  readonly instead?: Intercept;
  readonly code: "source_unavailable" | "source_invalid";
  /** The code of the first detail: why. */
  readonly why: string;
}

const html = () =>
  new Response("<!doctype html><title>Logga in</title>", {
    headers: { "content-type": "text/html" },
  });

const passing: Readonly<Record<string, Fault>> = {
  "500": { fault: { mode: "status", status: 500 }, code: "source_unavailable", why: "http_500" },
  "503": { fault: { mode: "status", status: 503 }, code: "source_unavailable", why: "http_503" },
  "404 without a word": {
    fault: { mode: "status", status: 404 },
    code: "source_unavailable",
    why: "http_404",
  },
  "401": {
    fault: { mode: "status", status: 401 },
    code: "source_unavailable",
    why: "credential_refused",
  },
  "HTML with 200": { fault: { mode: "html" }, code: "source_unavailable", why: "html_body" },
  "truncated JSON": {
    fault: { mode: "truncated" },
    code: "source_unavailable",
    why: "invalid_json",
  },
  "an empty list": { fault: { mode: "empty" }, code: "source_unavailable", why: "empty_answer" },
  "an empty body": {
    instead: () => new Response(""),
    code: "source_unavailable",
    why: "empty_body",
  },
  "an empty object": {
    instead: () => Response.json({}),
    code: "source_invalid",
    why: "unknown_shape",
  },
  "null": { instead: () => Response.json(null), code: "source_invalid", why: "unknown_shape" },
  "success: false": {
    instead: () => Response.json({ success: false, error: "busy", found: false }),
    code: "source_unavailable",
    why: "success_false",
  },
  "found without a booking": {
    instead: () => Response.json({ success: true, contract_version: "1.1", found: true }),
    code: "source_unavailable",
    why: "empty_answer",
  },
  "a redirect to a login page": {
    instead: ({ url }) =>
      url.includes("login") ? html() : Response.redirect(`${tap.url}/login`, 302),
    code: "source_unavailable",
    why: "redirected",
  },
};

for (const [kind, { fault, instead, code, why }] of Object.entries(passing)) {
  stackTest(
    `the source answers ${kind}: nothing changes, the delivery says why and is tried again`,
    async (stack) => {
      const order = await storedBooking(stack);
      const before = await domainRows(stack.database);
      if (fault !== undefined) {
        await stack.eventflow.setFault({ ...fault, booking_id: order.booking_id });
      }
      tap.intercept(instead);
      const answer = await stack.postEventflow(order);
      tap.intercept();

      const { accepted, success, sync, delivery_id } = bodyOf(answer, 202);
      assert.deepEqual([success, accepted, sync.outcome, sync.reason], [
        true,
        true,
        "deferred",
        code,
      ]);
      assert.deepEqual(await domainRows(stack.database), before);
      const kept = await deliveryOf(stack.database, delivery_id);
      assert.deepEqual([kept.status, kept.attempts, kept.last_error.code], ["pending", 1, code]);
      assert.equal(kept.last_error.details[0].code, why);
      assertBackoff(kept.wait);
      assert.equal(Date.parse(sync.next_attempt_at), Date.parse(`${kept.next_attempt_at}`));

      // It is the fault alone: the next webhook of the same booking brings the change.
      await stack.eventflow.clearFaults();
      const after = bodyOf(await stack.postEventflow(order));
      assert.equal(after.sync.outcome, "updated");
      assert.equal((await deliveryOf(stack.database, delivery_id)).status, "succeeded");
    },
  );
}

stackTest(
  "the source answers nothing for 60 s: 202 within the budget and a second",
  async (stack) => {
    const order = await storedBooking(stack);
    const before = await domainRows(stack.database);
    for (const mode of ["hang", "drip"]) {
      await stack.eventflow.setFault({ mode, seconds: 60, booking_id: order.booking_id });
      const since = performance.now();
      const { sync, delivery_id } = bodyOf(await stack.postEventflow(order), 202);
      const took = performance.now() - since;
      assert.ok(took < budget + 1_000, `${mode} took ${took} ms`);
      assert.equal(sync.reason, "source_unavailable");
      assert.deepEqual(await domainRows(stack.database), before);
      const kept = await deliveryOf(stack.database, delivery_id);
      assert.deepEqual([kept.status, kept.last_error.details[0].code], ["pending", "timeout"]);
      assertBackoff(kept.wait);
      await stack.eventflow.clearFaults();
    }
  },
);

stackTest(
  "the source asks for patience with 429: its Retry-After wins over the backoff",
  async (stack) => {
    const order = await storedBooking(stack);
    const before = await domainRows(stack.database);
    await stack.eventflow.setFault({
      mode: "rate_limit",
      retry_after: 300,
      booking_id: order.booking_id,
    });
    const { sync, delivery_id } = bodyOf(await stack.postEventflow(order), 202);
    assert.equal(sync.reason, "source_unavailable");
    assert.deepEqual(await domainRows(stack.database), before);
    const kept = await deliveryOf(stack.database, delivery_id);
    assert.equal(kept.last_error.details[0].code, "http_429");
    assert.ok(kept.wait !== null && kept.wait > 295 && kept.wait <= 300, `it waits ${kept.wait} s`);
  },
);

stackTest("the source refuses connections: the delivery is kept and tried again", async (stack) => {
  const order = await storedBooking(stack);
  const before = await domainRows(stack.database);
  await tap.refuse();
  const answer = await stack.postEventflow(order).finally(() => tap.accept());
  const { sync, delivery_id } = bodyOf(answer, 202);
  assert.equal(sync.reason, "source_unavailable");
  assert.deepEqual(await domainRows(stack.database), before);
  const kept = await deliveryOf(stack.database, delivery_id);
  assert.deepEqual([kept.status, kept.last_error.details[0].code], ["pending", "network_error"]);
  assertBackoff(kept.wait);
});

const permanent: Readonly<Record<string, readonly [Record<string, unknown>, string]>> = {
  "another booking's id": [{ mode: "other_booking" }, "other_booking"],
  "another organization's booking": [{ mode: "other_organization" }, "other_organization"],
  "contract 2.0": [{ mode: "contract_version", version: "2.0" }, "unknown_contract_major"],
};
for (const [kind, [fault, why]] of Object.entries(permanent)) {
  stackTest(
    `the source answers ${kind}: nothing changes, 200 contradiction, the delivery is dead`,
    async (stack) => {
      const order = await storedBooking(stack);
      const before = await domainRows(stack.database);
      await stack.eventflow.setFault({ ...fault, booking_id: order.booking_id });
      const { sync, delivery_id } = bodyOf(await stack.postEventflow(order));
      assert.equal(sync.outcome, "contradiction");
      assert.equal(sync.error.code, "source_contradiction");
      assert.deepEqual(await domainRows(stack.database), before);
      const kept = await deliveryOf(stack.database, delivery_id);
      assert.deepEqual([kept.status, kept.last_error.code], ["dead", "source_contradiction"]);
      assert.equal(kept.last_error.details[0].code, why);
      assert.equal(kept.next_attempt_at, null);
      await stack.eventflow.clearFaults();
    },
  );
}

for (const version of ["1.0", "1.7", "1.99"]) {
  stackTest(`the source answers by contract ${version}: it is taken like 1.1`, async (stack) => {
    const order = await storedBooking(stack);
    await stack.eventflow.setFault({
      mode: "contract_version",
      version,
      booking_id: order.booking_id,
    });
    assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "updated");
  });
}

for (
  const reason of ["not_exportable", "archived", "not_found", "organization_mismatch", "moved"]
) {
  stackTest(
    `the source says found: false, ${reason}: nothing changes, the delivery is done`,
    async (stack) => {
      const order = await storedBooking(stack);
      const before = await domainRows(stack.database);
      await stack.eventflow.setFault({ mode: "absent", reason, booking_id: order.booking_id });
      const { sync, delivery_id } = bodyOf(await stack.postEventflow(order));
      assert.equal(sync.outcome, "not_found");
      assert.equal(sync.error.details[0].code, reason);
      assert.deepEqual(await domainRows(stack.database), before);
      const kept = await deliveryOf(stack.database, delivery_id);
      assert.deepEqual([kept.status, kept.result.outcome], ["succeeded", "not_found"]);
    },
  );
}

stackTest(
  "a source that fails for a booking that we don't have leaves no booking behind",
  async (stack) => {
    tap.to(stack.url);
    const organization_id = await stack.organization();
    const before = await allRows(stack.database);
    const booking_id = crypto.randomUUID();
    await stack.eventflow.setFault({ mode: "html", booking_id });
    bodyOf(await stack.postEventflow({ booking_id, organization_id }), 202);
    const after = await allRows(stack.database);
    for (const table of Object.keys(after).filter((name) => name.startsWith("public."))) {
      assert.deepEqual(after[table], before[table], table);
    }
  },
);

/** The first backoff: 10 s, give or take a fifth. */
function assertBackoff(wait: number | null): void {
  assert.ok(wait !== null && wait > 7 && wait <= 12, `it waits ${wait} s`);
}
