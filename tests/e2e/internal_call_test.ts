import assert from "node:assert/strict";
import { assertError, bodyOf } from "../support/answers.ts";
import { allRows, deliveryOf, domainRows, gained } from "../support/rows.ts";
import { type TestStack, useStack } from "../support/stack.ts";
import { type Intercept, openTap } from "../support/tap.ts";

const budget = 2_000;
const tap = openTap();
const stackTest = useStack({
  environment: { SUPABASE_URL: tap.url, SYNC_BUDGET_MS: String(budget) },
});
Deno.test.afterAll(() => tap.stop());

async function orderOf(stack: TestStack) {
  tap.to(stack.url);
  const organization_id = await stack.organization();
  const booking = await stack.eventflow.create({ organization_id, status: "CONFIRMED" });
  return { booking_id: String(booking.id), organization_id };
}

const headoutEvent = { bookingId: 17, status: "PENDING", eventTimestamp: "2024-01-15T10:30:00" };

/** Answers requests whose path ends so, and lets all others pass. */
function instead(end: string, answer: Intercept): Intercept {
  return (request) => new URL(request.url).pathname.endsWith(end) ? answer(request) : undefined;
}

/** Longer than receive-booking may take. */
function hang(): Promise<Response> {
  const late = () => new Response("upstream request timeout", { status: 504 });
  return new Promise((resolve) => setTimeout(() => resolve(late()), budget + 1_500));
}

const faults: Readonly<Record<string, readonly [Intercept, string]>> = {
  "answers HTML": [() => new Response("<h1>502</h1>", { status: 502 }), "import_unavailable"],
  "answers nonsense with 200": [() => Response.json({ ok: true }), "import_unavailable"],
  "is over the platform's limit": [
    () => Response.json({ code: "WORKER_LIMIT" }, { status: 546 }),
    "import_unavailable",
  ],
  "hangs": [hang, "budget_exceeded"],
};
for (const [kind, [answer, reason]] of Object.entries(faults)) {
  stackTest(
    `receive-booking gives the delivery back when import-bookings ${kind}`,
    async (stack) => {
      const order = await orderOf(stack);
      const before = await domainRows(stack.database);
      tap.intercept(instead("/import-bookings", answer));
      const since = performance.now();
      const { sync, delivery_id } = bodyOf(await stack.postEventflow(order), 202);
      const took = performance.now() - since;
      tap.intercept();
      assert.ok(took < budget + 1_000, `it took ${took} ms`);
      assert.deepEqual([sync.outcome, sync.reason], ["deferred", reason]);
      assert.deepEqual(await domainRows(stack.database), before);
      const kept = await deliveryOf(stack.database, delivery_id);
      assert.deepEqual([kept.status, kept.attempts, kept.last_error.code], ["pending", 1, reason]);
      assert.equal(Date.parse(sync.next_attempt_at), Date.parse(`${kept.next_attempt_at}`));
      assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "created");
    },
  );
}

stackTest("receive-booking gives the delivery back when import-bookings is dead", async (stack) => {
  const order = await orderOf(stack);
  const process = stack.functions.get("import-bookings");
  process?.kill("SIGKILL");
  const answer = await stack.postEventflow(order);
  const { sync, delivery_id } = bodyOf(answer, 202);
  assert.equal(sync.reason, "import_unavailable");
  assert.equal((await deliveryOf(stack.database, delivery_id)).status, "pending");
  while (process?.ready() !== true) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "created");
});

stackTest(
  "a database that fails between the two RPCs loses nothing: 202, and it is due again",
  async (stack) => {
    const order = await orderOf(stack);
    const before = await domainRows(stack.database);
    const down = () => new Response("upstream connect error", { status: 503 });
    tap.intercept(instead("/apply_snapshots", down));
    const { sync, delivery_id } = bodyOf(await stack.postEventflow(order), 202);
    tap.intercept();
    assert.equal(sync.outcome, "deferred");
    assert.deepEqual(await domainRows(stack.database), before);
    assert.equal((await deliveryOf(stack.database, delivery_id)).status, "pending");
  },
);

stackTest(
  "a database that is gone after the first RPC loses nothing: the lease ends by itself",
  async (stack) => {
    const order = await orderOf(stack);
    const down = () => new Response("upstream connect error", { status: 503 });
    tap.intercept((request) => request.url.includes("receive_delivery") ? undefined : down());
    const since = performance.now();
    const { sync, delivery_id } = bodyOf(await stack.postEventflow(order), 202);
    tap.intercept();
    assert.ok(performance.now() - since < budget + 1_000);
    assert.deepEqual([sync.outcome, sync.next_attempt_at], ["deferred", null]);
    assert.equal((await deliveryOf(stack.database, delivery_id)).status, "processing");
    await stack.database.query(
      "update sync.deliveries set leased_until = now() - interval '1 second' where id = $1",
      [delivery_id],
    );
    assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "created");
    assert.equal((await deliveryOf(stack.database, delivery_id)).status, "succeeded");
  },
);

const outages: Readonly<Record<string, (work: () => Promise<void>) => Promise<void>>> = {
  "refuses connections": async (work) => {
    await tap.refuse();
    await work().finally(() => tap.accept());
  },
  "answers 503": (work) => {
    tap.intercept(instead("", () => new Response("no", { status: 503 })));
    return work().finally(() => tap.intercept());
  },
  "hangs": (work) => {
    tap.intercept(instead("", hang));
    return work().finally(() => tap.intercept());
  },
};
for (const [kind, during] of Object.entries(outages)) {
  stackTest(
    `an API that ${kind}: both webhooks answer 503 inbox_unavailable, and work afterwards`,
    async (stack) => {
      const order = await orderOf(stack);
      const before = await allRows(stack.database);
      const organizationId = order.organization_id;
      const pids = stack.functions.all.map((process) => process.pid());
      await during(async () => {
        const since = performance.now();
        const eventflow = Promise.all([
          stack.postEventflow(order),
          stack.postEventflow({ organization_id: organizationId }),
        ]).then((answers) => {
          assert.ok(performance.now() - since < budget + 1_000);
          return answers;
        });
        const headout = stack.postHeadout(headoutEvent, organizationId);
        for (const answer of [...await eventflow, await headout]) {
          assertError(answer, { status: 503, code: "inbox_unavailable", retryAfter: true });
        }
      });
      assert.deepEqual(gained(before, await allRows(stack.database)), {});
      assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "created");
      assert.equal(
        bodyOf(await stack.postHeadout(headoutEvent, organizationId)).outcome,
        "stub_created",
      );
      assert.deepEqual(stack.functions.all.map((process) => process.pid()), pids);
    },
  );
}
