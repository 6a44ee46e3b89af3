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
