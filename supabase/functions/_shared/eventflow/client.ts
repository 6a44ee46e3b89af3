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
import { SourceError } from "../source/source_error.ts";
import { decodeList } from "./decode_list.ts";
import { decodeSingle } from "./decode_single.ts";

/** Bookings per page; EventFlow's maximum. */
export const EVENTFLOW_PAGE_LIMIT = 500;

/** Rows before a page that are read again with it; must divide the page size. */
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
  readonly maxSingleBytes?: number;
  readonly maxPageBytes?: number;
  readonly pageLimit?: number;
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
    maxSingleBytes = 8 * 1024 * 1024,
    maxPageBytes = 32 * 1024 * 1024,
    pageLimit = EVENTFLOW_PAGE_LIMIT,
  } = options;
  /**
   * False for a server that sends pages of its own size: then smaller ones are not asked for again.
   */
  let obeysLimit = pageLimit % EVENTFLOW_OVERLAP === 0;
  const url = `${baseUrl.replace(/\/+$/, "")}/export_bookings`;
  const headers = {
    authorization: `Bearer ${apiKey}`,
    "x-api-key": apiKey,
  };

  function ask(
    read: Pick<AskSourceOptions, "query" | "timeoutMs" | "retries" | "maxBytes" | "signal">,
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

  async function readSingle(args: ReadSingleArgs): Promise<SingleAnswer> {
    const { externalId, organizationId } = args;
    const { body, fetchedAt, bytes } = await ask({
      query: { organization_id: organizationId, booking_id: externalId },
      timeoutMs: singleTimeoutMs,
      retries: singleRetries,
      maxBytes: maxSingleBytes,
      signal: args.signal,
    });
    return { ...decodeSingle(body, { externalId, organizationId, fetchedAt }), bytes };
  }

  async function readRows(
    args: ReadPageArgs,
    rows: { readonly page: number; readonly limit: number; readonly retries: number },
  ): Promise<MeasuredPage> {
    const { organizationId } = args;
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
      maxBytes: maxPageBytes,
      signal: args.signal,
    });
    const { body, fetchedAt } = reply;
    return measured(reply, () => decodeList(body, { organizationId, fetchedAt, ...rows }));
  }

  async function readPage(args: ReadPageArgs): Promise<Page> {
    const { cursor: page = 1 } = args;
    const read = await readRows(args, { page, limit: pageLimit, retries: pageRetries });
    const before = page > 1 && obeysLimit ? await readBefore(args, page) : undefined;
    return before === undefined ? read : addOverlap(read, before);
  }

  /**
   * The last rows before a page, read after it. When a row leaves the list, the rows behind it move
   * up, and one of them moves from this page to the page before; it is found here. The rows are
   * requested as a smaller page.
   */
  async function readBefore(args: ReadPageArgs, page: number) {
    try {
      const number = (page - 1) * pageLimit / EVENTFLOW_OVERLAP;
      const rows = await readRows(args, { page: number, limit: EVENTFLOW_OVERLAP, retries: 0 });
      obeysLimit = rows.ids.length <= EVENTFLOW_OVERLAP;
      return obeysLimit ? rows : undefined;
    } catch (error) {
      // This is only a safeguard, so its errors are ignored, except a request to wait.
      if (!(error instanceof SourceError) || error.retryAfterMs !== undefined) throw error;
      return undefined;
    }
  }

  return { name: "eventflow", readSingle, readPage };
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
    overlap: before.ids,
    bytes: page.bytes + before.bytes,
    busyMs: page.busyMs + before.busyMs,
  };
}
