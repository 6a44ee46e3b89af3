import {
  createReading,
  type Reading,
  readList,
  readText,
  setStated,
  warn,
} from "../source/reading.ts";
import {
  isJsonObject,
  type Snapshot,
  SNAPSHOT_LIMITS,
  type SnapshotAttachment,
} from "../booking/snapshot.ts";
import { cachedUrlKey, isHttpUrl, urlKey } from "../booking/child_keys.ts";
import type { InlineFile } from "../source/base64_file.ts";
import { extensionOf, storedKey, storedPath } from "../source/inline_files.ts";
import type { BookingFiles } from "./booking_files.ts";

interface FileNames {
  readonly list: string;
  readonly url: readonly string[];
  readonly name: readonly string[];
  readonly type: readonly string[];
}

const LISTS: readonly FileNames[] = [
  {
    list: "attachments",
    url: ["public_url", "url", "file_url"],
    name: ["file_name", "name"],
    type: ["file_type", "type"],
  },
  {
    list: "files_metadata",
    url: ["url", "public_url"],
    name: ["name", "file_name"],
    type: ["file_type", "type"],
  },
  { list: "tent_images", url: ["public_url", "url"], name: [], type: ["file_type", "type"] },
];

/**
 * The files of all three lists, one per URL without what changes on every read (incident: attachments
 * multiplied by tokens), or per content for those that came along. Two files with the same name stay
 * two. `undefined` if no list was sent. An entry that is no file is left out with a warning, and then
 * its list is not stated.
 */
export function readAttachments(
  reading: Reading,
  complete: boolean | null,
  files: BookingFiles,
): Snapshot["attachments"] {
  const found: SnapshotAttachment[] = [];
  const stated: string[] = [];
  let sent = false;
  for (const names of LISTS) {
    const list = readList(reading, names.list);
    if (list === undefined) continue;
    sent = true;
    let readable = true;
    list.forEach((entry: unknown, index) => {
      const file = readFile(reading, names, entry, index, files);
      if (file === undefined) readable = false;
      else found.push(file);
    });
    if (readable) stated.push(names.list);
  }
  return sent ? { complete, stated, items: mergeFiles(found) } : undefined;
}

function readFile(
  parent: Reading,
  names: FileNames,
  entry: unknown,
  index: number,
  files: BookingFiles,
): SnapshotAttachment | undefined {
  const field = `${names.list}[${index}]`;
  if (!isJsonObject(entry)) {
    warn(parent, field, "invalid_attachment", "The entry is not an object; it was skipped");
    return undefined;
  }
  const reading = createReading(entry, parent.warnings, `${field}.`);
  const name = names.name.length > 0 ? readText(reading, names.name) : tentName(reading);
  const type = readText(reading, names.type);
  const content = files.take(parent, `${field}.content_base64`, entry["content_base64"]);
  const stored = content === undefined || content === "refused" ? undefined : content;
  const file = stored === undefined
    ? linkedFile(entry, names)
    : storedFile(stored, name, type, names.list, files);
  if (file === undefined) {
    if (content === "refused") return undefined;
    warn(parent, field, "missing_url", "The entry has no usable URL; it was skipped");
    return undefined;
  }
  setStated(file, "file_name", name);
  setStated(file, "file_type", type ?? stored?.mediaType ?? type);
  return file;
}

function linkedFile(
  entry: Record<string, unknown>,
  names: FileNames,
): SnapshotAttachment | undefined {
  const url = firstUrl(entry, names.url);
  return url === undefined ? undefined : { url, url_key: urlKey(url), listed_under: names.list };
}

function storedFile(
  content: InlineFile,
  name: string | null | undefined,
  type: string | null | undefined,
  list: string,
  { owner }: BookingFiles,
): SnapshotAttachment {
  const extension = extensionOf(name, [type, content.mediaType]);
  return {
    url: storedPath(owner, content.sha256, extension),
    url_key: storedKey(content.sha256),
    listed_under: list,
  };
}

/** The first of the alternative fields that holds a link; null and empty ones are passed over. */
function firstUrl(entry: Record<string, unknown>, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = entry[name];
    if (typeof value !== "string" || !isHttpUrl(value)) continue;
    if (value.length <= SNAPSHOT_LIMITS.url && urlKey(value).length <= SNAPSHOT_LIMITS.urlKey) {
      return value.trim();
    }
  }
  return undefined;
}

function tentName(reading: Reading): string | undefined {
  const index = readText(reading, ["tent_index"]);
  const view = readText(reading, ["view_key"]);
  if (!index && !view) return undefined;
  return ["Tält", index, view ? `- ${view}` : undefined].filter(Boolean).join(" ");
}

/**
 * One file for each identity: the first entry counts, a later one only fills in what is missing. Where
 * links of one answer differ in nothing but what gets past caches, that is part of their identity.
 */
function mergeFiles(found: readonly SnapshotAttachment[]): SnapshotAttachment[] {
  const exact = new Map<string, Set<string>>();
  for (const { url, url_key } of found) {
    const keys = exact.get(url_key) ?? new Set();
    exact.set(url_key, keys.add(isHttpUrl(url) ? cachedUrlKey(url) : url_key));
  }
  const files = new Map<string, SnapshotAttachment>();
  for (const file of found) {
    if (exact.get(file.url_key)!.size > 1) file.url_key = cachedUrlKey(file.url);
    const known = files.get(file.url_key);
    if (known === undefined) {
      files.set(file.url_key, file);
      continue;
    }
    if (known.file_name === undefined) setStated(known, "file_name", file.file_name);
    if (known.file_type === undefined) setStated(known, "file_type", file.file_type);
  }
  return [...files.values()];
}
