import { addDays, createRandom, type Random } from "../random.ts";
import {
  clients,
  fileHost,
  firstNames,
  lastNames,
  occasions,
  places,
  streets,
} from "./seed_words.ts";

/** A booking as the real source sends it, and what a row of ours must say of it. */
export interface RealLifeBooking {
  readonly booking: Readonly<Record<string, unknown>>;
  /** By column of `bookings`: the value that it must have, null if no alternate holds any. */
  readonly columns: Readonly<Record<string, string | null>>;
  /** Our status for its word. */
  readonly status: string;
  /** By id of a product row: the number that it must have. */
  readonly quantities: ReadonlyMap<string, number>;
  /** Days by phase that can be read. */
  readonly days: Readonly<Record<"rig" | "event" | "rigdown", ReadonlySet<string>>>;
  /** How many different files it has that can be read. */
  readonly files: number;
}

/** The names under which the source sends a value, the one that counts first. */
const ALTERNATES: readonly (readonly [column: string, names: readonly string[], make: Words])[] = [
  [
    "booking_number",
    ["booking_number", "number"],
    (random) => `26${random.integer(10, 12)}-${random.integer(1, 99)}R1`,
  ],
  [
    "title",
    ["title", "name", "location"],
    (random) => `${random.pick(occasions)} på ${random.pick(places).city}`,
  ],
  ["client_name", ["clientName", "client.name"], (random) => random.pick(clients)],
  [
    "contact_name",
    ["delivery_contact_name", "contact_name", "contact_person", "contact.name"],
    nameOf,
  ],
  [
    "contact_phone",
    ["delivery_contact_phone", "contact_phone", "contact.phone", "phone"],
    (random) =>
      `070-${random.integer(100, 999)} ${random.integer(10, 99)} ${random.integer(10, 99)}`,
  ],
  [
    "contact_email",
    ["delivery_contact_email", "contact_email", "contact.email", "email"],
    (random) => `${random.pick(lastNames)}@example.se`,
  ],
  [
    "delivery_address",
    ["delivery_address"],
    (random) => `${random.pick(streets)} ${random.integer(1, 98)} B`,
  ],
  ["delivery_city", ["delivery_city"], (random) => random.pick(places).city],
  [
    "source_notes",
    ["internal_notes"],
    (random) => random.pick(["Ring först.", "Låg port, 2,9 m", "x".repeat(120)]),
  ],
];

type Words = (random: Random) => string;

/** What holds nothing, as it occurs in the place of text. */
const EMPTY = [null, "", " ", "\t\n", {}, []] as const;

const STATUSES: readonly (readonly [word: string, status: string])[] = [
  ["Bekräftad", "CONFIRMED"],
  ["BEKRAFTAD.", "CONFIRMED"],
  ["bekräftat", "CONFIRMED"],
  ["Genomförd", "CONFIRMED"],
  ["fakturerad", "CONFIRMED"],
  ["åter-lämnad", "PENDING"],
  ["Offert", "OFFER"],
  ["utkast", "OFFER"],
  ["Preliminär", "PENDING"],
  ["on_hold", "PENDING"],
  ["Awaiting approval", "PENDING"],
  ["Avbokad", "CANCELLED"],
  ["inställd!", "CANCELLED"],
  ["nekad", "REJECTED"],
  ["Utgången", "REJECTED"],
  ["archived", "PENDING"],
  ["Kanske", "PENDING"],
];

const TIMES = [
  "8",
  "08",
  "0800",
  "8.30",
  8,
  "kl 8",
  "kl. 08:00",
  "ca 08:00",
  "08:00h",
  "7:30 PM",
  "7:30 pm",
  "24:00",
  "08:00:00",
  "2026-05-01T08:00:00+02:00",
  "8–12",
  "kl 8 - 12",
  "7:30 - 9 PM",
  "snart",
  "",
  null,
  "25:00",
  {},
  8.5,
] as const;

/** A quantity as it is sent, and the number that it is. */
const QUANTITIES: readonly (readonly [sent: unknown, number: number])[] = [
  [1, 1],
  [0, 0],
  [12, 12],
  ["3,5", 3.5],
  ["1 200,50", 1200.5],
  ["1.234,50", 1234.5],
  ["−2", -2],
  [-1, -1],
  ["7", 7],
  [2.25, 2.25],
];

/** Fields that no contract knows, some of which no database can store. */
const JUNK: readonly (() => Record<string, unknown>)[] = [
  () => ({ crew: [{ name: "Ola", hours: 8 }] }),
  () => ({ "odd\u0000name": 1 }),
  () => ({ comment: "half a pair \ud83d and NUL \u0000" }),
  () => ({ nested: nest(200) }),
  () => ({ measure: 1e308, tiny: 5e-324 }),
  () => JSON.parse('{"__proto__": {"admin": true}, "constructor": null}'),
  () => ({ story: "å".repeat(60_000) }),
  () => ({ blob: { parts: Array.from({ length: 4_000 }, (_, part) => `part ${part}`) } }),
  () => Object.fromEntries(Array.from({ length: 700 }, (_, field) => [`custom_${field}`, field])),
];

/**
 * Booking `index` as the real source sends them: alternates filled in every combination of present,
 * null, empty and absent, odd words, times and numbers, refund lines, packages of a foreign catalogue,
 * inline files, and fields that nobody knows. It depends on seed and index alone.
 */
export function realLifeBooking(seed: number, index: number, firstDay: string): RealLifeBooking {
  const random = createRandom(seed, index);
  const id = `real-${index}`;
  const booking: Record<string, unknown> = { id };
  const columns: Record<string, string | null> = {};
  for (const [column, names, make] of ALTERNATES) {
    columns[column] = fillAlternates(random, booking, names, make);
  }
  const [word, status] = random.pick(STATUSES);
  booking[random.pick(["status", "booking_status"])] = word;
  const days = fillDays(random, booking, addDays(firstDay, random.integer(0, 300)));
  for (const name of ["rig_start_time", "rig_end_time", "event_time", "rig_down_start_time"]) {
    if (random.chance(0.6)) booking[name] = random.pick(TIMES);
  }
  const quantities = fillProducts(random, booking, id);
  const files = fillFiles(random, booking, id);
  for (const flag of ["carry_more_than_10m", "ground_nails_allowed", "rental_only"]) {
    if (random.chance(0.4)) booking[flag] = random.pick([true, false, null, "ja", 1]);
  }
  if (random.chance(0.3)) booking["economics"] = random.pick([{ total: 5 }, null, "5 000 kr", []]);
  if (random.chance(0.5)) {
    booking["delivery_geocode"] = random.pick([{ lat: 59.3, lng: 18 }, null, {}, { lat: "59,3" }, {
      lat: 590,
    }]);
  }
  booking["updated_at"] = random.pick([
    "2026-08-04T17:11:00Z",
    "2026-08-04 17:11",
    null,
    "igår",
    "",
  ]);
  if (random.chance(0.5)) booking["source_updated_at"] = "2026-08-04T17:11:00+02:00";
  if (random.chance(0.5)) booking["version"] = random.pick([7, "7", null, -1, 7.5]);
  if (random.chance(0.35)) {
    // Not an assignment: one to "__proto__" would set nothing.
    for (const [name, value] of Object.entries(random.pick(JUNK)())) {
      Object.defineProperty(booking, name, { value, enumerable: true, configurable: true });
    }
  }
  return { booking, columns, status, quantities, days, files };
}

function nameOf(random: Random): string {
  return `${random.pick(firstNames)} ${random.pick(lastNames)}`;
}

/** Fills each name with something, nothing, null, or not at all; returns what must come of it. */
function fillAlternates(
  random: Random,
  booking: Record<string, unknown>,
  names: readonly string[],
  make: Words,
): string | null {
  let counts: string | null = null;
  for (const path of names) {
    if (random.chance(0.4)) continue;
    const value = random.chance(0.5) ? make(random) : random.pick(EMPTY);
    const [parent, member] = path.split(".") as [string, string?];
    if (member === undefined) booking[parent] = value;
    else booking[parent] = { ...Object(booking[parent]), [member]: value };
    if (typeof value === "string" && value.trim() !== "") counts ??= value;
  }
  return counts;
}

function fillDays(random: Random, booking: Record<string, unknown>, first: string) {
  const phases = {
    rig: { list: "rig_up_dates", one: ["rigdaydate", "rig_date"], at: 0 },
    event: { list: "event_dates", one: ["eventdate", "event_date"], at: 2 },
    rigdown: { list: "rig_down_dates", one: ["rigdowndate", "rig_down_date"], at: 4 },
  } as const;
  const days: Record<keyof typeof phases, Set<string>> = {
    rig: new Set(),
    event: new Set(),
    rigdown: new Set(),
  };
  for (const phase of ["rig", "event", "rigdown"] as const) {
    const { list, one, at } = phases[phase];
    const some = Array.from({ length: random.integer(0, 3) }, (_, day) => addDays(first, at + day));
    if (random.chance(0.7)) {
      booking[list] = [
        ...some,
        ...(random.chance(0.15) ? [random.pick(["TBD", null, "", 7])] : []),
      ];
      for (const day of some) days[phase].add(day);
    } else if (random.chance(0.3)) booking[list] = null;
    if (random.chance(0.4)) {
      const day = addDays(first, at);
      booking[random.pick(one)] = random.pick([day, `${day}T00:00:00Z`, `${day}T23:30:00-05:00`]);
      days[phase].add(day);
    }
  }
  return days;
}

function fillProducts(random: Random, booking: Record<string, unknown>, id: string) {
  const quantities = new Map<string, number>();
  if (random.chance(0.1)) {
    booking["products"] = random.pick([null, [], {}]);
    return quantities;
  }
  const rows: Record<string, unknown>[] = [];
  for (let row = 0; row < random.integer(1, 14); row++) {
    const key = `${id}-${row}`;
    const [sent, number] = random.pick(QUANTITIES);
    quantities.set(key, number);
    rows.push({
      [random.pick(["id", "product_id", "productId"])]: key,
      [random.pick(["name", "product_name"])]: random.pick([
        "Tält 6x12",
        "↳ Vägg",
        "⦿ Stolpe",
        "  -- Golv",
        "L, Matta",
        "Rabatt",
        "",
      ]),
      quantity: sent,
      [random.pick(["unit_price", "price", "rental_price"])]: random.pick([
        900,
        "1 200,50",
        "gratis",
        null,
        0,
      ]),
      sort_index: random.pick([row, row + 0.5, null, "2"]),
      ...(random.chance(0.2)
        ? {
          is_package_component: true,
          parent_package_id: random.pick(["cat-77", rows[0]?.["id"] ?? "cat-78"]),
        }
        : {}),
      ...(random.chance(0.1)
        ? { package_components: [{ name: "Lina", quantity: "4", sku: `L${row}` }, "junk", null] }
        : {}),
      ...(random.chance(0.1) ? { tags: ["tält", 7, null], labor_cost: "3,5" } : {}),
    });
  }
  booking["products"] = random.chance(0.1) ? [...rows, "not a row", null] : rows;
  return quantities;
}

function fillFiles(random: Random, booking: Record<string, unknown>, id: string): number {
  const keys = new Set<string>();
  const link = (name: string): string => {
    const version = random.integer(1, 2);
    keys.add(`${name} ${version}`);
    return `${fileHost}/${id}/${name}?file=${version}&token=${random.integer(1, 999)}&X-Amz-Date=1`;
  };
  const inline = (): string => {
    const content = String.fromCharCode(65 + random.integer(0, 5)).repeat(
      random.integer(1, 3) * 30,
    );
    keys.add(content);
    return btoa(content);
  };
  if (random.chance(0.7)) {
    booking["attachments"] = Array.from(
      { length: random.integer(0, 3) },
      (_, file) =>
        random.chance(0.3) ? { file_name: `Plan ${file}.pdf`, content_base64: inline() } : {
          [random.pick(["public_url", "url", "file_url"])]: link("a.pdf"),
          file_name: "Offert.pdf",
        },
    );
  }
  if (random.chance(0.4)) {
    booking["files_metadata"] = [
      { url: link("b.pdf"), name: "B" },
      ...(random.chance(0.3)
        ? [{ url: "javascript:alert(1)" }, null, "x", { content_base64: "***" }]
        : []),
    ];
  }
  if (random.chance(0.3)) {
    booking["tent_images"] = [{
      tent_index: 1,
      view_key: "topp",
      content_base64: `data:image/png;base64,${inline()}`,
    }];
  }
  if (random.chance(0.4)) {
    booking["map_drawing"] = random.pick([
      { url: `${fileHost}/${id}/map.png?sig=1` },
      { content_base64: btoa("map"), name: "karta.svg" },
      null,
      {},
      { url: 7 },
    ]);
  }
  return keys.size;
}

function nest(levels: number): unknown {
  let value: unknown = "deep";
  for (let level = 0; level < levels; level++) value = { inner: value };
  return value;
}
