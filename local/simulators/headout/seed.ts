import { addDays, createRandom, type Random } from "../random.ts";

/** A booking in Headout's form; only the fields that the simulator itself reads are named. */
export interface HeadoutBooking {
  readonly bookingId: string;
  readonly status: string;
  readonly startDateTime: string;
  readonly [field: string]: unknown;
}

/** All that the seeded bookings depend on. */
export interface HeadoutSeed {
  readonly seed: number;
  readonly count: number;
  /** The day of the first experience, `YYYY-MM-DD`. */
  readonly firstDay: string;
}

/** The booking of Headout's own documentation; always the first of the seed. */
export const sampleBookingId = "123456789";

/** The status event of Headout's documentation, word for word. */
export const sampleEvent =
  `{ "bookingId": 123456789, "status": "COMPLETED", "eventTimestamp": "2024-01-15T10:30:00" }`;

/** The id of seeded booking `index`. */
export function headoutSeedId(index: number): string {
  return index === 0 ? sampleBookingId : String(200_000_000 + index);
}

/** Seeded booking `index`, computed from the seed: the same at every call. */
export function seedHeadoutBooking(seed: HeadoutSeed, index: number): HeadoutBooking {
  const random = createRandom(seed.seed + 77, index);
  const bookingId = headoutSeedId(index);
  const product = random.pick(products);
  const day = addDays(seed.firstDay, index % 90);
  const amount = random.integer(20, 180) * 10;
  const people = customers(random);
  return {
    bookingId,
    partnerReferenceId: `HO-${bookingId}`,
    variantId: product.variant.id,
    status: index === 0
      ? "COMPLETED"
      : random.pick(["COMPLETED", "COMPLETED", "PENDING", "CANCELLED"]),
    startDateTime: `${day}T${random.pick(["09:00:00", "13:30:00", "19:00:00"])}`,
    product,
    customersDetails: { count: people.length, customers: people },
    variantInputFields: [{
      id: "lang",
      name: "Language",
      value: random.pick(["English", "Svenska"]),
    }],
    price: { amount, currencyCode: "SEK" },
    voucherUrl: `https://vouchers.headout.example/${bookingId}.pdf`,
    tickets: people.slice(0, 2).flatMap((_, ticket) => [
      {
        publicId: `${bookingId}-${ticket}-pdf`,
        url: `https://tickets.headout.example/${bookingId}/${ticket}.pdf`,
        type: "PDF_URL",
      },
      { publicId: `${bookingId}-${ticket}-qr`, url: null, type: "QRCODE" },
    ]),
    seatInfo: null,
    creationTimestamp: 1_705_300_000 + index * 600,
  };
}

function customers(random: Random): readonly Readonly<Record<string, unknown>>[] {
  const adults = random.integer(1, 3);
  const kinds = [
    ...Array.from({ length: adults }, () => "ADULT"),
    ...(random.chance(0.4) ? ["CHILD"] : []),
  ];
  return kinds.map((personType, index) => {
    const name = random.pick(names);
    return {
      personType,
      isPrimary: index === 0,
      inputFields: [
        { id: "NAME", name: "Full name", value: name },
        ...(index === 0
          ? [
            {
              id: "EMAIL",
              name: "Email",
              value: `${name.split(" ")[0]?.toLowerCase()}@example.com`,
            },
            { id: "PHONE", name: "Phone", value: `+4420${random.integer(1_000_000, 9_999_999)}` },
          ]
          : []),
      ],
    };
  });
}

const names = ["Ada Lovelace", "Jonas Berg", "Maria Silva", "Chen Wei", "Priya Patel"] as const;
const products = [
  { id: "9101", name: "Vasa Museum: Guided Tour", variant: { id: "77001", name: "English tour" } },
  { id: "9102", name: "Stockholm Archipelago Cruise", variant: { id: "77002", name: "Half day" } },
  { id: "9103", name: "Gamla Stan Food Walk", variant: { id: "77003", name: "Evening" } },
] as const;
