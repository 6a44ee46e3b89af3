/** An allow-list, so that a credential stays out of the inbox whatever its header is called. */
const KEPT = [
  "content-type",
  "content-length",
  "user-agent",
  "x-request-id",
  "idempotency-key",
  "webhook-id",
  "webhook-timestamp",
  "traceparent",
];
const MAX_LENGTH = 500;

/**
 * The headers of a delivery that the inbox keeps: what it was and where it came from, never a
 * credential, cookie, signature or address. Values are cut at 500 characters.
 */
export function redactHeaders(headers: Headers): Readonly<Record<string, string>> {
  return Object.fromEntries(KEPT.flatMap((name) => {
    const value = headers.get(name);
    return value === null ? [] : [[name, value.slice(0, MAX_LENGTH)]];
  }));
}
