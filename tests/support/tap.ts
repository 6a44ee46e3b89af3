/** One request that went through a tap, in the order of arrival. */
export interface TappedCall {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
}

/** Answers a request itself, or leaves it to the target by returning undefined. */
export type Intercept = (request: Request) => Promise<Response | undefined> | Response | undefined;

/** A proxy between the functions and what they call: it counts, and can misbehave. */
export interface Tap {
  /** The base URL to configure instead of the target's; it stays the same all the time. */
  readonly url: string;
  /** Where requests go on to; to be set before the first one. */
  to(target: string): void;
  /** What passed since the last `reset()`, `METHOD /path`. */
  calls(): readonly string[];
  requests(): readonly TappedCall[];
  reset(): void;
  /** Answers requests in the target's place until it is called without an argument. */
  intercept(by?: Intercept): void;
  /** Closes the port: connections are refused. */
  refuse(): Promise<void>;
  /** Listens again on the same port. */
  accept(): void;
  stop(): Promise<void>;
}

/** Opens a tap on a free port of 127.0.0.1. */
export function openTap(): Tap {
  let target: string | undefined;
  let calls: TappedCall[] = [];
  let by: Intercept | undefined;
  let server: Deno.HttpServer<Deno.NetAddr> | undefined;
  let closing = new AbortController();
  let port = 0;

  async function handle(request: Request): Promise<Response> {
    const { pathname, search, searchParams } = new URL(request.url);
    const { method, headers } = request;
    calls.push({ method, path: pathname, query: searchParams, headers });
    const own = await by?.(request);
    if (own !== undefined) return own;
    if (target === undefined) throw new Error("Cannot pass a request on: the tap has no target");
    const passed = new Headers(headers);
    passed.delete("host");
    passed.set("accept-encoding", "identity");
    const body = request.body === null ? null : await request.arrayBuffer();
    const answer = await fetch(target + pathname + search, {
      method,
      headers: passed,
      body,
      redirect: "manual",
      signal: request.signal,
    });
    return new Response(answer.body, { status: answer.status, headers: answer.headers });
  }

  function accept(): void {
    if (server !== undefined) return;
    closing = new AbortController();
    server = Deno.serve({
      hostname: "127.0.0.1",
      port,
      signal: closing.signal,
      onListen: () => {},
      onError: () => new Response("the tap lost its target", { status: 502 }),
    }, handle);
    port = server.addr.port;
  }

  async function refuse(): Promise<void> {
    const before = server;
    server = undefined;
    closing.abort();
    await before?.finished;
  }

  accept();
  return {
    url: `http://127.0.0.1:${port}`,
    to: (url) => void (target = url),
    calls: () => calls.map(({ method, path }) => `${method} ${path}`),
    requests: () => [...calls],
    reset: () => void (calls = []),
    intercept: (next) => void (by = next),
    refuse,
    accept,
    stop: refuse,
  };
}
