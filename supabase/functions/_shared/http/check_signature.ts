import { Webhook, WebhookVerificationError } from "standardwebhooks";
import type { CredentialOutcome } from "./credentials.ts";

/**
 * Checks a Standard Webhooks signature (`webhook-id`, `webhook-timestamp`, `webhook-signature`; 5
 * minutes of tolerance) over the body as received. `absent` without a signature header or without a
 * signing secret; throws `Error` for a secret that is not base64.
 */
export function checkSignature(
  bytes: Uint8Array,
  headers: Headers,
  secret: string | undefined,
): CredentialOutcome {
  const signature = headers.get("webhook-signature");
  if (signature === null || secret === undefined) return "absent";
  const webhook = new Webhook(secret);
  try {
    // The byte order mark is signed too, so it must stay.
    const payload = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    webhook.verify(payload, {
      "webhook-id": headers.get("webhook-id") ?? "",
      "webhook-timestamp": headers.get("webhook-timestamp") ?? "",
      "webhook-signature": signature,
    }, { jsonParse: false });
    return "right";
  } catch (error) {
    if (error instanceof WebhookVerificationError) return "wrong";
    throw error;
  }
}
