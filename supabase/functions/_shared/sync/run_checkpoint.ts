import { createHash } from "node:crypto";

/** How far a run got; JSON, in the words of `sync.runs.checkpoint`. */
export interface RunCheckpoint {
  /** The next page to read; null is the first. */
  readonly cursor: number | null;
  /** The page before that; null if there was none. */
  readonly previous: number | null;
  /** ISO instant since which an incremental run reads: its pages are numbered within that list. */
  readonly since: string | null;
  /** Fingerprints of the pages that were read: a source that repeats one is known again. */
  readonly pages: readonly string[];
  /** The last ids of the page before: what follows must join on to them. */
  readonly tail: readonly string[];
  /** The page that was read last was read a second time, since the one after it did not join on. */
  readonly stepped_back: boolean;
  /** Everything is applied, only the end is not noted yet. */
  readonly done: boolean;
  /** Stops for a fault since the last page that was applied. */
  readonly stalls: number;
  /** ISO instant before which nobody shall go on. */
  readonly retry_at: string | null;
}

/** Ids kept of a page: more than any source repeats of it. */
const TAIL = 40;
/** Fingerprints kept: the first ten, since a source that ignores `page` sends those, and the last. */
const MAX_PAGES = 500;

/** The beginning of a run. */
export const NO_CHECKPOINT: RunCheckpoint = {
  cursor: null,
  previous: null,
  since: null,
  pages: [],
  tail: [],
  stepped_back: false,
  done: false,
  stalls: 0,
  retry_at: null,
};

/** A checkpoint as it was stored; what is missing is as at the beginning. */
export function readCheckpoint(stored: unknown): RunCheckpoint {
  const found = Object(stored) as { readonly [K in keyof RunCheckpoint]?: unknown };
  const number = (value: unknown): number | null => typeof value === "number" ? value : null;
  const text = (value: unknown): string | null => typeof value === "string" ? value : null;
  const texts = (value: unknown): readonly string[] =>
    Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
  return {
    cursor: number(found.cursor),
    previous: number(found.previous),
    since: text(found.since),
    pages: texts(found.pages),
    tail: texts(found.tail),
    stepped_back: found.stepped_back === true,
    done: found.done === true,
    stalls: number(found.stalls) ?? 0,
    retry_at: text(found.retry_at),
  };
}

/** A page on its way into a checkpoint. */
export interface PassedPage {
  /** Where it was read; null is the first page. */
  readonly cursor: number | null;
  readonly ids: readonly string[];
  /** Undefined after the last page. */
  readonly next: number | undefined;
  readonly steppedBack: boolean;
}

/** The checkpoint after a page. */
export function passPage(checkpoint: RunCheckpoint, page: PassedPage): RunCheckpoint {
  const { cursor, ids, next, steppedBack } = page;
  const pages = ids.length === 0 ? checkpoint.pages : [...checkpoint.pages, fingerprint(ids)];
  return {
    ...checkpoint,
    previous: cursor,
    cursor: next ?? cursor,
    pages: pages.length > MAX_PAGES ? [...pages.slice(0, 10), ...pages.slice(11)] : pages,
    tail: ids.slice(-TAIL),
    stepped_back: steppedBack,
    done: next === undefined,
    stalls: 0,
    retry_at: null,
  };
}

/** The same for the same ids in any order. */
export function fingerprint(ids: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify([...ids].sort())).digest("base64url")
    .slice(0, 12);
}
