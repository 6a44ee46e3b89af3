import assert from "node:assert/strict";
import type { BookingStatus } from "../booking/status.ts";
import { mapEventFlowStatus } from "./status.ts";

const EVENTFLOW: Record<BookingStatus, readonly string[]> = {
  CONFIRMED: ["BEKRÄFTAD", "CONFIRMED", " Bekräftad!", "bekra\u0308ftad", "confirmed."],
  CANCELLED: ["AVBOKAD", "CANCELLED", "CANCELED", "avbokad…", "\tCancelled ,"],
  OFFER: ["DRAFT", "UTKAST", "OFFER", "OFFERT", "QUOTE", "offert:"],
  PENDING: [
    "PENDING",
    "TENTATIVE",
    "RESERVED",
    "AWAITING APPROVAL",
    "AWAITING_APPROVAL",
    "AwaitingApproval",
    "awaiting  approval.",
  ],
  REJECTED: [],
};

Deno.test("mapEventFlowStatus() knows every word, Swedish and English", () => {
  for (const [status, words] of Object.entries(EVENTFLOW)) {
    for (const word of words) assert.equal(mapEventFlowStatus(word), status, word);
  }
});

Deno.test("mapEventFlowStatus() guesses nothing about an unknown word", () => {
  for (
    const word of ["", " ", "NOT CONFIRMED", "CONFIRMED?NO", "DELETED", "__proto__", "REJECTED"]
  ) {
    assert.equal(mapEventFlowStatus(word), undefined, word);
  }
});
