/**
 * What `?key=` may stand for, since a key is pasted into a URL as it is or encoded: decoded as a
 * form, where `+` is a space; as written; and decoded with its `+` kept. Empty without a `key`.
 */
export function readUrlKey(url: URL): readonly string[] {
  const decoded = url.searchParams.get("key");
  if (decoded === null) return [];
  const raw = url.search.slice(1).split("&").find((pair) => pair.startsWith("key="))?.slice(4);
  if (raw === undefined) return [decoded];
  const plus = new URLSearchParams(`key=${raw.replaceAll("+", "%2B")}`).get("key");
  return [...new Set([decoded, raw, plus ?? raw])];
}
