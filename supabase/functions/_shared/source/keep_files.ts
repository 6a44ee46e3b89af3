import { sealSnapshot } from "../booking/seal_snapshot.ts";
import type { Snapshot, SnapshotWarning } from "../booking/snapshot.ts";
import { within } from "../within.ts";
import type { InlineFile } from "./base64_file.ts";
import { type InlineFiles, mediaTypeOf, storedHash } from "./inline_files.ts";

/** Where files are kept: the bucket `booking-files`. */
export interface FileStore {
  /** Those of some paths that need not be uploaded. */
  find(paths: readonly string[], signal: AbortSignal): Promise<ReadonlySet<string>>;
  /** Stores a file, also in place of one that is there. */
  put(path: string, content: readonly Uint8Array<ArrayBuffer>[], mediaType: string): Promise<void>;
}

/** Milliseconds that looking up the files of an answer, or uploading one of them, may take. */
const FIND_MS = 5_000;
const PUT_MS = 20_000;
/** Uploads at once. */
const UPLOADS = 4;

/**
 * The snapshots of an answer once the files that they name are stored; a file that is stored already
 * uploads nothing. If Storage does not answer, the bookings go on without their files: each has a
 * warning and says `missing_files`, so that it is read again (rule: one booking stops nothing).
 */
export async function keepFiles(
  store: FileStore | undefined,
  snapshots: readonly Snapshot[],
  files: InlineFiles,
  signal?: AbortSignal,
): Promise<readonly Snapshot[]> {
  if (files.size === 0) return snapshots;
  const named = new Map<string, InlineFile>();
  for (const snapshot of snapshots) {
    for (const [path, sha256] of filesOf(snapshot)) {
      const file = files.get(sha256);
      if (file !== undefined) named.set(path, file);
    }
  }
  if (named.size === 0) return snapshots;
  const lost = store === undefined
    ? new Set(named.keys())
    : await uploadMissing(store, named, signal);
  if (lost.size === 0) return snapshots;
  return snapshots.map((snapshot) => withoutFiles(snapshot, lost));
}

/** Uploads what is not there yet; returns the paths that could not be stored. */
async function uploadMissing(
  store: FileStore,
  named: ReadonlyMap<string, InlineFile>,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const left = new Set(named.keys());
  try {
    const found = await bounded(FIND_MS, signal, (up) => store.find([...left], up));
    for (const path of found) left.delete(path);
  } catch {
    // The caller's end is not a fault of Storage.
    signal?.throwIfAborted();
    return left;
  }
  const waiting = [...left];
  let down = false;
  async function uploadNext(): Promise<void> {
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      const { content } = named.get(path)!;
      try {
        await bounded(PUT_MS, signal, () => store.put(path!, content, mediaTypeOf(path!)));
        left.delete(path);
      } catch {
        down = true;
      }
      // After a fault the rest would only wait as long.
      if (down) return;
    }
  }
  await Promise.all(Array.from({ length: UPLOADS }, uploadNext));
  signal?.throwIfAborted();
  return left;
}

function bounded<T>(
  milliseconds: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return within(milliseconds, (timeUp) => {
    signal?.throwIfAborted();
    return work(signal === undefined ? timeUp : AbortSignal.any([signal, timeUp]));
  });
}

/** The path and the hash of each file in Storage that a snapshot names. */
function filesOf(snapshot: Snapshot): (readonly [path: string, sha256: string])[] {
  const found: (readonly [string, string])[] = [];
  for (const { url, url_key } of snapshot.attachments?.items ?? []) {
    const sha256 = storedHash(url_key);
    if (sha256 !== undefined) found.push([url, sha256]);
  }
  const map = snapshot.booking.map_drawing_url;
  const sha256 = map?.match(/\/([0-9a-f]{64})\.[a-z0-9]+$/)?.[1];
  if (sha256 !== undefined) found.push([map!, sha256]);
  return found;
}

function withoutFiles(snapshot: Snapshot, lost: ReadonlySet<string>): Snapshot {
  if (!filesOf(snapshot).some(([path]) => lost.has(path))) return snapshot;
  // The next page must not take the booking for known.
  const { content_hash: _hash, raw_hash: _raw, ...draft } = structuredClone(snapshot);
  const warnings: SnapshotWarning[] = [];
  const { attachments, booking } = draft;
  if (attachments !== undefined) {
    const kept = attachments.items.filter(({ url }) => !lost.has(url));
    for (const { url, file_name, listed_under } of attachments.items) {
      if (lost.has(url)) warnings.push(notStored(listed_under, file_name ?? url));
    }
    const cut = new Set(
      attachments.items.filter(({ url }) => lost.has(url)).map((item) => item.listed_under),
    );
    draft.attachments = {
      ...attachments,
      items: kept,
      stated: attachments.stated.filter((list) => !cut.has(list)),
    };
  }
  if (typeof booking.map_drawing_url === "string" && lost.has(booking.map_drawing_url)) {
    delete draft.booking.map_drawing_url;
    warnings.push(notStored("map_drawing", "the map"));
  }
  return sealSnapshot({
    ...draft,
    missing_files: true,
    warnings: [...draft.warnings ?? [], ...warnings],
  });
}

function notStored(field: string, name: string): SnapshotWarning {
  const message = `${name.slice(0, 200)} could not be stored; it is tried again`;
  return { field, code: "file_not_stored", message };
}
