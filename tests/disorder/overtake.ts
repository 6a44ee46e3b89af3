import type { Random } from "../../local/simulators/random.ts";
import { letTimePass } from "../support/deliveries.ts";
import type { TestStack } from "../support/stack.ts";
import { changeEventflow } from "./change_eventflow.ts";
import { count, type Tally } from "./misfortune.ts";
import type { WorldBooking } from "./world.ts";

/**
 * A worker is overtaken: it has asked for a booking and waits for the answer, its lease ends, the
 * booking changes, and another worker is told and reads it. What the first wants to write then is
 * older. Both are claimed at once, as receive-booking does it when it is not in a burst.
 */
export async function overtake(
  stack: TestStack,
  booking: WorldBooking,
  random: Random,
  tally: Tally,
): Promise<void> {
  count(tally, "readers overtaken");
  await stack.eventflow.setFault({ mode: "hang", seconds: 1, booking_id: booking.id });
  const first = await changeAndImport(stack, booking, random);
  await new Promise((resolve) => setTimeout(resolve, 400));
  await letTimePass(stack.database);
  const second = await changeAndImport(stack, booking, random);
  await Promise.all([first.ended, second.ended]);
}

async function changeAndImport(
  stack: TestStack,
  booking: WorldBooking,
  random: Random,
): Promise<{ readonly ended: Promise<unknown> }> {
  const named = { source: "eventflow", organization_id: booking.organizationId } as const;
  const event_type = await changeEventflow(stack.eventflow, booking, random);
  booking.changedAt = Date.now();
  const { data } = await stack.service.rpc("receive_delivery", {
    ...named,
    function: "receive-booking",
    external_id: booking.id,
    event_type,
  });
  const row = data?.[0];
  if (row === undefined) return { ended: Promise.resolve() };
  booking.toldAt = Math.max(booking.toldAt, Date.now(), booking.changedAt + 1);
  if (row.outcome !== "claimed") return { ended: Promise.resolve() }; // somebody is at it already
  const order = { delivery_id: row.delivery_id, lease_token: row.lease_token };
  // The function may be killed meanwhile; then nobody answers.
  const ended = stack.postImport({ booking_id: booking.id, syncMode: "single", ...named, ...order })
    .catch(() => {});
  return { ended };
}
