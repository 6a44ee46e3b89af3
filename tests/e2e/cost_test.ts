import assert from "node:assert/strict";
import { bodyOf, eventually } from "../support/answers.ts";
import { deliveryOf } from "../support/rows.ts";
import { useStack } from "../support/stack.ts";
import { openTap } from "../support/tap.ts";

// Everything that the functions call passes the tap, which counts it.
const tap = openTap();
const stackTest = useStack({
  environment: {
    SUPABASE_URL: tap.url,
    EVENTFLOW_API_URL: `${tap.url}/simulators/eventflow`,
    HEADOUT_API_URL: `${tap.url}/simulators/headout`,
  },
});
Deno.test.afterAll(() => tap.stop());

const receive = "POST /rest/v1/rpc/receive_delivery";
const importCall = "POST /functions/v1/import-bookings";
const read = "GET /simulators/eventflow/export_bookings";
const apply = "POST /rest/v1/rpc/apply_snapshots";
const finish = "POST /rest/v1/rpc/finish_delivery";
const event = "POST /rest/v1/rpc/apply_headout_event";

function products(count: number, price = 100): readonly Record<string, unknown>[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `row-${index}`,
    name: `Tält ${index}`,
    quantity: 1 + index % 5,
    unit_price: price,
  }));
}

for (const count of [2, 400]) {
  stackTest(
    `receive-booking costs 1 RPC, 1 internal call, 1 source read and 1 RPC for ${count} products`,
    async (stack) => {
      tap.to(stack.url);
      const organization_id = await stack.organization();
      const booking = await stack.eventflow.create({
        organization_id,
        status: "CONFIRMED",
        rig_up_dates: ["2027-06-01"],
        event_dates: ["2027-06-02"],
        rig_down_dates: ["2027-06-03"],
        products: products(count),
      });
      const order = { booking_id: booking.id, organization_id };

      tap.reset();
      const created = bodyOf(await stack.postEventflow(order));
      assert.equal(created.sync.outcome, "created");
      assert.equal(created.sync.changes.booking_products.created, count);
      assert.deepEqual(tap.calls(), [receive, importCall, read, apply]);

      await stack.eventflow.patch(String(booking.id), { products: products(count, 120) });
      tap.reset();
      const updated = bodyOf(await stack.postEventflow(order));
      assert.equal(updated.sync.outcome, "updated");
      assert.equal(updated.sync.changes.booking_products.updated, count);
      assert.deepEqual(tap.calls(), [receive, importCall, read, apply]);

      tap.reset();
      assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "unchanged");
      assert.deepEqual(tap.calls(), [receive, importCall, read, apply]);
    },
  );
}

stackTest(
  "receive-booking costs no more when the source has no such booking, or fails",
  async (stack) => {
    tap.to(stack.url);
    const organization_id = await stack.organization();
    const order = { booking_id: crypto.randomUUID(), organization_id };
    tap.reset();
    assert.equal(bodyOf(await stack.postEventflow(order)).sync.outcome, "not_found");
    assert.deepEqual(tap.calls(), [receive, importCall, read, finish]);

    await stack.eventflow.setFault({ mode: "status", status: 500, booking_id: order.booking_id });
    tap.reset();
    assert.equal(bodyOf(await stack.postEventflow(order), 202).sync.outcome, "deferred");
    assert.deepEqual(tap.calls(), [receive, importCall, read, finish]);
  },
);

stackTest(
  "receive-booking costs 1 RPC for a duplicate and 1 for an invalid body",
  async (stack) => {
    tap.to(stack.url);
    const organization_id = await stack.organization();
    const order = { booking_id: crypto.randomUUID(), organization_id };
    await stack.postEventflow(order, { "idempotency-key": "cost" });
    tap.reset();
    bodyOf(await stack.postEventflow(order, { "idempotency-key": "cost" }));
    assert.deepEqual(tap.calls(), [receive]);
    tap.reset();
    bodyOf(await stack.postEventflow({ organization_id }), 400);
    assert.deepEqual(tap.calls(), [receive]);
  },
);

stackTest(
  "headout-webhook costs 1 RPC before its answer, and the re-fetch waits for nobody",
  async (stack) => {
    tap.to(stack.url);
    const organizationId = await stack.organization();
    const booking = await stack.headout.create({ status: "COMPLETED" });
    const bookingId = String(booking.bookingId);
    let release = () => {};
    const released = new Promise<void>((resolve) => release = resolve);
    tap.intercept(async ({ url }) => {
      if (url.endsWith("/import-bookings")) await released;
      return undefined;
    });
    tap.reset();
    try {
      const answer = bodyOf(
        await stack.postHeadout(
          { bookingId, status: "COMPLETED", eventTimestamp: "2024-01-15T10:30:00" },
          organizationId,
        ),
      );
      assert.equal(answer.outcome, "stub_created");
      // The answer is here although the internal call hangs: it came before, and cost one RPC.
      assert.deepEqual(tap.calls().filter((call) => call.includes("/rpc/")), [event]);
      release();
      await eventually(
        "the re-fetch ends",
        async () => (await deliveryOf(stack.database, answer.deliveryId)).status === "succeeded",
      );
      assert.deepEqual(tap.calls(), [
        event,
        importCall,
        `GET /simulators/headout/api/public/v2/bookings/${bookingId}/`,
        apply,
      ]);
    } finally {
      release();
      tap.intercept();
    }
  },
);

stackTest(
  "headout-webhook costs 1 RPC for a duplicate, and asks for no re-fetch",
  async (stack) => {
    tap.to(stack.url);
    const organizationId = await stack.organization();
    const booking = await stack.headout.create({ status: "PENDING" });
    const sent = {
      bookingId: Number(booking.bookingId),
      status: "PENDING",
      eventTimestamp: "2024-01-15T10:30:00",
    };
    const first = bodyOf(await stack.postHeadout(sent, organizationId));
    await eventually(
      "the re-fetch ends",
      async () => (await deliveryOf(stack.database, first.deliveryId)).status === "succeeded",
    );
    tap.reset();
    assert.equal(bodyOf(await stack.postHeadout(sent, organizationId)).outcome, "duplicate");
    assert.deepEqual(tap.calls(), [event]);
  },
);
