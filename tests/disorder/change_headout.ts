import type { ControlClient } from "../../local/simulators/control_client.ts";
import { addDays, type Random } from "../../local/simulators/random.ts";
import type { WorldBooking } from "./world.ts";

/** What may follow a status of Headout. */
const NEXT: Readonly<Record<string, readonly string[]>> = {
  PENDING: ["COMPLETED", "COMPLETED", "CANCELLED", "FAILED"],
  COMPLETED: ["CANCELLED", "COMPLETED"],
  CANCELLED: ["PENDING"],
};

/** An event as Headout sends it. */
export interface HeadoutEvent {
  readonly status: string;
  readonly eventTimestamp: string;
  readonly organization_id: string;
}

/**
 * Takes a booking at Headout one step along its lifecycle and returns the event that says so, on a
 * clock of its own that sometimes stands still for a second; undefined once it has reached its end.
 */
export async function changeHeadout(
  headout: ControlClient,
  booking: WorldBooking,
  random: Random,
): Promise<HeadoutEvent | undefined> {
  if (booking.state === "final") return undefined;
  const before = booking.state === "unborn"
    ? undefined
    : (await headout.get<{ status: string }>(booking.id)).status;
  const status = before === undefined ? "PENDING" : random.pick(NEXT[before] ?? ["COMPLETED"]);
  booking.revision += 1;
  const fields = {
    status,
    partnerReferenceId: `rev ${booking.revision}`,
    startDateTime: `${addDays("2028-03-01", random.integer(0, 300))}T${
      random.pick(["09:00:00", "19:30:00"])
    }`,
  };
  if (before === undefined) {
    await headout.create({ bookingId: booking.id, ...fields });
  } else await headout.patch(booking.id, fields);
  booking.state = status === "FAILED" ? "final" : "present";
  // The same status within the same second would be the same event.
  const standsStill = status !== before && random.chance(0.1);
  const seconds = booking.revision - (standsStill ? 1 : 0);
  return {
    status,
    eventTimestamp: new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString().slice(0, 19),
    organization_id: booking.organizationId,
  };
}
