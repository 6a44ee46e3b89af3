import { AnswerError } from "../errors.ts";

/** Any origin may call, since only the credential decides and cookies are never read. */
export const CORS_HEADERS: Readonly<Record<string, string>> = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "POST, OPTIONS",
  "access-control-allow-headers":
    "authorization, apikey, content-type, x-api-key, x-client-info, x-request-id, idempotency-key, webhook-id, webhook-timestamp, webhook-signature",
  "access-control-expose-headers": "x-request-id, retry-after",
  "access-control-max-age": "86400",
};

/** A JSON response that is never cached. It ends with a line feed for terminals. */
export function respondJson(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  });
}

/**
 * Turns every error into a response. Anything but an {@linkcode AnswerError} answers 500
 * `internal_error` without saying why; the log has it under the request id.
 */
export function respondError(error: unknown, requestId: string): Response {
  const known = error instanceof AnswerError ? error : new AnswerError(
    500,
    "internal_error",
    "Cannot answer: something failed on our side.",
  );
  const { code, message, status, details, members } = known;
  return respondJson(
    status,
    {
      success: false,
      error: { code, message, status, details },
      ...members,
      request_id: requestId,
    },
    {
      ...known.headers,
      ...(known.retryAfterSeconds === undefined
        ? {}
        : { "retry-after": String(Math.max(1, Math.ceil(known.retryAfterSeconds))) }),
    },
  );
}
