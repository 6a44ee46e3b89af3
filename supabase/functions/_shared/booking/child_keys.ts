import { createHash } from "node:crypto";

/**
 * A key made from outside text, short and clean enough for a unique index: the text itself up to
 * 300 characters, otherwise its SHA-256. Text that Postgres cannot store is hashed too.
 */
export function shortKey(text: string): string {
  if (text.length <= 300 && text.isWellFormed() && !text.includes("\0")) return text;
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

/**
 * The identity of a URL: without query, fragment and credentials, since tokens change on every read
 * while the file stays the same (incident: attachments multiplied by tokens). Text that is not an
 * absolute URL is only cut at its query.
 *
 * @example
 * ```ts
 * urlKey("https://Files.example.com/a.pdf?token=1#p2"); // "https://files.example.com/a.pdf"
 * ```
 */
export function urlKey(url: string): string {
  const parsed = URL.parse(url.trim());
  if (parsed === null || parsed.host === "") return withoutQuery(url.trim());
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
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
