/**
 * An answer that is no success, by its status and headers alone; a success as it is. The HTTP client
 * would wait for such a body, which may never end, before it looks at `Retry-After`.
 */
export function withoutBody(response: Response): Response {
  const { ok, status, statusText, headers } = response;
  if (ok || status < 200) return response; // a network error has the status 0 and no body
  response.body?.cancel().catch(() => {}); // whoever has read of it has closed it
  return new Response(null, { status, statusText, headers });
}
