import type { Sleep } from "../clock.ts";
import { guardPage, type PageVerdict } from "../source/page_guard.ts";
import type { BookingSource, FindKnown, Page } from "../source/booking_source.ts";
import { SourceError } from "../source/source_error.ts";
import { fingerprint, type PassedPage, type RunCheckpoint } from "./run_checkpoint.ts";
import type { Connection, RunMode, RunParameters } from "./run_store.ts";

/** A page to apply, and where the run continues after it. */
export interface PageTurn extends PassedPage {
  readonly page: Page;
}

/** Which pages to read. */
export interface PageReaderOptions {
  readonly source: BookingSource;
  readonly connection: Connection;
  readonly mode: RunMode;
  readonly parameters: RunParameters;
  /** Nothing will be written. */
  readonly dryRun?: boolean;
  /** Spares decoding what has not changed. */
  readonly findKnown?: FindKnown;
  /** When waiting no longer helps, in milliseconds of `now()`. */
  readonly deadline: number;
  readonly now: () => number;
  readonly sleep: Sleep;
  readonly signal: AbortSignal;
}

/** Reads the page that comes after a checkpoint; one call at a time. */
export type PageReader = (checkpoint: RunCheckpoint) => Promise<PageTurn>;

/** How often a page that may wrongly look like the end is read. */
const DOUBTS = 3;
/** How often we wait for one page. */
const WAITS = 5;

/**
 * Makes a reader of the pages of a run that skips none and never loops, whatever the source does
 * with the page number. A page counts as the last if the page after it brings nothing new either;
 * an empty or repeated page also has to stay that way. If more pages follow an empty or repeated
 * one, the reader throws a retryable error; if the source only ever sends its first page, a
 * permanent one. Rows that moved up between two reads show in the overlap: then the page before is
 * read again.
 */
export function createPageReader(options: PageReaderOptions): PageReader {
  const { source, connection, parameters, mode } = options;
  const seen = new Set<string>();
  /**
   * Content hashes of the last page, so that bookings repeated by an overlap are not applied again.
   */
  let applied = new Map<string, string>();

  function read(cursor: number | null, since: string | null): Promise<Page> {
    return readPatiently(options, () =>
      source.readPage({
        organizationId: connection.organizationId,
        ...(cursor === null ? {} : { cursor }),
        ...(since === null ? {} : { since }),
        ...(parameters.start_date === undefined ? {} : { startDate: parameters.start_date }),
        ...(parameters.end_date === undefined ? {} : { endDate: parameters.end_date }),
        ...(options.dryRun ? { dryRun: true } : {}),
        ...(options.findKnown === undefined ? {} : { findKnown: options.findKnown }),
        signal: options.signal,
      }));
  }

  function take(cursor: number | null, page: Page, next?: number, steppedBack = false): PageTurn {
    const snapshots = page.snapshots.filter(({ external_id, content_hash }) =>
      applied.get(external_id) !== content_hash
    );
    applied = new Map(page.snapshots.map((each) => [each.external_id, each.content_hash]));
    // What a page repeats of the one before has been counted.
    const unchanged = page.unchanged?.filter((id) => !seen.has(id)) ?? [];
    const ids = page.ids;
    for (const id of ids) seen.add(id);
    for (const id of page.overlap ?? []) seen.add(id);
    return {
      cursor,
      ids,
      page: { ...page, snapshots, unchanged },
      next: moveBack(cursor, next),
      steppedBack,
    };
  }

  function moveBack(cursor: number | null, next: number | undefined): number | undefined {
    return next === undefined
      ? undefined
      : Math.max((cursor ?? 0) + 1, next - (source.pageOverlap ?? 0));
  }

  function judge(page: Page, checkpoint: RunCheckpoint): PageVerdict {
    const verdict = guardPage(seen, page);
    const repeated = verdict.proceed && checkpoint.pages.includes(fingerprint(page.ids));
    return repeated ? { proceed: false, reason: "nothing_new", fresh: [] } : verdict;
  }

  return async function readNext(checkpoint): Promise<PageTurn> {
    const { cursor, since, tail } = checkpoint;
    let shorter: string | undefined;
    for (let doubt = 1;; doubt++) {
      const page = await read(cursor, since);
      const overlap = page.overlap ??
        (cursor === null ? [] : page.ids.slice(0, source.pageOverlap ?? 0));
      const joins = overlap.length === 0 || tail.length === 0 || checkpoint.stepped_back ||
        overlap.some((id) => seen.has(id) || tail.includes(id));
      if (!joins) {
        const before = await read(checkpoint.previous, since);
        return take(checkpoint.previous, before, cursor ?? undefined, true);
      }
      const verdict = judge(page, checkpoint);
      if (verdict.proceed) return take(cursor, page, verdict.next);

      const repeats = verdict.reason === "nothing_new";
      const beyond = repeats ? page.next ?? page.probe : page.probe;
      const first = cursor === null && mode === "incremental" && !repeats;
      if (beyond === undefined || first) return take(cursor, page);
      const known = new Set(page.ids);
      const after = await read(beyond, since);
      const more = after.ids.some((id) => !known.has(id) && !seen.has(id));
      // A last page with rows is believed; an empty or repeated one may be a momentary fault.
      const ends = !more && (!repeats || isWhole(page, checkpoint));
      const rows = verdict.reason === "last_page" && page.ids.length > 0;
      if (ends && (rows || doubt === DOUBTS)) return take(cursor, page);
      // A source that filters rows after paging has short pages anywhere; then the page is the same
      // twice.
      const short = rows ? fingerprint(page.ids) : undefined;
      if (more && short !== undefined && short === shorter) return take(cursor, page, beyond);
      shorter = short;
      if (doubt === DOUBTS) throw more ? hole(source) : ignoresPage(source);
      await options.sleep(250 * 2 ** doubt, options.signal);
    }
  };
}

/**
 * Whether a repeated page is the end of the list: paging has worked before, or the source has no
 * page limit.
 */
function isWhole(page: Page, checkpoint: RunCheckpoint): boolean {
  return new Set(checkpoint.pages).size > 1 || page.ids.length > (page.limit ?? Infinity);
}

function hole(source: BookingSource): SourceError {
  const message = `${source.name} sends an empty or repeated page in the middle of its list`;
  return new SourceError("source_invalid", message, {
    retryable: true,
    details: [{ code: "page_withheld", message }],
  });
}

function ignoresPage(source: BookingSource): SourceError {
  const message = `${source.name} sends its first page whatever is requested`;
  return new SourceError("source_invalid", message, {
    details: [{ code: "page_ignored", message }],
  });
}

/**
 * Reads, and if the source asks us to wait (`Retry-After`) and there is time, waits and tries
 * again. Any other failure is thrown, since the client has already retried it.
 */
async function readPatiently<T>(options: PageReaderOptions, read: () => Promise<T>): Promise<T> {
  for (let waits = 0;; waits++) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof SourceError) || error.retryAfterMs === undefined) throw error;
      const wait = Math.max(error.retryAfterMs, 100);
      if (waits === WAITS || options.now() + wait >= options.deadline) throw error;
      await options.sleep(wait, options.signal);
    }
  }
}
