import { createHash } from "node:crypto";

/**
 * A key made from outside text, short and clean enough for a unique index: the text itself up to
 * 300 characters, otherwise its SHA-256. Text that Postgres cannot store is hashed too.
 */
export function shortKey(text: string): string {
  if (text.length <= 300 && text.isWellFormed() && !text.includes("\0")) return text;
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

/** Query parameters that sign a URL: they change on every read. */
const SIGNATURE =
  /^(?:x-amz-.*|x-goog-.*|token|key|expires|signature|key-pair-id|policy|sig|se|sp|sv|sr|st|spr)$/i;
/** Query parameters that only get past caches. */
const CACHE = /^(?:t|v|cb|_)$/i;

/**
 * The identity of a URL: without fragment, credentials, and the query parameters that sign it or get
 * past caches, since these change on every read while the file stays the same (incident: attachments
 * multiplied by tokens). Other parameters may tell two files apart. Text that is not an absolute URL is
 * only cut at its query. The same rule in the database is `sync.url_key`.
 *
 * @example
 * ```ts
 * urlKey("https://Files.example.com/a.pdf?id=7&token=1#p2"); // "https://files.example.com/a.pdf?id=7"
 * ```
 */
export function urlKey(url: string): string {
  return keyWithout(url, (name) => SIGNATURE.test(name) || CACHE.test(name));
}

/** The same with the parameters that get past caches, for two files that differ in these alone. */
export function cachedUrlKey(url: string): string {
  return keyWithout(url, (name) => SIGNATURE.test(name));
}

function keyWithout(url: string, drops: (name: string) => boolean): string {
  const parsed = URL.parse(url.trim());
  if (parsed === null || parsed.host === "") return withoutQuery(url.trim());
  const plain = `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
  if (parsed.search === "") return plain;
  const kept = parsed.search.slice(1).split("&")
    .filter((part) => part !== "" && !drops(part.split("=", 1)[0]!));
  return kept.length === 0 ? plain : `${plain}?${kept.join("&")}`;
}

/**
 * Text up to its first `?` or `#`; for comparing, where it only matters whether two are the same.
 */
export function withoutQuery(url: string): string {
  const end = url.search(/[?#]/);
  return end < 0 ? url : url.slice(0, end);
}

/**
 * Whether text is an absolute http or https URL; anything else (`javascript:`, a path) is not a
 * link.
 */
export function isHttpUrl(text: string): boolean {
  const parsed = URL.parse(text.trim());
  return parsed !== null && (parsed.protocol === "https:" || parsed.protocol === "http:");
}
