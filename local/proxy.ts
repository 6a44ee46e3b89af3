import { jsonResponse } from "./json_response.ts";

/** Headers of a single connection, which are not forwarded (RFC 9110 section 7.6.1). */
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

/** Where to forward a request. */
export interface ProxyTarget {
  readonly name: string;
  readonly url: string;
  /** Whether it can take requests now. */
  readonly ready: boolean;
}

/**
 * Forwards a request unchanged: method, query, headers, and a body that streams both ways. If the
 * caller disconnects, so do we. Answers 503 with `Retry-After: 1` while the target restarts.
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
  // fetch would unpack a compressed answer, and the caller would get other bytes than were sent.
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
