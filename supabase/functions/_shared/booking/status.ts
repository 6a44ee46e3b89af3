/** Every system that a booking can come from; the database's enum `booking_source`. */
export const BOOKING_SOURCES = ["eventflow", "headout"] as const;

/** A system that bookings come from. */
export type BookingSourceName = (typeof BOOKING_SOURCES)[number];

/** Our own status words; the database's enum `booking_status`. */
export const BOOKING_STATUSES = ["OFFER", "PENDING", "CONFIRMED", "CANCELLED", "REJECTED"] as const;

/** One of our own status words. */
export type BookingStatus = (typeof BOOKING_STATUSES)[number];

/** Headout's status words as its webhook and its API send them. */
export const HEADOUT_STATUSES = [
  "UNCAPTURED",
  "PENDING",
  "COMPLETED",
  "CANCELLED",
  "FAILED",
  "CAPTURE_TIMEDOUT",
] as const;

/** One of Headout's status words. */
export type HeadoutStatus = (typeof HEADOUT_STATUSES)[number];

// Maps, not objects: the words come from outside and may be "__proto__".
const EVENTFLOW: ReadonlyMap<string, BookingStatus> = new Map<string, BookingStatus>([
  ["BEKRÄFTAD", "CONFIRMED"],
  ["CONFIRMED", "CONFIRMED"],
  ["AVBOKAD", "CANCELLED"],
  ["CANCELLED", "CANCELLED"],
  ["CANCELED", "CANCELLED"],
  ["DRAFT", "OFFER"],
  ["UTKAST", "OFFER"],
  ["OFFER", "OFFER"],
  ["OFFERT", "OFFER"],
  ["QUOTE", "OFFER"],
  ["PENDING", "PENDING"],
  ["TENTATIVE", "PENDING"],
  ["RESERVED", "PENDING"],
  ["AWAITING APPROVAL", "PENDING"],
]);

const HEADOUT: ReadonlyMap<string, BookingStatus> = new Map<HeadoutStatus, BookingStatus>([
  ["UNCAPTURED", "PENDING"],
  ["PENDING", "PENDING"],
  ["COMPLETED", "CONFIRMED"],
  ["CANCELLED", "CANCELLED"],
  ["FAILED", "REJECTED"],
  ["CAPTURE_TIMEDOUT", "REJECTED"],
]);

/**
 * A status word in the form in which words are compared: trimmed, composed, upper case, without
 * trailing punctuation (domain/eventflow.md).
 */
export function normalizeStatusWord(word: string): string {
  return word.normalize("NFC").replace(/[\p{P}\s]+$/u, "").trim().toUpperCase();
}

/**
 * Our status for a word of EventFlow's, Swedish or English; `undefined` for a word that we do not
 * know, which changes no status (invariant 6).
 *
 * @example
 * ```ts
 * mapEventFlowStatus(" Bekräftad! "); // "CONFIRMED"
 * mapEventFlowStatus("awaiting_approval"); // "PENDING"
 * mapEventFlowStatus("Parked"); // undefined
 * ```
 */
export function mapEventFlowStatus(word: string): BookingStatus | undefined {
  const normal = normalizeStatusWord(word);
  return EVENTFLOW.get(/^AWAITING[\s_]*APPROVAL$/.test(normal) ? "AWAITING APPROVAL" : normal);
}

/** Our status for a word of Headout's (design §4.2); `undefined` for a word that we do not know. */
export function mapHeadoutStatus(word: string): BookingStatus | undefined {
  return HEADOUT.get(normalizeStatusWord(word));
}
