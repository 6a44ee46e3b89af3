import assert from "node:assert/strict";
import {
  countByStatus,
  createBookings,
  drain,
  patientOrganization,
} from "../../support/deliveries.ts";
import { eventually } from "../../support/answers.ts";
import { fullScale } from "../../support/scale.ts";
import { useStack } from "../../support/stack.ts";

const stackTest = useStack();

stackTest(
  "receive-booking takes a burst, and each booking is read once for its state",
  async (stack) => {
    const bookings = Number(Deno.env.get("BURST_BOOKINGS") ?? (fullScale ? 500 : 50));
    const webhooks = 4 * bookings;
    const seconds = webhooks / 200;
    const organizationId = await patientOrganization(stack);
    const ids = await createBookings(stack, organizationId, bookings, { title: "Före" });
    for (const id of ids) await stack.eventflow.patch(id, { title: `Efter ${id}` });
    await stack.eventflow.request("DELETE", "/requests");

    const burst = await stack.eventflow.burst({
      webhooks,
      seconds,
      booking_ids: ids,
      organization_id: organizationId,
    });
    const answered = (burst.statuses[200] ?? 0) + (burst.statuses[202] ?? 0);
    assert.equal(answered, webhooks, JSON.stringify(burst.statuses));

    const drained = performance.now();
    await drain(stack);
    // receive-booking has a drain of its own begun once it is quiet; both take their share.
    const ended = await eventually("every delivery has ended", async () => {
      const counts = await countByStatus(stack.database, organizationId);
      return counts.succeeded === webhooks && counts;
    });
    assert.deepEqual(ended, { succeeded: webhooks });
    const rows = await stack.database.query<{ wrong: number; all: number }>(
      `select count(*)::integer as all,
       (count(*) filter (where title <> 'Efter ' || external_id))::integer as wrong
     from public.bookings where organization_id = $1`,
      [organizationId],
    );
    assert.deepEqual(rows, [{ all: bookings, wrong: 0 }]);
    const { counts } = await stack.eventflow.requests();
    const reads = (counts.single ?? 0) / bookings;
    console.log(
      `  ${webhooks} webhooks for ${bookings} bookings in ${burst.seconds.toFixed(1)} s ` +
        `(${stack.database.kind}): ${JSON.stringify(burst.statuses)}, ` +
        `${reads.toFixed(2)} source reads per booking and state, ` +
        `drained in ${((performance.now() - drained) / 1000).toFixed(1)} s`,
    );
    assert.ok(reads <= 1.2, `${reads} source reads per booking and state`);
    // Sent within ten seconds; on a slow machine the last answers come later.
    if (fullScale) assert.ok(burst.seconds < 3 * seconds, `the burst took ${burst.seconds} s`);
  },
);
