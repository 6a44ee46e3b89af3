import ky from "ky";
import { askSource, type SourceReply } from "../booking/ask_source.ts";
import type {
  BookingSource,
  Page,
  ReadPageArgs,
  ReadSingleArgs,
  SingleAnswer,
} from "../booking/source.ts";
import { retryPolicy } from "../booking/retry_policy.ts";
import { decodeList } from "./decode_list.ts";
import { decodeSingle } from "./decode_single.ts";

/** Bookings per page; EventFlow's own limit (domain/eventflow.md). */
export const EVENTFLOW_PAGE_LIMIT = 500;

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
  /** Further attempts of a single read: none, since the inbox tries again. */
  readonly singleRetries?: number;
  /** Further attempts of a page. */
  readonly pageRetries?: number;
  /** Longest pause before a further attempt; a source that asks for more gets an error. */
  readonly maxRetryDelayMs?: number;
  readonly maxSingleBytes?: number;
  readonly maxPageBytes?: number;
  readonly pageLimit?: number;
}

interface Ask {
  readonly query: Record<string, string>;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * EventFlow as a source of bookings. Sends the key in both headers, since the bearer alone has been
 * refused, and follows no redirect with it. Throws `SourceError` only.
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
  const url = `${baseUrl.replace(/\/+$/, "")}/export_bookings`;
  const headers = {
    authorization: `Bearer ${apiKey}`,
    "x-api-key": apiKey,
    accept: "application/json",
  };

  function ask({ query, timeoutMs, retries, maxBytes, signal }: Ask): Promise<SourceReply> {
    return askSource({
      source: "EventFlow",
      credential: "EVENTFLOW_API_KEY",
      maxBytes,
      timeoutMs,
      signal,
      now,
      send: (signal, begin) =>
        ky.get(url, {
          searchParams: query,
          headers,
          signal,
          redirect: "manual",
          timeout: timeoutMs,
          retry: retryPolicy({ limit: retries, maxDelayMs: maxRetryDelayMs, now }),
          fetch: (input, init) => {
            begin();
            return fetch(input, init);
          },
        }),
    });
  }

  async function readSingle(args: ReadSingleArgs): Promise<SingleAnswer> {
    const { externalId, organizationId } = args;
    const { body, fetchedAt } = await ask({
      query: { organization_id: organizationId, booking_id: externalId },
      timeoutMs: singleTimeoutMs,
      retries: singleRetries,
      maxBytes: maxSingleBytes,
      signal: args.signal,
    });
    return decodeSingle(body, { externalId, organizationId, fetchedAt });
  }

  async function readPage(args: ReadPageArgs): Promise<Page> {
    const { organizationId, cursor: page = 1 } = args;
    const { body, fetchedAt } = await ask({
      query: {
        organization_id: organizationId,
        ...(args.since === undefined ? {} : { since: args.since }),
        ...(args.startDate === undefined ? {} : { start_date: args.startDate }),
        ...(args.endDate === undefined ? {} : { end_date: args.endDate }),
        page: String(page),
        limit: String(pageLimit),
      },
      timeoutMs: pageTimeoutMs,
      retries: pageRetries,
      maxBytes: maxPageBytes,
      signal: args.signal,
    });
    return decodeList(body, { organizationId, fetchedAt, page, limit: pageLimit });
  }

  return { name: "eventflow", readSingle, readPage };
}
