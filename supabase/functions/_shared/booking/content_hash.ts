import { createHash } from "node:crypto";
import type { Snapshot } from "./snapshot.ts";
import { urlKey, withoutQuery } from "./child_keys.ts";

// Fields that say when an answer was made, not what is in it.
const VOLATILE: ReadonlySet<string> = new Set([
  "exported_at",
  "fetched_at",
  "generated_at",
  "last_synced_at",
  "read_at",
  "request_id",
  "server_time",
  "synced_at",
]);

/**
 * SHA-256 (hex) of what a snapshot states. It leaves out what changes on every read: the moment of
 * reading, the revision, warnings and the signatures of URLs (an attachment counts by its `url_key`).
 * It covers what an absence may be taken from: `complete`, `stated` and `listed_under`. The order of
 * days, products, attachments, stated names and keys makes no difference.
 */
export function contentHash(snapshot: Omit<Snapshot, "content_hash">): string {
  const { booking, dates, products, attachments } = snapshot;
  const content: Record<string, unknown> = {
    external_id: snapshot.external_id,
    booking: stableBooking(booking),
  };
  if (snapshot.deleted) content["deleted"] = true;
  if (dates) {
    content["dates"] = [
      dates.complete,
      dates.stated.toSorted(),
      sorted(dates.items, (item) => `${item.phase} ${item.day}`),
    ];
  }
  if (products) {
    content["products"] = [
      products.complete,
      products.stated,
      sorted(products.items, (item) => item.external_id),
    ];
  }
  if (attachments) {
    const items = attachments.items.map(({ url: _url, ...rest }) => rest);
    content["attachments"] = [
      attachments.complete,
      attachments.stated.toSorted(),
      sorted(items, (item) => item.url_key),
    ];
  }
  return createHash("sha256").update(canonicalJson(content)).digest("hex");
}

/**
 * JSON with the keys of every object sorted, so that equal content gives equal text. Keys whose
 * value is `undefined` are left out, as in `JSON.stringify`.
 */
export function canonicalJson(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  // Appending is faster than joining, and this runs for every value of every page.
  let json = "";
  if (Array.isArray(value)) {
    for (const member of value) json += `${json === "" ? "" : ","}${canonicalJson(member)}`;
    return `[${json}]`;
  }
  const object = value as Record<string, unknown>;
  for (const key of Object.keys(object).sort()) {
    const member = object[key];
    if (member === undefined) continue;
    json += `${json === "" ? "" : ","}${JSON.stringify(key)}:${canonicalJson(member)}`;
  }
  return `{${json}}`;
}

function stableBooking(booking: Snapshot["booking"]): Record<string, unknown> {
  const { extra, map_drawing_url: drawing, ...rest } = booking;
  const stable: Record<string, unknown> = rest;
  if (drawing !== undefined) {
    stable["map_drawing_url"] = drawing === null ? null : urlKey(drawing);
  }
  if (extra !== undefined) stable["extra"] = stableJson(extra);
  return stable;
}

/** Unmapped JSON without volatile members and without the queries of URLs. */
function stableJson(value: unknown): unknown {
  if (typeof value === "string") return /^https?:\/\//i.test(value) ? withoutQuery(value) : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(stableJson);
  // No prototype, so that "__proto__" is a key like any other.
  const stable: Record<string, unknown> = Object.create(null);
  for (const [key, member] of Object.entries(value)) {
    if (!VOLATILE.has(key)) stable[key] = stableJson(member);
  }
  return stable;
}

function sorted<T>(items: readonly T[], key: (item: T) => string): T[] {
  return items
    .map((item) => [key(item), item] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, item]) => item);
}
