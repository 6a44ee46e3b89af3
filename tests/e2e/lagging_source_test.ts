import assert from "node:assert/strict";
import { eventually } from "../support/answers.ts";
import { createBookings, drain, letWaitsPass } from "../support/deliveries.ts";
import { deliveryOf } from "../support/rows.ts";
import { type TestStack, useStack } from "../support/stack.ts";

const stackTest = useStack();

async function statusOf(stack: TestStack, externalId: string): Promise<string | undefined> {
  const [row] = await stack.database.query<{ status: string }>(
    "select status from public.bookings where external_id = $1",
    [externalId],
  );
  return row?.status;
}

/** The active rows of a table of one booking. */
function activeRows<T>(
  stack: TestStack,
  table: string,
  columns: string,
  externalId: string,
): Promise<readonly T[]> {
  return stack.database.query<T & Record<string, unknown>>(
    `select ${columns} from public.${table} t join public.bookings b on b.id = t.booking_id
     where b.external_id = $1 and t.active order by 1`,
    [externalId],
  );
}

stackTest(
  "rule: a sender's word and the read must agree in the end: a cancelled whose read still says confirmed ends cancelled, without any run",
  async (stack) => {
    const organizationId = await stack.organization();
    const [id = ""] = await createBookings(stack, organizationId, 1);
    await stack.eventflow.sendWebhook(id, { organization_id: organizationId });
    await stack.eventflow.lag("frozen", { booking_id: id });
    await stack.eventflow.cancel(id);
    const answer = await stack.eventflow.sendWebhook(id, {
      organization_id: organizationId,
      event_type: "cancelled",
    });
    assert.equal(answer.status, 200);
    assert.equal(await statusOf(stack, id), "CONFIRMED", "the read lags behind the webhook");
    assert.equal((await drain(stack)).claimed, 0, "it is not read again before its time");

    await stack.eventflow.lag(null, { booking_id: id });
    await letWaitsPass(stack.database);
    assert.equal((await drain(stack)).succeeded, 1);
    assert.equal(await statusOf(stack, id), "CANCELLED");
    assert.deepEqual(await stack.database.query("select id from sync.runs"), []);
    await letWaitsPass(stack.database);
    assert.equal((await drain(stack)).claimed, 0, "they agree: nothing is left to read");
  },
);

stackTest(
  "rule: a sender's word and the read must agree in the end: a cancellation of Headout is not undone by a read that lags",
  async (stack) => {
    const organizationId = await stack.organization();
    const { bookingId } = await stack.headout.create<{ bookingId: string }>({
      status: "COMPLETED",
      startDateTime: "2027-06-20T10:00:00",
    });
    const say = async (status: string, second: number) => {
      const { body } = await stack.headout.sendWebhook(bookingId, {
        status,
        organization_id: organizationId,
        eventTimestamp: `2026-01-15T10:30:0${second}`,
      });
      const { deliveryId } = body as { readonly deliveryId: string };
      await eventually(
        "its re-fetch ends",
        async () => (await deliveryOf(stack.database, deliveryId)).status === "succeeded",
      );
    };
    await say("COMPLETED", 0);
    await stack.headout.lag("frozen", { booking_id: bookingId });
    await stack.headout.cancel(bookingId);
    await say("CANCELLED", 1);
    assert.equal(await statusOf(stack, bookingId), "CANCELLED");
    await letWaitsPass(stack.database);
    assert.equal((await drain(stack)).succeeded, 1);
    assert.equal(await statusOf(stack, bookingId), "CANCELLED", "the second read lags as well");

    await stack.headout.lag(null, { booking_id: bookingId });
    await letWaitsPass(stack.database);
    assert.equal((await drain(stack)).succeeded, 1);
    assert.equal(await statusOf(stack, bookingId), "CANCELLED");
    assert.deepEqual(
      await stack.database.query(
        "select word, outcome from sync.disagreements where organization_id = $1",
        [organizationId],
      ),
      [{ word: "CANCELLED", outcome: "agreed" }],
    );
  },
);

stackTest(
  "incident: a moved event on both days: without any flag, one webhook moves calendar, warehouse and packing",
  async (stack) => {
    const organizationId = await stack.organization();
    const [id = ""] = await createBookings(stack, organizationId, 1, {
      rig_up_dates: ["2027-12-01"],
      event_dates: ["2027-12-02", "2027-12-03", "2027-12-04"],
      rig_down_dates: ["2027-12-05"],
      products: [
        { id: "tent", name: "Tält 6x9", quantity: 2 },
        { id: "chair", name: "Stol", quantity: 40 },
      ],
    });
    await stack.eventflow.sendWebhook(id, { organization_id: organizationId });
    await stack.database.query(
      `update public.calendar_events k set resource_id = $2 from public.bookings b
       where b.id = k.booking_id and b.external_id = $1 and k.event_type = 'event' and k.day = '2027-12-02'`,
      [id, "Lag Nord"],
    );
    const events = () =>
      activeRows<{ day: string; team: string | null; id: number }>(
        stack,
        "calendar_events",
        "t.day::text as day, t.resource_id as team, t.id",
        id,
      ).then((rows) => rows.filter(({ day }) => day > "2027-12-01" && day < "2027-12-31"));
    const [first] = await events();

    await stack.eventflow.patch(id, {
      rig_up_dates: ["2027-12-09"],
      event_dates: ["2027-12-10"],
      rig_down_dates: ["2027-12-11"],
      products: [{ id: "tent", name: "Tält 6x9", quantity: 2 }],
    });
    await stack.eventflow.sendWebhook(id, {
      organization_id: organizationId,
      event_type: "updated",
    });
    const moved = await activeRows<{ day: string; team: string | null; id: number }>(
      stack,
      "calendar_events",
      "t.event_type || ' ' || t.day as day, t.resource_id as team, t.id",
      id,
    );
    assert.deepEqual(moved.map(({ day }) => day), [
      "event 2027-12-10",
      "rig 2027-12-09",
      "rigdown 2027-12-11",
    ]);
    assert.deepEqual([moved[0]?.id, moved[0]?.team], [first?.id, "Lag Nord"]);
    const basis = await activeRows<{ day: string }>(
      stack,
      "warehouse_events",
      "t.basis_day::text as day",
      id,
    );
    assert.deepEqual([...new Set(basis.map(({ day }) => day))], [
      "2027-12-09",
      "2027-12-10",
      "2027-12-11",
    ]);
    const packed = () =>
      stack.database.query<{ name: string; doubted: boolean }>(
        `select p.name, p.source_doubted_since is not null as doubted
         from public.packing_items i join public.booking_products p on p.id = i.booking_product_id
         join public.bookings b on b.id = p.booking_id
         where b.external_id = $1 and i.active order by 1`,
        [id],
      );
    assert.deepEqual(await packed(), [
      { name: "Stol", doubted: true },
      { name: "Tält 6x9", doubted: false },
    ]);
    await letWaitsPass(stack.database);
    assert.equal((await drain(stack)).succeeded, 1);
    assert.deepEqual(await packed(), [{ name: "Tält 6x9", doubted: false }]);
  },
);
