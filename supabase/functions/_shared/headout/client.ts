import type { Sleep } from "../clock.ts";
import {
  askSource,
  type AskSourceOptions,
  measured,
  type SourceReply,
} from "../source/ask_source.ts";
import type {
  BookingSource,
  Page,
  ReadPageArgs,
  ReadSingleArgs,
  SingleAnswer,
} from "../source/booking_source.ts";
import { decodeList } from "./decode_list.ts";
import { decodeSingle } from "./decode_single.ts";
import { isUnconfirmed } from "./is_unconfirmed.ts";
import { createPacer } from "./pacer.ts";

/** Bookings per page; Headout sends no more, whatever is asked for. */
export const HEADOUT_PAGE_LIMIT = 20;

/** Rows of a page that the next one repeats, since rows shift while we page. */
export const HEADOUT_PAGE_OVERLAP = 2;

/** Settings of `createHeadoutClient()`; all times in milliseconds, sizes in bytes. */
export interface HeadoutClientOptions {
  /** `HEADOUT_API_URL`, without `/api`. */
  readonly baseUrl: string;
  /** `HEADOUT_API_KEY`, `pk_…` or `tk_…`. */
  readonly apiKey: string;
  readonly fetch?: typeof globalThis.fetch;
  /** The clock; milliseconds since the epoch. */
  readonly now?: () => number;
  /** The clock that requests are paced by. Default `monotonicNow`. */
  readonly elapsed?: () => number;
  /** Waits; rejects with the signal's reason if the caller ends it. */
  readonly sleep?: Sleep;
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
  readonly maxBytes?: number;
  /** Least time between two requests; Headout refuses 90 a minute. */
  readonly minIntervalMs?: number;
}

/**
 * Headout as a source of bookings, which decides where its events disagree. 400, 403 and 404 on a
 * single read are `absent` with the reason `cannot_be_confirmed`, never a cancellation (rule:
 * absence is not a statement). Requests of one client are spaced out. Throws only `SourceError`.
 */
export function createHeadoutClient(options: HeadoutClientOptions): BookingSource {
  const {
    baseUrl,
    apiKey,
    fetch = globalThis.fetch,
    now = Date.now,
    singleTimeoutMs = 10_000,
    pageTimeoutMs = 30_000,
    singleRetries = 0,
    pageRetries = 2,
    maxRetryDelayMs = 5_000,
    maxBytes = 8 * 1024 * 1024,
    minIntervalMs = 700,
  } = options;
  const bookings = `${baseUrl.replace(/\/+$/, "")}/api/public/v2/bookings/`;
  const pace = createPacer({
    minIntervalMs,
    ...(options.elapsed && { now: options.elapsed }),
    ...(options.sleep && { sleep: options.sleep }),
  });

  async function ask(
    read: Pick<AskSourceOptions, "url" | "timeoutMs" | "retries" | "signal" | "onAnswer">,
  ): Promise<SourceReply> {
    await pace(read.signal);
    const credential = "HEADOUT_API_KEY";
    const headers = { "headout-auth": apiKey };
    return await askSource({
      ...{ source: "Headout", credential, headers, maxBytes, maxRetryDelayMs, now, fetch },
      ...read,
    });
  }

  async function readSingle(args: ReadSingleArgs): Promise<SingleAnswer> {
    const { externalId } = args;
    // Headout's ids are digits. Anything else, such as "..", would ask another path.
    if (!/^\d+$/.test(externalId)) return { kind: "absent", reason: "not_a_booking_id" };
    const url = `${bookings}${externalId}/`;
    let unconfirmed = false;
    try {
      const reply = await ask({
        url,
        timeoutMs: singleTimeoutMs,
        retries: singleRetries,
        signal: args.signal,
        onAnswer: async (response) => {
          unconfirmed = await isUnconfirmed(response, now());
        },
      });
      const { body, fetchedAt, bytes } = reply;
      return { ...decodeSingle(body, { externalId, fetchedAt }), bytes };
    } catch (error) {
      if (unconfirmed) return { kind: "absent", reason: "cannot_be_confirmed" };
      throw error;
    }
  }

  async function readPage(args: ReadPageArgs): Promise<Page> {
    const { cursor: offset = 0 } = args;
    const url = `${bookings}?offset=${offset}&limit=${HEADOUT_PAGE_LIMIT}`;
    const bounds = { timeoutMs: pageTimeoutMs, retries: pageRetries, signal: args.signal };
    const reply = await ask({ url, ...bounds });
    return measured(reply, () => decodeList(reply.body, { fetchedAt: reply.fetchedAt, offset }));
  }

  return { name: "headout", pageOverlap: HEADOUT_PAGE_OVERLAP, readSingle, readPage };
}
