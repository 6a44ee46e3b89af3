import { createReading } from "../source/reading.ts";
import { BookingRefusal } from "../booking/refusal.ts";
import { sealSnapshot } from "../booking/seal_snapshot.ts";
import { isJsonObject, type JsonObject, type Snapshot } from "../booking/snapshot.ts";
import { SourceError } from "../source/source_error.ts";
import type { SingleAnswer } from "../source/booking_source.ts";
import { normalizeStatusWord } from "../booking/status.ts";
import { assertNamed, contradiction, type SingleQuestion } from "./identity.ts";
import { readRevision } from "./revision.ts";

/**
 * An answer with `found: false`. `cancelled` and `deleted` are statements if the tombstone names
 * this booking, this organization and that status (rule: cancelling takes a positive statement);
 * every other reason changes nothing. Throws a permanent `source_contradiction` if the tombstone
 * names anything else.
 */
export function decodeTombstone(frame: JsonObject, question: SingleQuestion): SingleAnswer {
  const reason = typeof frame["reason"] === "string" ? frame["reason"].trim().toLowerCase() : "";
  const tombstone = isJsonObject(frame["tombstone"]) ? frame["tombstone"] : undefined;
  if (reason !== "organization_mismatch") assertNamed(frame, question);
  if (reason !== "cancelled" && reason !== "deleted") {
    return {
      kind: "absent",
      reason: reason.replace(/[^a-z0-9_ .-]/g, "").slice(0, 100) || "unknown",
    };
  }
  if (tombstone === undefined) {
    throw contradiction("tombstone_missing", "tombstone", `${reason}, but without a tombstone`);
  }
  assertNamed(tombstone, question, { required: true });
  const word = tombstone["source_status"];
  if (typeof word !== "string" || !says(word, reason)) {
    throw contradiction(
      "tombstone_status",
      "tombstone.source_status",
      `The reason is ${reason}, but the tombstone has another status`,
    );
  }
  const booking: Snapshot["booking"] = reason === "cancelled"
    ? { status: "CANCELLED", source_status: word }
    : {};
  const snapshot = seal({
    external_id: String(tombstone["booking_id"]),
    fetched_at: question.fetchedAt,
    ...readRevision(createReading(tombstone, []), frame, question.fetchedAt),
    ...(reason === "deleted" ? { deleted: true as const } : {}),
    booking,
  });
  return { kind: "stated", snapshot };
}

/** The words with which a tombstone may say that its booking is cancelled. */
const CANCELLED: ReadonlySet<string> = new Set(["AVBOKAD", "AVBOKAT", "CANCELLED", "CANCELED"]);

function says(word: string, reason: "cancelled" | "deleted"): boolean {
  return reason === "deleted"
    ? normalizeStatusWord(word) === "DELETED"
    : CANCELLED.has(normalizeStatusWord(word));
}

function seal(draft: Omit<Snapshot, "content_hash">): Snapshot {
  try {
    return sealSnapshot(draft);
  } catch (error) {
    if (!(error instanceof BookingRefusal)) throw error;
    const { code, field, message } = error;
    throw new SourceError("source_invalid", `EventFlow's tombstone cannot be used: ${message}`, {
      details: [{ code, field, message }],
    });
  }
}
