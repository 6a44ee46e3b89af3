import {
  askSource,
  type AskSourceOptions,
  measured,
  type MeasuredPage,
  type SourceReply,
} from "../source/ask_source.ts";
import type {
  BookingSource,
  Page,
  ReadPageArgs,
  ReadSingleArgs,
  SingleAnswer,
} from "../source/booking_source.ts";
import { shortKey } from "../booking/child_keys.ts";
import { createHeavyReads } from "../source/heavy_reads.ts";
import { type FileStore, keepFiles } from "../source/keep_files.ts";
import { AnswerTooLarge, SourceError } from "../source/source_error.ts";
import { decodeList, findList, hashRows } from "./decode_list.ts";
import { findFirstId } from "./find_first_id.ts";
import { decodeSingle } from "./decode_single.ts";

/** Bookings per page; EventFlow's maximum. */
export const EVENTFLOW_PAGE_LIMIT = 500;

/** Most rows before a page that are read again with it. */
export const EVENTFLOW_OVERLAP = 20;

/** Settings of `createEventFlowClient()`; all times in milliseconds, sizes in bytes. */
export interface EventFlowClientOptions {
  /** `EVENTFLOW_API_URL`. */
  readonly baseUrl: string;
  /** `EVENTFLOW_API_KEY`. */
  readonly apiKey: string;
  readonly fetch?: typeof globalThis.fetch;
  /** The clock; milliseconds since the epoch. */
  readonly now?: () => number;
  /** For a single read and all of its attempts. */
  readonly singleTimeoutMs?: number;
  /** For a page and all of its attempts. */
  readonly pageTimeoutMs?: number;
  /** Further attempts of a single read. Default none, since the inbox tries again. */
  readonly singleRetries?: number;
  /** Further attempts of a page. */
  readonly pageRetries?: number;
  /** Longest pause before a further attempt; if the source asks for more, the read fails. */
  readonly maxRetryDelayMs?: number;
  /** For one booking with its files. */
  readonly maxSingleBytes?: number;
  /** For a page of more than one booking; a larger one is asked for again with half the limit. */
  readonly maxPageBytes?: number;
  readonly pageLimit?: number;
  /** Where the files go that come with a booking. Without it each has a warning. */
  readonly files?: FileStore;
}

/**
 * EventFlow as a source of bookings. It sends the key in both headers, since EventFlow has refused
 * the bearer alone. Throws only `SourceError`.
 */
export function createEventFlowClient(options: EventFlowClientOptions): BookingSource {
  const {
    baseUrl,
    apiKey,
    fetch = globalThis.fetch,
    now = Date.now,
    singleTimeoutMs = 10_000,
    pageTimeoutMs = 45_000,
    singleRetries = 0,
    pageRetries = 2,
    maxRetryDelayMs = 5_000,
    maxSingleBytes = 72 * 1024 * 1024,
    maxPageBytes = 32 * 1024 * 1024,
    pageLimit = EVENTFLOW_PAGE_LIMIT,
  } = options;
  /** False for a server that sends pages of its own size: then the rows before are not asked for. */
  let obeysLimit = true;
  /** The page size to begin with: smaller after a page that was too large, until they get light. */
  let usualLimit = pageLimit;
  const heavy = createHeavyReads();
  const url = `${baseUrl.replace(/\/+$/, "")}/export_bookings`;
  const headers = {
    authorization: `Bearer ${apiKey}`,
    "x-api-key": apiKey,
  };

  function ask(
    read: Pick<
      AskSourceOptions,
      "query" | "timeoutMs" | "retries" | "maxBytes" | "onHeavy" | "showBeginning" | "signal"
    >,
  ): Promise<SourceReply> {
    const credential = "EVENTFLOW_API_KEY";
    return askSource({
      source: "EventFlow",
      credential,
      url,
      headers,
      maxRetryDelayMs,
      now,
      fetch,
      ...read,
    });
  }

  function readSingle(args: ReadSingleArgs): Promise<SingleAnswer> {
    const { externalId, organizationId, dryRun, signal } = args;
    return heavy.hold(async (enter) => {
      const { body, fetchedAt, bytes, files } = await ask({
        query: { organization_id: organizationId, booking_id: externalId },
        timeoutMs: singleTimeoutMs,
        retries: singleRetries,
        maxBytes: maxSingleBytes,
        onHeavy: enter,
        signal,
      });
      const answer = decodeSingle(body, { externalId, organizationId, fetchedAt, files });
      if (answer.kind === "absent") return { ...answer, bytes };
      const [snapshot = answer.snapshot] = dryRun
        ? []
        : await keepFiles(options.files, [answer.snapshot], files, signal);
      return { ...answer, snapshot, bytes };
    });
  }

  function readRows(
    args: ReadPageArgs,
    rows: { readonly page: number; readonly limit: number; readonly retries: number },
  ): Promise<MeasuredPage> {
    const { organizationId, dryRun, signal } = args;
    const alone = rows.limit === 1;
    return heavy.hold(async (enter) => {
      const reply = await ask({
        query: {
          organization_id: organizationId,
          ...(args.since === undefined ? {} : { since: args.since }),
          ...(args.startDate === undefined ? {} : { start_date: args.startDate }),
          ...(args.endDate === undefined ? {} : { end_date: args.endDate }),
          page: String(rows.page),
          limit: String(rows.limit),
        },
        timeoutMs: pageTimeoutMs,
        retries: rows.retries,
        maxBytes: alone ? maxSingleBytes : maxPageBytes,
        showBeginning: alone,
        onHeavy: enter,
        signal,
      });
      const { body, fetchedAt, files } = reply;
      const list = findList(body);
      const hashes = args.findKnown === undefined ? {} : hashRows(list);
      const known = await args.findKnown?.(hashes, fetchedAt);
      const question = { organizationId, fetchedAt, files, ...rows };
      const read = measured(reply, () => decodeList(list, question, hashes, known));
      if (dryRun) return read;
      return { ...read, snapshots: await keepFiles(options.files, read.snapshots, files, signal) };
    });
  }

  /**
   * The page that has the row at the cursor. One that is too large is asked for again with half the
   * limit, down to one booking; what cannot be read even so is passed over (rule: one booking stops
   * nothing). A smaller page may begin before the cursor, with rows that are known.
   */
  async function readPage(args: ReadPageArgs): Promise<Page> {
    const { cursor: before = 0 } = args;
    for (let limit = usualLimit;; limit = Math.floor(limit / 2)) {
      const page = Math.floor(before / limit) + 1;
      try {
        const read = await readRows(args, { page, limit, retries: pageRetries });
        const light = read.received < maxPageBytes / 4;
        usualLimit = light ? Math.min(limit * 2, pageLimit) : limit;
        const rowsBefore = before > 0 && obeysLimit
          ? await readBefore(args, (page - 1) * limit)
          : undefined;
        return rowsBefore === undefined ? read : addOverlap(read, rowsBefore);
      } catch (error) {
        if (!(error instanceof AnswerTooLarge)) throw error;
        if (limit === 1) return passOver(error, before);
      }
    }
  }

  /**
   * The last rows before a page, read after it. When a row leaves the list, the rows behind it move
   * up, and one of them moves from this page to the page before; it is found here. The rows are
   * requested as a smaller page.
   */
  async function readBefore(args: ReadPageArgs, rows: number) {
    const limit = overlapBefore(rows);
    if (limit === undefined) return undefined;
    try {
      const read = await readRows(args, { page: rows / limit, limit, retries: 0 });
      obeysLimit = read.ids.length <= limit;
      return obeysLimit ? read : undefined;
    } catch (error) {
      // This is only a safeguard, so its errors are ignored, except a request to wait.
      if (!(error instanceof SourceError) || error.retryAfterMs !== undefined) throw error;
      return undefined;
    }
  }

  return { name: "eventflow", readSingle, readPage };
}

/** A page size that ends right before a row, of 5 to 20 rows; undefined if there is none. */
function overlapBefore(rows: number): number | undefined {
  for (let limit = EVENTFLOW_OVERLAP; limit >= 5; limit--) {
    if (rows > 0 && rows % limit === 0) return limit;
  }
  return undefined;
}

/** A page without its only booking, which is named by its id if the answer begins with it. */
function passOver(error: AnswerTooLarge, row: number): Page {
  const id = findFirstId(error.beginning);
  const message = `The booking in row ${row + 1} of the list cannot be read: ${error.message}`;
  return {
    snapshots: [],
    invalid: [{
      ...(id === undefined ? {} : { external_id: id }),
      code: "answer_too_large",
      field: "",
      message,
    }],
    // What cannot be named is told apart by how it begins: a source that ignores paging repeats it.
    ids: [id ?? shortKey(`unreadable ${error.beginning}`)],
    last: false,
    next: row + 1,
    limit: 1,
  };
}

/**
 * The page with the rows right before it: their ids in `overlap`, their bookings unless the page
 * has them.
 */
function addOverlap(page: MeasuredPage, before: MeasuredPage): Page {
  const ids = new Set(page.ids);
  return {
    ...page,
    snapshots: [
      ...before.snapshots.filter(({ external_id }) => !ids.has(external_id)),
      ...page.snapshots,
    ],
    invalid: [
      ...before.invalid.filter(({ external_id }) =>
        external_id !== undefined && !ids.has(external_id)
      ),
      ...page.invalid,
    ],
    unchanged: [...before.unchanged ?? [], ...page.unchanged ?? []],
    overlap: before.ids,
    bytes: page.bytes + before.bytes,
    busyMs: page.busyMs + before.busyMs,
  };
}
