import { type BookingStatus, normalizeStatusWord } from "../booking/status.ts";

// Maps, not objects: the words come from outside and may be "__proto__".
const STATUSES: ReadonlyMap<string, BookingStatus> = new Map<string, BookingStatus>([
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

/**
 * Our status for one of EventFlow's words, Swedish or English. `undefined` for a word that we do not
 * know, which leaves the status as it is (rule: absence is not a statement).
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
  return STATUSES.get(/^AWAITING[\s_]*APPROVAL$/.test(normal) ? "AWAITING APPROVAL" : normal);
}
