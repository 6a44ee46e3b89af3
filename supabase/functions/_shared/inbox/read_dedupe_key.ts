import { createHash } from "node:crypto";

const MAX_LENGTH = 255;

/**
 * Where a key is valid, so that it is not confused with the same key of another sender or booking.
 */
export interface DedupeScope {
  readonly function: string;
  readonly organizationId: string;
  readonly externalId: string;
  /** Whether a signature proved the sender. Then only what is signed counts: `webhook-id`. */
  readonly signed: boolean;
}

/**
 * The dedupe key of a delivery: its `idempotency-key`, else its `webhook-id` header, within one
 * function, organization and booking. Null without either: then every delivery is a separate event.
 * On a signed request only `webhook-id` counts. An `idempotency-key` is not signed, so a captured
 * request could be sent again under another one. The booking is part of the key because senders
 * reuse keys for other bookings (incident: an idempotency key used twice). A key of more than 255
 * characters is replaced by its SHA-256, so that it fits an index.
 */
export function readDedupeKey(headers: Headers, scope: DedupeScope): string | null {
  const id = (headers.get("webhook-id") ?? headers.get("svix-id"))?.trim();
  const given = scope.signed ? id : headers.get("idempotency-key")?.trim() || id;
  if (!given) return null;
  // Encoded it contains no colon, so two different pairs of booking and key never look the same.
  const booking = shorten(encodeURIComponent(scope.externalId));
  return `${scope.function}:${scope.organizationId}:${booking}:${shorten(given)}`;
}

function shorten(text: string): string {
  return text.length <= MAX_LENGTH
    ? text
    : `sha256-${createHash("sha256").update(text, "utf8").digest("hex")}`;
}
