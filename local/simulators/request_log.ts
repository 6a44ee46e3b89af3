/** One request that a simulator answered, without its credentials. */
export interface LoggedRequest {
  readonly at: string;
  readonly kind: string;
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly status: number;
  readonly fault?: string;
}

/** The requests to a simulator, newest last. */
export interface RequestLog {
  add(request: LoggedRequest): void;
  report(): {
    readonly total: number;
    readonly counts: Readonly<Record<string, number>>;
    readonly requests: readonly LoggedRequest[];
  };
  reset(): void;
}

/** Keeps the last 1000 requests, and counts all of them by kind. */
export function createRequestLog(): RequestLog {
  let requests: LoggedRequest[] = [];
  let counts: Record<string, number> = {};
  return {
    add(request): void {
      requests.push(request);
      if (requests.length > 1000) requests = requests.slice(-500);
      counts[request.kind] = (counts[request.kind] ?? 0) + 1;
    },
    report: () => ({
      total: Object.values(counts).reduce((sum, count) => sum + count, 0),
      counts,
      requests: [...requests],
    }),
    reset(): void {
      requests = [];
      counts = {};
    },
  };
}
