import { createHash } from "node:crypto";
import type { BookingSourceName } from "../booking/status.ts";
import { isJsonObject } from "../booking/snapshot.ts";
import type { InlineFile } from "./base64_file.ts";

/** The files that an answer carried along, by SHA-256. */
export type InlineFiles = ReadonlyMap<string, InlineFile>;

/** A booking that has files. */
export interface FileOwner {
  readonly organizationId: string;
  readonly source: BookingSourceName;
  readonly externalId: string;
}

/** The file that a field held as base64 before the answer was parsed; undefined if it held none. */
export function findInlineFile(value: unknown, files: InlineFiles): InlineFile | undefined {
  if (!isJsonObject(value) || typeof value["sha256"] !== "string") return undefined;
  return files.get(value["sha256"]);
}

/** What begins the `url_key` of a file in Storage. */
const STORED = "storage:";

/** The identity of a file in Storage: its content. */
export function storedKey(sha256: string): string {
  return STORED + sha256;
}

/** The SHA-256 in the `url_key` of a file in Storage; undefined for a link. */
export function storedHash(urlKey: string): string | undefined {
  return urlKey.startsWith(STORED) ? urlKey.slice(STORED.length) : undefined;
}

/**
 * Where a file lies in the bucket: `{organization_id}/{source}/{external_id}/{sha256}.{ext}`. An id
 * with characters that a path of Storage cannot have is named by its hash.
 */
export function storedPath(
  { organizationId, source, externalId }: FileOwner,
  sha256: string,
  extension: string,
): string {
  return `${organizationId.toLowerCase()}/${source}/${folder(externalId)}/${sha256}.${extension}`;
}

function folder(externalId: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(externalId)) return externalId;
  return `sha256-${createHash("sha256").update(externalId).digest("hex")}`;
}

const EXTENSIONS: ReadonlyMap<string, string> = new Map([
  ["application/pdf", "pdf"],
  ["image/png", "png"],
  ["image/jpeg", "jpg"],
  ["image/gif", "gif"],
  ["image/webp", "webp"],
  ["image/svg+xml", "svg"],
  ["image/heic", "heic"],
  ["text/plain", "txt"],
  ["text/csv", "csv"],
  ["application/zip", "zip"],
  ["application/msword", "doc"],
  ["application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"],
  ["application/vnd.ms-excel", "xls"],
  ["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"],
]);

/** Media types by extension, for what an upload says it is. */
const MEDIA_TYPES: ReadonlyMap<string, string> = new Map([
  ...[...EXTENSIONS].map(([type, extension]) => [extension, type] as const),
  ["jpeg", "image/jpeg"],
]);

/** The extension of a file from its name, else from the first type that says one, else `bin`. */
export function extensionOf(
  name: string | null | undefined,
  types: readonly (string | null | undefined)[],
): string {
  const named = /\.([A-Za-z0-9]{1,10})\s*$/.exec(name ?? "")?.[1]?.toLowerCase();
  if (named !== undefined) return named;
  for (const type of types) {
    const plain = (type ?? "").split(";")[0]!.trim().toLowerCase();
    const known = EXTENSIONS.get(plain) ?? (MEDIA_TYPES.has(plain) ? plain : undefined);
    if (known !== undefined) return known;
  }
  return "bin";
}

/** The media type of a path in Storage. */
export function mediaTypeOf(path: string): string {
  return MEDIA_TYPES.get(path.slice(path.lastIndexOf(".") + 1)) ?? "application/octet-stream";
}
