import { createHash } from "node:crypto";

const MAX_LENGTH = 255;

/**
 * The dedupe key of a delivery: its `idempotency-key`, else its `webhook-id` header, within one
 * function and organization (design §4.1). Null without either: then the delivery is an event of
 * its own. A key beyond 255 characters counts by its SHA-256, so that no index overflows.
 */
export function readDedupeKey(
  headers: Headers,
  scope: { readonly function: string; readonly organizationId: string },
): string | null {
  const given = headers.get("idempotency-key")?.trim() || headers.get("webhook-id")?.trim();
  if (!given) return null;
  const key = given.length <= MAX_LENGTH
    ? given
    : `sha256-${createHash("sha256").update(given, "utf8").digest("hex")}`;
  return `${scope.function}:${scope.organizationId}:${key}`;
}
