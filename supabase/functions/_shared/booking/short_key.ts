import { createHash } from "node:crypto";

/**
 * A key made of texts from outside, short and clean enough for a unique index: as it is up to 300
 * characters, else (or with characters that Postgres cannot keep) its SHA-256.
 */
export function shortKey(text: string): string {
  if (text.length <= 300 && text.isWellFormed() && !text.includes("\0")) return text;
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}
