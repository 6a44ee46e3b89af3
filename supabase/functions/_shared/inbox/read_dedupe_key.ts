import { createHash } from "node:crypto";

const MAX_LENGTH = 255;

/** What a key holds for, so that it is not mistaken for the same key of another sender or booking. */
export interface DedupeScope {
  readonly function: string;
  readonly organizationId: string;
  readonly externalId: string;
}

/**
 * The dedupe key of a delivery: its `idempotency-key`, else its `webhook-id` header, within one
 * function, organization and booking (design §4.1). Null without either: then the delivery is an
 * event of its own. The booking counts too, since a sender that repeats a key for another booking
 * would lose that one's change. What is beyond 255 characters counts by its SHA-256, so that no
 * index overflows.
 */
export function readDedupeKey(headers: Headers, scope: DedupeScope): string | null {
  const given = headers.get("idempotency-key")?.trim() || headers.get("webhook-id")?.trim();
  if (!given) return null;
  // Encoded it has no colon, so that no other booking and key read the same together.
  const booking = shorten(encodeURIComponent(scope.externalId));
  return `${scope.function}:${scope.organizationId}:${booking}:${shorten(given)}`;
}

function shorten(text: string): string {
  return text.length <= MAX_LENGTH
    ? text
    : `sha256-${createHash("sha256").update(text, "utf8").digest("hex")}`;
}
