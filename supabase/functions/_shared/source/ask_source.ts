import ky from "ky";
import { TimeUp, within } from "../within.ts";
import type { Page } from "./booking_source.ts";
import { retryPolicy } from "./retry_policy.ts";
import { SourceError } from "./source_error.ts";
import {
  readSourceJson,
  sourceErrorFromStatus,
  type SourceJson,
  unavailable,
} from "./source_response.ts";

/** One `GET` and its bounds. */
export interface AskSourceOptions {
  /** The source's name for messages. */
  readonly source: string;
  /** The environment variable that holds the credential, for messages. */
  readonly credential: string;
  readonly url: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of an answer at which reading stops. */
  readonly maxBytes: number;
  /** Awaited once, when the answer turns out to be large. */
  readonly onHeavy?: ((signal?: AbortSignal) => Promise<void>) | undefined;
  /** Whether an answer of which the announced length is over the limit is read up to it. */
  readonly showBeginning?: boolean;
  /** Milliseconds for all of it: every attempt and the answer's body. */
  readonly timeoutMs: number;
  /** Further attempts after a fault that may pass. */
  readonly retries: number;
  /** Longest pause before a further attempt, in milliseconds. */
  readonly maxRetryDelayMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The clock, in milliseconds since the epoch. */
  readonly now: () => number;
  readonly fetch: typeof globalThis.fetch;
  /** Sees each response before the body of a failed one is closed. */
  readonly onAnswer?: ((response: Response) => Promise<void>) | undefined;
}

/** What a source answered. */
export interface SourceReply extends SourceJson {
  /** When the attempt that was answered began, ISO (rule: a fetch is dated when it was read). */
  readonly fetchedAt: string;
}

/**
 * Reads once from a source, within limits of time and size. It follows no redirect, since the
 * credential would go with it. Throws `SourceError` for anything but JSON with a success status,
 * and the signal's reason if the caller aborted it.
 */
export async function askSource(options: AskSourceOptions): Promise<SourceReply> {
  const { source, credential, maxBytes, timeoutMs, now } = options;
  let began = now();
  try {
    options.signal?.throwIfAborted();
    const json = await within(timeoutMs, async (timeUp) => {
      const signal = options.signal ? AbortSignal.any([options.signal, timeUp]) : timeUp;
      const response = await send(options, signal, () => began = now());
      return await readSourceJson(response, {
        source,
        maxBytes,
        signal,
        onHeavy: options.onHeavy,
        showBeginning: options.showBeginning,
      });
    });
    return { ...json, fetchedAt: new Date(began).toISOString() };
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof SourceError) throw error;
    const response = responseOf(error);
    if (response) throw sourceErrorFromStatus(response, { source, credential, now: now() });
    throw error instanceof TimeUp
      ? unavailable(source, "timeout", "did not answer in time", { cause: error })
      : unavailable(source, "network_error", "could not be reached", { cause: error });
  }
}

function send(
  options: AskSourceOptions,
  signal: AbortSignal,
  onAttempt: () => void,
): Promise<Response> {
  const { url, query, headers, retries, maxRetryDelayMs, now, fetch, onAnswer } = options;
  return ky.get(url, {
    ...(query && { searchParams: query }),
    headers: { accept: "application/json", ...headers },
    signal,
    timeout: false, // the signal is the one timer
    redirect: "manual",
    retry: retryPolicy({ limit: retries, maxDelayMs: maxRetryDelayMs, now }),
    fetch: async (input, init) => {
      onAttempt();
      const response = await fetch(input, init);
      await onAnswer?.(response);
      return withoutBody(response);
    },
  });
}

function responseOf(error: unknown): Response | undefined {
  if (!(error instanceof Error) || !("response" in error)) return undefined;
  return error.response instanceof Response ? error.response : undefined;
}

/**
 * A failed response without its body; a success unchanged. The HTTP client would read such a body,
 * which may never end, before it looks at `Retry-After`.
 */
export function withoutBody(response: Response): Response {
  const { ok, status, statusText, headers } = response;
  if (ok || status < 200) return response; // a network error has status 0 and no body
  response.body?.cancel().catch(() => {}); // already closed if it was read
  return new Response(null, { status, statusText, headers });
}

/** A page with what reading it took. */
export type MeasuredPage = Page & {
  /** Bytes of the answer without its files. */
  readonly bytes: number;
  /** Bytes of the answer as it came. */
  readonly received: number;
  /** Milliseconds that it kept the processor busy. */
  readonly busyMs: number;
};

/** The page that `decode` makes of a reply, measured. */
export function measured(
  reply: Pick<SourceReply, "bytes" | "received" | "parseMs">,
  decode: () => Page,
): MeasuredPage {
  const began = performance.now();
  const page = decode();
  const { bytes, received, parseMs } = reply;
  return { ...page, bytes, received, busyMs: parseMs + performance.now() - began };
}
