import { isJsonObject } from "../booking/snapshot.ts";
import { SourceError } from "../source/source_error.ts";
import type { SingleAnswer } from "../source/booking_source.ts";
import { decodeBooking, readBookingId } from "./decode_booking.ts";

/**
 * Headout's answer about one booking: the booking itself. Throws `SourceError` for anything else
 * (rule: absence is not a statement), and a permanent `source_contradiction` for another booking.
 * Ids are compared as text, since Headout sends both integers and text.
 */
export function decodeSingle(
  body: unknown,
  question: { readonly externalId: string; readonly fetchedAt: string },
): SingleAnswer {
  if (isJsonObject(body) && body["success"] === false) {
    const message = "Headout says that it could not answer (success: false)";
    throw new SourceError("source_unavailable", message, {
      details: [{ code: "success_false", field: "success", message }],
    });
  }
  const id = readBookingId(body);
  if (id !== undefined && id !== question.externalId) {
    const message = "Headout's answer is about a different booking than requested";
    throw new SourceError("source_contradiction", message, {
      details: [{ code: "other_booking", field: "bookingId", message }],
    });
  }
  const decoded = decodeBooking(body, question);
  if (decoded.ok) return { kind: "stated", snapshot: decoded.snapshot };
  const { code, field, message } = decoded.invalid;
  throw new SourceError("source_invalid", `Headout's booking cannot be used: ${message}`, {
    retryable: code === "missing_id" || code === "invalid_booking",
    details: [{ code, field, message }],
  });
}
