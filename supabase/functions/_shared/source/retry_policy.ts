import { parseRetryAfter } from "./source_response.ts";

/** How an HTTP client tries a read again; ky's `retry` option. */
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
 * Up to `limit` further attempts after a passing fault, with jitter, each at most `maxDelayMs`
 * later. Whoever asks us to wait for longer (`Retry-After`) is not asked again before that: the
 * read fails and says for how long. A header that states no time to come changes nothing.
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
      // Left to the client, a 0 or a date that is over would mean "again at once".
      return told !== null && statusCodes.includes(status) ? true : undefined;
    },
  };
}
