import { addDays, createRandom, type Random } from "../random.ts";
import type { EventflowBooking } from "./booking.ts";
import { seedProducts } from "./seed_products.ts";
import { realLifeBooking } from "./real_life.ts";
import {
  clients,
  fileHost,
  firstNames,
  lastNames,
  notes,
  occasions,
  places,
  statuses,
  streets,
} from "./seed_words.ts";

/** All that the seeded bookings depend on. */
export interface EventflowSeed {
  readonly seed: number;
  readonly count: number;
  /** The first rig day, `YYYY-MM-DD`; later bookings rig on later days. */
  readonly firstDay: string;
  /** Rows per booking; absent: a realistic 3 to 9. */
  readonly productsPerBooking?: number;
  /** Every how many bookings is a whole one; the others are bare offers. Absent: all are whole. */
  readonly wholeEvery?: number;
  /** Bookings as the real source sends them, with all that is odd in them. */
  readonly realLife?: boolean;
}

/** The id of seeded booking `index`, from which `seedIndex` reads it back. */
export function seedId(index: number): string {
  return `e7f10000-5eed-4000-8000-${index.toString(16).padStart(12, "0")}`;
}

/** The index in a seeded id, undefined for any other id. */
export function seedIndex(id: string): number | undefined {
  const hex = /^e7f10000-5eed-4000-8000-([0-9a-f]{12})$/.exec(id)?.[1];
  return hex === undefined ? undefined : parseInt(hex, 16);
}

/** When seeded booking `index` was last changed, as an ISO instant. */
export function seedUpdatedAt(seed: EventflowSeed, index: number): string {
  const base = Date.parse(`${addDays(seed.firstDay, -40)}T08:00:00Z`);
  return new Date(base + (index % 20_000) * 60_000).toISOString().replace(".000", "");
}

/** Seeded booking `index`, computed from the seed: the same at every call. */
export function seedBooking(seed: EventflowSeed, index: number): EventflowBooking {
  if (seed.realLife) {
    const { booking } = realLifeBooking(seed.seed, index, seed.firstDay);
    return { ...booking, id: seedId(index) } as EventflowBooking;
  }
  const whole = wholeBooking(seed, index);
  if (index % (seed.wholeEvery ?? 1) === 0) return whole;
  const none: readonly never[] = [];
  return {
    ...whole,
    status: "Offert",
    rig_up_dates: none,
    rig_down_dates: none,
    products: none,
    attachments: none,
    files_metadata: none,
    tent_images: none,
  };
}

function wholeBooking(seed: EventflowSeed, index: number): EventflowBooking {
  const random = createRandom(seed.seed, index);
  const id = seedId(index);
  const days = phaseDays(seed, index, random);
  const client = random.pick(clients);
  const place = random.pick(places);
  const contact = `${random.pick(firstNames)} ${random.pick(lastNames)}`;
  const rentalOnly = random.chance(0.12);
  return {
    id,
    booking_number: `${days.rig[0]?.slice(2, 4)}${days.rig[0]?.slice(5, 7)}-${index + 1}`,
    title: `${random.pick(occasions)} ${place.city}`,
    clientName: client,
    status: index === 0 ? "Bekräftad" : random.pick(statuses),
    updated_at: seedUpdatedAt(seed, index),
    version: 1 + (index % 4),
    rig_up_dates: days.rig,
    event_dates: days.event,
    rig_down_dates: days.rigdown,
    rig_start_time: random.pick(["07:00", "08:00", "08:30:00"]),
    rig_end_time: random.pick(["12:00", "15:00", "16:30:00"]),
    event_time: random.pick(["10:00 - 17:00", "17:00 – 23:30", "12:00-20:00"]),
    rig_down_time: random.pick(["08:00 - 12:00", "09:00 - 14:00"]),
    delivery_address: `${random.pick(streets)} ${random.integer(1, 98)}`,
    delivery_city: place.city,
    delivery_postal_code: place.postalCode,
    delivery_geocode: { lat: place.latitude, lng: place.longitude },
    delivery_contact_name: contact,
    delivery_contact_phone: `+4670${random.integer(1_000_000, 9_999_999)}`,
    delivery_contact_email: emailOf(contact),
    carry_more_than_10m: random.chance(0.3),
    ground_nails_allowed: random.chance(0.7),
    exact_time_needed: random.chance(0.2),
    exact_time_info: random.chance(0.2) ? "Grinden öppnas först 07.30" : null,
    rental_only: rentalOnly,
    internal_notes: random.pick(notes),
    economics: { total_ex_vat: random.integer(40, 900) * 100, currency: "SEK", margin: 0.34 },
    map_drawing: { public_url: `${fileHost}/${id}/ritning.png` },
    products: seedProducts(random, index, seed.productsPerBooking),
    attachments: [
      {
        public_url: `${fileHost}/${id}/offert.pdf`,
        file_name: "Offert.pdf",
        file_type: "application/pdf",
      },
      ...(random.chance(0.4)
        ? [{
          url: `${fileHost}/${id}/skiss.jpg`,
          name: "Skiss över tomten.jpg",
          type: "image/jpeg",
        }]
        : []),
    ],
    files_metadata: random.chance(0.3)
      ? [{ url: `${fileHost}/${id}/riskanalys.pdf`, name: "Riskanalys.pdf" }]
      : [],
    tent_images: random.chance(0.4)
      ? [{ public_url: `${fileHost}/${id}/talt-1-topp.png`, view_key: "topp", tent_index: 1 }]
      : [],
  };
}

function phaseDays(
  seed: EventflowSeed,
  index: number,
  random: Random,
): Readonly<Record<"rig" | "event" | "rigdown", readonly string[]>> {
  const rig = addDays(seed.firstDay, (index * 3) % 330);
  const rigDays = random.chance(0.2) ? 2 : 1;
  const eventDays = random.integer(1, 3);
  const event = addDays(rig, rigDays);
  const run = (first: string, length: number) =>
    Array.from({ length }, (_, day) => addDays(first, day));
  return {
    rig: run(rig, rigDays),
    event: run(event, eventDays),
    rigdown: [addDays(event, eventDays)],
  };
}

function emailOf(name: string): string {
  const ascii = name.toLowerCase().normalize("NFD").replace(/[^a-z ]/g, "");
  return `${ascii.replace(" ", ".")}@example.se`;
}
