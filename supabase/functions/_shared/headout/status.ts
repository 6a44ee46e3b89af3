import { type BookingStatus, normalizeStatusWord } from "../booking/status.ts";

/** Headout's status words, as its webhook and its API send them. */
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

// A map, not an object: the words come from outside and may be "__proto__".
const STATUSES: ReadonlyMap<string, BookingStatus> = new Map<HeadoutStatus, BookingStatus>([
  ["UNCAPTURED", "PENDING"],
  ["PENDING", "PENDING"],
  ["COMPLETED", "CONFIRMED"],
  ["CANCELLED", "CANCELLED"],
  ["FAILED", "REJECTED"],
  ["CAPTURE_TIMEDOUT", "REJECTED"],
]);

/** Our status for one of Headout's words; `undefined` for a word that we do not know. */
export function mapHeadoutStatus(word: string): BookingStatus | undefined {
  return STATUSES.get(readHeadoutStatus(normalizeStatusWord(word)));
}

/** Headout's word for a status: `CAPTURE_TIMEOUT` is another spelling of `CAPTURE_TIMEDOUT`. */
export function readHeadoutStatus(word: string): string {
  return word === "CAPTURE_TIMEOUT" ? "CAPTURE_TIMEDOUT" : word;
}
