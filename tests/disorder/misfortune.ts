import type { ControlClient } from "../../local/simulators/control_client.ts";
import type { Random } from "../../local/simulators/random.ts";
import type { WorldBooking } from "./world.ts";

/** How often what happened. */
export type Tally = Record<string, number>;

/** Counts one more. */
export function count(tally: Tally, what: string): void {
  tally[what] = (tally[what] ?? 0) + 1;
}

/** Has the booking's next webhook go astray, about every second time. */
export async function loseItsWay(
  simulator: ControlClient,
  booking: WorldBooking,
  random: Random,
  tally: Tally,
): Promise<void> {
  if (random.chance(0.5)) return count(tally, "webhooks in order");
  const mode = random.pick(["drop", "duplicate", "delay", "reorder"]);
  const seconds = random.integer(1, 20) / 20;
  await simulator.setFault({ mode, booking_id: booking.id, seconds });
  count(tally, `webhooks: ${mode}`);
}

/** Has the next reads of this booking show less than there is, or what was; one time in twelve. */
export async function blurAReading(
  eventflow: ControlClient,
  booking: WorldBooking,
  flagged: boolean,
  random: Random,
  tally: Tally,
): Promise<void> {
  if (!random.chance(1 / 12)) return;
  const how = flagged ? "lag" : random.pick(["lag", "flicker", "empty"]);
  const reads = random.integer(1, 3);
  if (how === "lag") await eventflow.lag(random.integer(1, 20) / 10, { booking_id: booking.id });
  else if (how === "flicker") await eventflow.flicker(booking.id, { phase: "event", reads });
  else {
    const collection = random.pick(["products", "files", "event"]);
    await eventflow.empty(booking.id, { collection, reads });
  }
  booking.blurred = true;
  count(tally, `source: ${how}`);
}

/** Has every read show what there is. */
export async function clearBlurs(
  eventflow: ControlClient,
  bookings: readonly WorldBooking[],
): Promise<void> {
  for (const { id } of bookings.filter(({ blurred }) => blurred)) {
    await eventflow.lag(null, { booking_id: id });
    await eventflow.flicker(id, { phase: "event", reads: 0 });
    for (const collection of ["products", "files", "event"]) {
      await eventflow.empty(id, { collection, reads: 0 });
    }
  }
}

/** The ways in which a source can answer badly. */
const FAULTS: Readonly<Record<WorldBooking["source"], readonly Record<string, unknown>[]>> = {
  eventflow: [
    { mode: "status", status: 500 },
    { mode: "status", status: 408 },
    { mode: "html" },
    { mode: "truncated" },
    { mode: "empty" },
    { mode: "rate_limit", retry_after: 1 },
    { mode: "hang", seconds: 0.3 },
    { mode: "drip", seconds: 0.3 },
    { mode: "other_booking" },
    { mode: "other_organization" },
    { mode: "absent" },
    { mode: "legacy" },
    { mode: "contract_version", version: "1.7" },
    { mode: "contract_version", version: "2.0" },
  ],
  headout: [
    { mode: "status", status: 500 },
    { mode: "status", status: 404 },
    { mode: "html" },
    { mode: "truncated" },
    { mode: "rate_limit", retry_after: 1 },
    { mode: "hang", seconds: 0.3 },
    { mode: "drip", seconds: 0.3 },
    { mode: "other_booking" },
  ],
};

/** Has the next read of this booking, or of any, answered badly; one time in ten. */
export async function spoilARead(
  simulator: ControlClient,
  booking: WorldBooking,
  random: Random,
  tally: Tally,
): Promise<void> {
  if (!random.chance(0.1)) return;
  const fault = random.pick(FAULTS[booking.source]);
  if (fault.mode === "absent" || fault.status === 404) booking.denied = true;
  // EventFlow's faults of one booking's answer need its id; a page of the list is another matter.
  await simulator.setFault({ ...fault, booking_id: booking.id });
  count(tally, `source: ${fault.mode}`);
}
