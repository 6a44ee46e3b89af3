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
import { isHttpUrl, urlKey } from "../booking/child_keys.ts";

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
 * The files of all three lists, one per URL without query and fragment (incident: attachments
 * multiplied by tokens). Two files with the same name stay two. `undefined` if no list was sent. An
 * entry without a usable URL is skipped with a warning, and unless it has content instead, its list
 * is not stated.
 */
export function readAttachments(
  reading: Reading,
  complete: boolean | null,
): Snapshot["attachments"] {
  const files = new Map<string, SnapshotAttachment>();
  const stated: string[] = [];
  let sent = false;
  for (const names of LISTS) {
    const list = readList(reading, names.list);
    if (list === undefined) continue;
    sent = true;
    let readable = true;
    list.forEach((entry: unknown, index) => {
      const file = readFile(reading, names, entry, index);
      if (file === "skipped") return;
      if (file === undefined) readable = false;
      else mergeFile(files, file);
    });
    if (readable) stated.push(names.list);
  }
  return sent ? { complete, stated, items: [...files.values()] } : undefined;
}

function readFile(
  parent: Reading,
  names: FileNames,
  entry: unknown,
  index: number,
): SnapshotAttachment | "skipped" | undefined {
  const field = `${names.list}[${index}]`;
  if (!isJsonObject(entry)) {
    warn(parent, field, "invalid_attachment", "The entry is not an object; it was skipped");
    return undefined;
  }
  const reading = createReading(entry, parent.warnings, `${field}.`);
  const url = firstUrl(entry, names.url);
  if (url === undefined) {
    const inline = Object.hasOwn(entry, "content_base64");
    const code = inline ? "content_only" : "missing_url";
    warn(parent, field, code, "The entry has no usable URL; it was skipped");
    return inline ? "skipped" : undefined;
  }
  const file: SnapshotAttachment = { url, url_key: urlKey(url), listed_under: names.list };
  setStated(
    file,
    "file_name",
    names.name.length > 0 ? readText(reading, names.name) : tentName(reading),
  );
  setStated(file, "file_type", readText(reading, names.type));
  return file;
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

/** The first entry of a file counts; a later one only fills in what is missing. */
function mergeFile(files: Map<string, SnapshotAttachment>, file: SnapshotAttachment): void {
  const known = files.get(file.url_key);
  if (known === undefined) {
    files.set(file.url_key, file);
    return;
  }
  if (known.file_name === undefined) setStated(known, "file_name", file.file_name);
  if (known.file_type === undefined) setStated(known, "file_type", file.file_type);
}
