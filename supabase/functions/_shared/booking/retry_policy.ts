import { parseRetryAfter } from "./source_response.ts";

/** How an HTTP client tries a read again; ky's `retry` option. */
export interface RetryPolicy {
  readonly limit: number;
  readonly methods: string[];
  readonly statusCodes: number[];
  readonly backoffLimit: number;
  readonly jitter: boolean;
  readonly retryOnTimeout: boolean;
  readonly shouldRetry: (state: { readonly error: Error }) => false | undefined;
}

/**
 * Up to `limit` further attempts after a passing fault, with jitter, each at most `maxDelayMs`
 * later. Whoever asks us to wait for longer (`Retry-After`) is not asked again before that: the
 * read fails and says for how long.
 */
export function retryPolicy(
  options: { readonly limit: number; readonly maxDelayMs: number; readonly now: () => number },
): RetryPolicy {
  const { limit, maxDelayMs, now } = options;
  return {
    limit,
    methods: ["get"],
    statusCodes: [408, 429, 500, 502, 503, 504],
    backoffLimit: maxDelayMs,
    jitter: true,
    retryOnTimeout: false,
    shouldRetry: ({ error }) => {
      if (!("response" in error) || !(error.response instanceof Response)) return undefined;
      const wait = parseRetryAfter(error.response.headers.get("retry-after"), now()) ?? 0;
      return wait > maxDelayMs ? false : undefined;
    },
  };
}
