import { createHash } from "node:crypto";

/** How far a run got; the JSON of `sync.runs.checkpoint`. */
export interface RunCheckpoint {
  /** The next page to read; null is the first. */
  readonly cursor: number | null;
  /** The page before that; null if there is none. */
  readonly previous: number | null;
  /** ISO instant from which an incremental run reads; its pages are pages of that list. */
  readonly since: string | null;
  /** Fingerprints of the pages that were read, to recognize a repeated one. */
  readonly pages: readonly string[];
  /** The last ids of the page before; the next page must overlap with them. */
  readonly tail: readonly string[];
  /** The last page was read a second time, because the page after it did not overlap with it. */
  readonly stepped_back: boolean;
  /** Everything is applied; only the end is not recorded yet. */
  readonly done: boolean;
  /** How often the run stopped for a fault since it last applied a page. */
  readonly stalls: number;
  /** ISO instant before which the run must not continue. */
  readonly retry_at: string | null;
}

/** Ids kept of a page: more than any source repeats. */
const TAIL = 40;
/** Fingerprints kept: the first ten, which a source that ignores `page` repeats, and the latest. */
const MAX_PAGES = 500;

/** The checkpoint of a new run. */
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

/** A stored checkpoint; missing members are as in a new run. */
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

/** A page that a checkpoint moves past. */
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

/** A short hash of ids, whatever their order. */
export function fingerprint(ids: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify([...ids].sort())).digest("base64url")
    .slice(0, 12);
}
