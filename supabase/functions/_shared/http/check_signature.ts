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
 * `svix-…`; 5 minutes of tolerance) over the body as received. `absent` without a signature header or without a
 * signing secret; throws `Error` for a secret that is not base64.
 */
export function checkSignature(
  bytes: Uint8Array,
  headers: Headers,
  secret: string | undefined,
): CredentialOutcome {
  const signature = readWebhookHeader(headers, "signature");
  if (signature === null || secret === undefined) return "absent";
  const webhook = new Webhook(secret);
  try {
    // The byte order mark is signed too, so it must stay.
    const payload = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    webhook.verify(payload, {
      "webhook-id": readWebhookHeader(headers, "id") ?? "",
      "webhook-timestamp": readWebhookHeader(headers, "timestamp") ?? "",
      "webhook-signature": signature,
    }, { jsonParse: false });
    return "right";
  } catch (error) {
    if (error instanceof WebhookVerificationError) return "wrong";
    throw error;
  }
}
