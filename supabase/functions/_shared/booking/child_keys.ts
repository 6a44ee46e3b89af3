import { createHash } from "node:crypto";

/**
 * A key made of texts from outside, short and clean enough for a unique index: as it is up to 300
 * characters, else (or with characters that Postgres cannot keep) its SHA-256.
 */
export function shortKey(text: string): string {
  if (text.length <= 300 && text.isWellFormed() && !text.includes("\0")) return text;
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

/**
 * The identity of a URL: without query, fragment and credentials, since tokens change on every
 * read while the file stays the same (incident 14). Text that is no absolute URL is only cut.
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

/** Text up to its first `?` or `#`; for hashing, where only "same or not" counts. */
export function withoutQuery(url: string): string {
  const end = url.search(/[?#]/);
  return end < 0 ? url : url.slice(0, end);
}

/** Whether text is an absolute http or https URL; others (`javascript:`, paths) are no links. */
export function isHttpUrl(text: string): boolean {
  const parsed = URL.parse(text.trim());
  return parsed !== null && (parsed.protocol === "https:" || parsed.protocol === "http:");
}
