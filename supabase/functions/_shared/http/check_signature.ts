import { Webhook, WebhookVerificationError } from "standardwebhooks";
import type { CredentialOutcome } from "./credentials.ts";

/** A header of Standard Webhooks, also under the name that Svix gives it. */
export function readWebhookHeader(
  headers: Headers,
  name: "id" | "timestamp" | "signature",
): string | null {
  return headers.get(`webhook-${name}`) ?? headers.get(`svix-${name}`);
}

/**
 * Checks a Standard Webhooks signature (`webhook-id`, `webhook-timestamp`, `webhook-signature`, or
 * `svix-…`; 5 minutes of tolerance) over the body as received, by any of the secrets. `absent` without
 * a signature header or without a secret; throws `Error` for a secret that is not base64.
 */
export function checkSignature(
  bytes: Uint8Array,
  headers: Headers,
  secrets: readonly string[],
): CredentialOutcome {
  const signature = readWebhookHeader(headers, "signature");
  if (signature === null || secrets.length === 0) return "absent";
  // The byte order mark is signed too, so it must stay.
  const payload = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const signed = {
    "webhook-id": readWebhookHeader(headers, "id") ?? "",
    "webhook-timestamp": readWebhookHeader(headers, "timestamp") ?? "",
    "webhook-signature": signature,
  };
  return secrets.some((secret) => verifies(new Webhook(secret), payload, signed))
    ? "right"
    : "wrong";
}

function verifies(webhook: Webhook, payload: string, signed: Record<string, string>): boolean {
  try {
    webhook.verify(payload, signed, { jsonParse: false });
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}
