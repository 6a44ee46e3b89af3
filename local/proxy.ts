import { jsonResponse } from "./json_response.ts";

/** Headers that belong to one connection (RFC 9110 section 7.6.1) and are not handed on. */
const hopByHop = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/** Where a request goes on to. */
export interface ProxyTarget {
  readonly name: string;
  readonly url: string;
  /** Whether it can take requests now. */
  readonly ready: boolean;
}

/**
 * Hands a request on as it is: method, query, headers and a body that streams both ways. The
 * caller's going away reaches the target. 503 with `Retry-After: 1` while the target restarts.
 */
export async function proxy(
  request: Request,
  target: ProxyTarget,
  peerAddress: string,
  fetchTarget: typeof fetch = fetch,
): Promise<Response> {
  if (!target.ready) return restarting(target.name);
  const incoming = new URL(request.url);
  const headers = new Headers(request.headers);
  for (const name of hopByHop) headers.delete(name);
  const forwarded = request.headers.get("x-forwarded-for");
  headers.set("x-forwarded-for", forwarded === null ? peerAddress : `${forwarded}, ${peerAddress}`);
  headers.set("x-forwarded-host", incoming.host);
  headers.set("x-forwarded-proto", incoming.protocol.replace(":", ""));
  // A compressed answer would be unpacked on the way, and no longer be what the function sent.
  headers.set("accept-encoding", "identity");
  headers.delete("host");
  try {
    const answer = await fetchTarget(target.url + incoming.search, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
      signal: request.signal,
    });
    const answerHeaders = new Headers(answer.headers);
    for (const name of hopByHop) answerHeaders.delete(name);
    return new Response(answer.body, { status: answer.status, headers: answerHeaders });
  } catch (error) {
    if (request.signal.aborted) return new Response(null, { status: 499 });
    return restarting(target.name, error);
  }
}

function restarting(name: string, cause?: unknown): Response {
  const message = `${name} is restarting`;
  return jsonResponse(
    { message, ...(cause instanceof Error ? { cause: cause.message } : {}) },
    503,
    { "retry-after": "1" },
  );
}
