import { createBookings, drain } from "../tests/support/deliveries.ts";
import { dayFromNow } from "../tests/support/booking_builder.ts";
import { startTestStack, type TestStack } from "../tests/support/stack.ts";
import type { Benchmark } from "./benchmark.ts";
import { withFreshDatabase } from "./fresh_database.ts";

/** Bookings that are near, and webhooks in each half of a round. */
const BOOKINGS = 40;
const WEBHOOKS = 100;

/**
 * How long webhooks take while a drain runs all the time: once with nothing to refresh, and once with
 * every booking too old at once, so that the whole share of a minute is read as fast as it goes.
 * Which half goes first is left to chance.
 */
export const freshnessBenchmark: Benchmark = {
  name: "freshness",
  description: `${WEBHOOKS} webhooks with and without reads for freshness beside them`,
  quick: false,
  defaultRounds: 20,
  figures: [
    { name: "p99 without", unit: "ms", better: "lower" },
    { name: "p99 with", unit: "ms", better: "lower" },
    { name: "p99 with to without", unit: "ratio", better: "lower", bar: 1.2 },
    { name: "median with to without", unit: "ratio", better: "lower", bar: 1.2 },
    { name: "reads for freshness", unit: "reads", better: "higher" },
  ],
  run: (context) =>
    withFreshDatabase(context, async (database) => {
      const { paths, turn, signal } = context;
      const environment = { LOG_LEVEL: "error" };
      const stack = await startTestStack({ database, paths, eventflow: { count: 0 }, environment });
      try {
        const organizationId = await stack.organization();
        const ids = await createBookings(stack, organizationId, BOOKINGS, {
          rig_up_dates: [dayFromNow(2)],
          event_dates: [dayFromNow(3)],
          rig_down_dates: [dayFromNow(4)],
        });
        for (const id of ids) {
          signal.throwIfAborted();
          await stack.eventflow.sendWebhook(id, { organization_id: organizationId });
        }
        await drain(stack);
        const half = (fresh: boolean) => turn(() => measure(stack, organizationId, ids, fresh));
        const first = Math.random() < 0.5;
        const one = await half(first);
        const other = await half(!first);
        const [without, with_] = first ? [other, one] : [one, other];
        if (with_.refreshed === 0) {
          throw new Error("Nothing was refreshed: there is nothing to compare");
        }
        return {
          "p99 without": [without.p99],
          "p99 with": [with_.p99],
          "p99 with to without": [with_.p99 / without.p99],
          "median with to without": [with_.median / without.median],
          "reads for freshness": [with_.refreshed],
        };
      } finally {
        await stack.stop();
      }
    }),
};

async function measure(
  stack: TestStack,
  organizationId: string,
  ids: readonly string[],
  fresh: boolean,
) {
  await stack.database.query(
    "update sync.connections set freshness_reads_per_minute = $2 where organization_id = $1",
    [organizationId, fresh ? 20 : 0],
  );
  await stack.database.query("delete from sync.freshness_claims");
  let over = false;
  let refreshed = 0;
  const drains = (async () => {
    while (!over) {
      // What has been read is too old again at once.
      await stack.database.query(
        "update sync.source_states set refresh_due_at = now() where refresh_due_at > now()",
      );
      refreshed += (await drain(stack)).refreshed;
    }
  })();
  const took: number[] = [];
  for (let number = 0; number < WEBHOOKS; number++) {
    const id = ids[number % ids.length]!;
    await stack.eventflow.patch(id, { title: `Fest ${number} ${fresh}` });
    const began = performance.now();
    await stack.eventflow.sendWebhook(id, {
      organization_id: organizationId,
      event_type: "updated",
    });
    took.push(performance.now() - began);
  }
  over = true;
  await drains;
  took.sort((a, b) => a - b);
  return { p99: took[Math.floor(WEBHOOKS * 0.99)]!, median: took[WEBHOOKS / 2]!, refreshed };
}
