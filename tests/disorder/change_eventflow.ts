import { addDays, type Random } from "../../local/simulators/random.ts";
import type { ControlClient } from "../../local/simulators/control_client.ts";
import type { WorldBooking } from "./world.ts";

/**
 * Does one thing to a booking at EventFlow: creates it, changes some of it, cancels, confirms again,
 * deletes or brings it back. Every content has the booking's revision in its notes. Returns the
 * event type that EventFlow would name.
 */
export async function changeEventflow(
  eventflow: ControlClient,
  booking: WorldBooking,
  random: Random,
): Promise<string> {
  booking.revision += 1;
  const { id, organizationId, state } = booking;
  if (state === "unborn") {
    await eventflow.put(id, {
      organization_id: organizationId,
      status: random.pick(["Bekräftad", "Bekräftad", "Offert"]),
      ...content(booking, random),
      ...days(random),
      ...products(id, random),
    });
    booking.state = "present";
    return "created";
  }
  if (state === "present" && random.chance(0.03)) {
    await eventflow.delete(id);
    booking.state = "deleted";
    return "cancelled";
  }
  const cancels = state === "present" && random.chance(0.12);
  const fields = {
    ...content(booking, random),
    ...(random.chance(0.3) ? days(random) : {}),
    ...(random.chance(0.4) ? products(id, random) : {}),
    ...(cancels
      ? { status: random.pick(["Avbokad", "CANCELLED", "avbokad!"]) }
      : state !== "present" || random.chance(0.2)
      ? { status: random.pick(["Bekräftad", "CONFIRMED", "Offert", "Pending"]) }
      : {}),
  };
  // Sometimes the source does not count a change as a new revision. Where reads lag as well, nobody
  // could tell the older content from the newer.
  await eventflow.patch(id, fields, { bump: !random.chance(0.1) || booking.blurred });
  booking.state = cancels ? "cancelled" : "present";
  return cancels ? "cancelled" : random.pick(["updated", "confirmed", "booking.updated"]);
}

function content(booking: WorldBooking, random: Random): Record<string, unknown> {
  return {
    internal_notes: `rev ${booking.revision}`,
    title: `Fest ${random.integer(1, 5)}`,
    clientName: random.pick(["Malmö Stad", "Lunds Kommun", null]),
    delivery_address: random.pick(["Storgatan 1", "Hamngatan 2", null]),
    delivery_contact_name: random.pick(["Åsa Öberg", "Bo Ek", null]),
    carry_more_than_10m: random.chance(0.5),
    economics: { total_ex_vat: random.integer(1, 9) * 1000 },
    attachments: [
      ...Array.from({ length: random.integer(0, 2) }, (_, n) => ({
        public_url: `https://files.eventflow.example/${booking.id}/${n}.pdf`,
        file_name: `${n}.pdf`,
      })),
      ...(random.chance(0.2) ? [inlineFile(booking, random)] : []),
    ],
    rig_start_time: random.pick(["07:00", "08:30", null, "kl 8", 8, "24:00"]),
    ...(random.chance(0.15) ? { custom: random.pick(ODD) } : {}),
  };
}

/** What no column takes, and what no database does. */
const ODD = [{ a: [1, null] }, "half \ud83d", "NUL \u0000", 1e308, [], "x".repeat(70_000)] as const;

/** A file whose content comes along; now and then one of some size. */
function inlineFile(booking: WorldBooking, random: Random): Record<string, unknown> {
  const text = `Plan ${random.integer(1, 3)} of ${booking.id}. `;
  return {
    file_name: "plan.txt",
    content_base64: btoa(text.repeat(random.pick([1, 1, 1, 9_000]))),
  };
}

function days(random: Random): Record<string, unknown> {
  const rig = addDays("2028-03-01", random.integer(0, 300));
  const run = (first: string, length: number) =>
    Array.from({ length }, (_, day) => addDays(first, day));
  const length = random.integer(1, 3);
  return {
    rig_up_dates: run(rig, random.integer(1, 2)),
    event_dates: run(addDays(rig, 2), length),
    rig_down_dates: [addDays(rig, 2 + length)],
  };
}

function products(id: string, random: Random): Record<string, unknown> {
  const names = ["Tält 6x9", "Stol, vit", "Ståbord", "Golv"];
  return {
    products: names.filter(() => random.chance(0.6)).map((name, index) => ({
      id: `${id}-${name}`,
      name,
      quantity: random.integer(0, 40),
      unit_price: random.integer(1, 90) * 10,
      sort_index: index + 1,
    })),
  };
}
