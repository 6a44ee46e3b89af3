import { contentHash } from "../../supabase/functions/_shared/booking/content_hash.ts";
import type {
  Snapshot,
  SnapshotAttachment,
  SnapshotBooking,
  SnapshotDate,
  SnapshotProduct,
} from "../../supabase/functions/_shared/booking/snapshot.ts";

type Collection = "dates" | "products" | "attachments";

/** A list made by hand: without `complete` no flag was sent, without `stated` all of it was. */
export type HandMadeList<Key extends Collection> =
  & Partial<Omit<NonNullable<Snapshot[Key]>, "items">>
  & {
    readonly items:
      readonly (Key extends "attachments"
        ? Omit<SnapshotAttachment, "listed_under"> & Partial<SnapshotAttachment>
        : NonNullable<Snapshot[Key]>["items"][number])[];
  };

/** What a test may say about a snapshot; `undefined` takes a member away. */
export type SnapshotFields =
  & {
    readonly [Key in keyof Omit<Snapshot, "booking" | Collection>]?: Snapshot[Key] | undefined;
  }
  & { readonly [Key in Collection]?: HandMadeList<Key> | undefined }
  & { readonly booking?: Partial<SnapshotBooking> };

/** Rig, event and rig-down of a built booking: far enough away that its packing is not frozen. */
export const RIG_DAY = dayFromNow(200);
/** The day after `RIG_DAY`. */
export const EVENT_DAY = dayFromNow(201);
/** The day after `EVENT_DAY`. */
export const RIGDOWN_DAY = dayFromNow(202);

/**
 * A whole, valid, confirmed booking as a decoder would emit it, read just now. A test says only what
 * is different: `booking` is merged, everything else replaced, and the hash follows unless given.
 */
export function buildSnapshot(fields: SnapshotFields = {}): Snapshot {
  const { booking, content_hash: hash, ...rest } = withEvidence(fields);
  const draft = {
    external_id: "booking-1",
    fetched_at: new Date().toISOString(),
    dates: days(["rig", RIG_DAY], ["event", EVENT_DAY], ["rigdown", RIGDOWN_DAY]),
    products: products({ external_id: "tent", name: "Tält 6x9", quantity: 2, unit_price: 900 }, {
      external_id: "chair",
      name: "Stol",
      quantity: 40,
      unit_price: 12,
    }),
    attachments: attachments("https://files.example/offert.pdf?token=1"),
    ...rest,
    booking: { ...validBooking, ...booking },
  };
  for (const [key, value] of Object.entries(draft)) {
    if (value === undefined) delete (draft as Record<string, unknown>)[key];
  }
  const whole = draft as Omit<Snapshot, "content_hash">;
  return { ...whole, content_hash: hash ?? contentHash(whole) };
}

/** The same statement, read again just now. */
export function reread(snapshot: Snapshot): Snapshot {
  return { ...snapshot, fetched_at: new Date().toISOString() };
}

/** A snapshot that states nothing but what is given: no default fields, no collections. */
export function buildPartialSnapshot(fields: SnapshotFields = {}): Snapshot {
  const { booking = {}, content_hash: hash, ...rest } = withEvidence(fields);
  const draft = {
    external_id: "booking-1",
    fetched_at: new Date().toISOString(),
    ...rest,
    booking,
  } as Omit<Snapshot, "content_hash">;
  return { ...draft, content_hash: hash ?? contentHash(draft) };
}

/** Adds to hand-made lists what they leave out: no flag, everything stated. */
function withEvidence<T extends SnapshotFields>(fields: T) {
  const { dates, products, attachments } = fields;
  return {
    ...fields,
    ...(dates && { dates: { complete: null, stated: PHASES, ...dates } }),
    ...(products && { products: { complete: null, stated: true, ...products } }),
    ...(attachments && {
      attachments: {
        complete: null,
        stated: FILE_LISTS,
        ...attachments,
        items: attachments.items.map((item) => ({ listed_under: "attachments", ...item })),
      },
    }),
  };
}

const PHASES = ["rig", "event", "rigdown"] as const;
const FILE_LISTS = ["attachments", "files_metadata", "tent_images"] as const;

const validBooking: SnapshotBooking = {
  booking_number: "2705-37",
  title: "Sommarfest",
  client_name: "Malmö Stad",
  status: "CONFIRMED",
  source_status: "Bekräftad",
  delivery_address: "Storgatan 1",
  delivery_city: "Malmö",
  delivery_postal_code: "211 22",
  latitude: 55.6059,
  longitude: 13.0007,
  contact_name: "Åsa Öberg",
  contact_phone: "+46701234567",
  contact_email: "asa.oberg@example.se",
  carry_more_than_10m: false,
  ground_nails_allowed: true,
  exact_time_needed: false,
  exact_time_info: null,
  rental_only: false,
  source_notes: "Ring en timme före.",
  economics: { total_ex_vat: 45000 },
  map_drawing_url: "https://files.example/map.png?token=1",
  extra: { campaign: "vår" },
};

/** Days of phases, `[phase, day, start?, end?]`, of all phases; `complete()` adds the flag. */
export function days(
  ...items: readonly (readonly [
    SnapshotDate["phase"],
    string,
    (string | null | undefined)?,
    (string | null | undefined)?,
  ])[]
): NonNullable<Snapshot["dates"]> {
  return {
    complete: null,
    stated: [...PHASES],
    items: items.map(([phase, day, start, end]) => ({
      phase,
      day,
      ...(start === undefined ? {} : { start_time: start }),
      ...(end === undefined ? {} : { end_time: end }),
    })),
  };
}

/** A list of product rows. */
export function products(
  ...items: readonly SnapshotProduct[]
): NonNullable<Snapshot["products"]> {
  return { complete: null, stated: true, items: [...items] };
}

/** A list of files; a string is a URL. */
export function attachments(
  ...items: readonly (string | Omit<SnapshotAttachment, "url_key" | "listed_under">)[]
): NonNullable<Snapshot["attachments"]> {
  return {
    complete: null,
    stated: [...FILE_LISTS],
    items: items.map((item) => {
      const file = typeof item === "string" ? { url: item } : item;
      const url_key = file.url.replace(/[?#].*$/, "");
      return { ...file, url_key, listed_under: "attachments" };
    }),
  };
}

/** The same list with the source's word that it is the whole of it. */
export function complete<T extends { readonly complete: boolean | null }>(list: T): T {
  return { ...list, complete: true };
}

/** The day so many days from today, `YYYY-MM-DD`, where a test's organization is unless it says otherwise. */
export function dayFromNow(count: number): string {
  const today = new Intl.DateTimeFormat("sv-SE", { timeZone: "Europe/Stockholm" }).format();
  return addDays(today, count);
}

/** A day so many days after another one. */
export function addDays(day: string, count: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + count * 86_400_000).toISOString().slice(0, 10);
}

/** An instant so many seconds ago, ISO. */
export function secondsAgo(seconds: number): string {
  return new Date(Date.now() - seconds * 1000).toISOString();
}
