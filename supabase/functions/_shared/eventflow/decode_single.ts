import { isJsonObject, type JsonObject } from "../booking/snapshot.ts";
import { SourceError } from "../source/source_error.ts";
import type { SingleAnswer } from "../source/booking_source.ts";
import { assertContractVersion, assertSuccess } from "./contract_version.ts";
import { decodeBooking, readBookingId } from "./decode_booking.ts";
import { decodeTombstone } from "./decode_tombstone.ts";
import { assertNamed, contradiction, isSameId, type SingleQuestion } from "./identity.ts";

/**
 * EventFlow's answer about one booking: contract 1, or the legacy `{ data }` and `{ bookings }`.
 * Only a booking, or a tombstone that names this booking and this organization, is a statement
 * (rule: cancelling takes a positive statement). Anything empty, unknown or malformed throws a
 * `SourceError` (incident: changed shape read as cancelled).
 */
export function decodeSingle(body: unknown, question: SingleQuestion): SingleAnswer {
  const frame = Array.isArray(body) ? { data: body } : body;
  if (!isJsonObject(frame)) throw unknownShape("The answer is neither an object nor a list");
  assertSuccess(frame);
  assertContractVersion(frame);
  const { mode } = frame;
  if (!isNothing(mode) && mode !== "single") {
    throw contradiction("other_mode", "mode", "The answer is not about a single booking");
  }
  if (Object.hasOwn(frame, "found")) return decodeContract(frame, question);
  const legacy = frame["data"] !== undefined ? frame["data"] : frame["bookings"];
  if (legacy === undefined) throw unknownShape("The answer has neither found nor data");
  return decodeLegacy(legacy, frame, question);
}

function decodeContract(frame: JsonObject, question: SingleQuestion): SingleAnswer {
  const { found, booking, tombstone } = frame;
  if (found === true) {
    if (!isNothing(tombstone)) {
      throw contradiction("found_with_tombstone", "tombstone", "Found, but with a tombstone");
    }
    if (!isNothing(frame["reason"])) {
      throw contradiction("found_with_reason", "reason", "Found, but with a reason why it is not");
    }
    assertNamed(frame, question);
    if (isNothing(booking)) throw empty("Found, but without the booking");
    return decodeFound(booking, frame, question);
  }
  if (found !== false) throw unknownShape("found is neither true nor false");
  if (!isNothing(booking)) {
    throw contradiction("absent_with_booking", "booking", "Not found, but with a booking");
  }
  return decodeTombstone(frame, question);
}

function decodeLegacy(
  legacy: unknown,
  frame: JsonObject,
  question: SingleQuestion,
): SingleAnswer {
  const rows = Array.isArray(legacy) ? legacy : [legacy];
  // EventFlow answers like this for some seconds after a status change, so it does not mean
  // "absent".
  if (rows.every(isNothing)) throw empty("The legacy answer is empty");
  // An older server may ignore booking_id and send the whole list.
  const ours = rows.filter((row) => isSameId(readBookingId(row) ?? "", question.externalId));
  if (ours.length > 1) {
    throw contradiction("booking_twice", "data", "The answer holds the booking more than once");
  }
  return decodeFound(ours[0] ?? rows[0], frame, question);
}

function decodeFound(
  booking: unknown,
  frame: JsonObject,
  question: SingleQuestion,
): SingleAnswer {
  const id = readBookingId(booking);
  if (id !== undefined && !isSameId(id, question.externalId)) {
    throw contradiction(
      "other_booking",
      "id",
      "The answer is about a different booking than requested",
    );
  }
  const { organizationId, fetchedAt, files = new Map() } = question;
  const decoded = decodeBooking(booking, { organizationId, fetchedAt, frame, files });
  if (decoded.ok) return { kind: "stated", snapshot: decoded.snapshot };
  const { code, field, message } = decoded.invalid;
  if (code === "organization_mismatch") throw contradiction("other_organization", field, message);
  throw new SourceError("source_invalid", `EventFlow's booking cannot be used: ${message}`, {
    retryable: code === "missing_id" || code === "invalid_booking",
    details: [{ code, field, message }],
  });
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === "" ||
    (isJsonObject(value) && Object.keys(value).length === 0);
}

function empty(message: string): SourceError {
  return new SourceError("source_unavailable", `EventFlow's answer is empty: ${message}`, {
    details: [{ code: "empty_answer", message }],
  });
}

function unknownShape(message: string): SourceError {
  return new SourceError("source_invalid", `EventFlow's answer has an unknown shape: ${message}`, {
    retryable: true,
    details: [{ code: "unknown_shape", message }],
  });
}
