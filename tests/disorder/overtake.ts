import type { Random } from "../../local/simulators/random.ts";
import { letTimePass } from "../support/deliveries.ts";
import type { TestStack } from "../support/stack.ts";
import { changeEventflow } from "./change_eventflow.ts";
import { count, type Tally } from "./misfortune.ts";
import type { WorldBooking } from "./world.ts";

/**
 * A worker is overtaken: it has asked for a booking and waits for the answer, its lease ends, the
 * booking changes, and another worker is told. What the first then wants to write is older.
 */
export async function overtake(
  stack: TestStack,
  booking: WorldBooking,
  random: Random,
  tally: Tally,
): Promise<void> {
  count(tally, "readers overtaken");
  async function changeAndTell(): Promise<() => Promise<unknown>> {
    const event_type = await changeEventflow(stack.eventflow, booking, random);
    booking.changedAt = Date.now();
    const webhook = { organization_id: booking.organizationId, event_type };
    return () => stack.eventflow.sendWebhook(booking.id, webhook);
  }
  const tellFirst = await changeAndTell();
  await stack.eventflow.setFault({ mode: "hang", seconds: 1, booking_id: booking.id });
  const first = tellFirst();
  await new Promise((resolve) => setTimeout(resolve, 400));
  await letTimePass(stack.database);
  const tellSecond = await changeAndTell();
  await Promise.all([first, tellSecond()]);
}
