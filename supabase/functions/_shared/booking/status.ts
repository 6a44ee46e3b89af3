/** Every system that bookings come from; the database's enum `booking_source`. */
export const BOOKING_SOURCES = ["eventflow", "headout"] as const;

/** A system that bookings come from. */
export type BookingSourceName = (typeof BOOKING_SOURCES)[number];

/** Our own status words; the database's enum `booking_status`. */
export const BOOKING_STATUSES = ["OFFER", "PENDING", "CONFIRMED", "CANCELLED", "REJECTED"] as const;

/** One of our own status words. */
export type BookingStatus = (typeof BOOKING_STATUSES)[number];

/**
 * A status word in the form in which words are compared: trimmed, composed (NFC), upper case,
 * without trailing punctuation.
 */
export function normalizeStatusWord(word: string): string {
  return word.normalize("NFC").replace(/[\p{P}\s]+$/u, "").trim().toUpperCase();
}
