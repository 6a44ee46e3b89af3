import { parseRetryAfter } from "./source_response.ts";

/** How the HTTP client retries a read; ky's `retry` option. */
export interface RetryPolicy {
  readonly limit: number;
  readonly methods: string[];
  readonly statusCodes: number[];
  readonly backoffLimit: number;
  readonly jitter: boolean;
  readonly retryOnTimeout: boolean;
  readonly shouldRetry: (state: { readonly error: Error }) => boolean | undefined;
}

/**
 * Up to `limit` further attempts after a temporary fault, with jitter, each at most `maxDelayMs`
 * later. If the source asks for a longer pause (`Retry-After`), the read fails and says how long. A
 * header that names no time in the future changes nothing.
 */
export function retryPolicy(
  options: { readonly limit: number; readonly maxDelayMs: number; readonly now: () => number },
): RetryPolicy {
  const { limit, maxDelayMs, now } = options;
  const statusCodes = [408, 429, 500, 502, 503, 504];
  return {
    limit,
    methods: ["get"],
    statusCodes,
    backoffLimit: maxDelayMs,
    jitter: true,
    retryOnTimeout: false,
    shouldRetry: ({ error }) => {
      if (!("response" in error) || !(error.response instanceof Response)) return undefined;
      const { status, headers } = error.response;
      const told = headers.get("retry-after");
      const wait = parseRetryAfter(told, now());
      if (wait !== undefined) return wait > maxDelayMs ? false : undefined;
      // The client would take 0 or a date in the past for "again at once".
      return told !== null && statusCodes.includes(status) ? true : undefined;
    },
  };
}
