import ky from "ky";
import { TimeUp, within } from "../within.ts";
import type { Page } from "./booking_source.ts";
import { retryPolicy } from "./retry_policy.ts";
import { SourceError } from "./source_error.ts";
import { readSourceJson, sourceErrorFromStatus, unavailable } from "./source_response.ts";

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
export interface SourceReply {
  readonly body: unknown;
  /** When the attempt that was answered began, ISO (rule: a fetch is dated when it was read). */
  readonly fetchedAt: string;
  /** Bytes of the answer. */
  readonly bytes: number;
  /** Milliseconds that parsing it took. */
  readonly parseMs: number;
}

/**
 * Reads once from a source, within limits of time and size. It follows no redirect, since the
 * credential would go with it. Throws `SourceError` for anything but JSON with a success status,
 * and the signal's reason if the caller aborted it.
 */
export async function askSource(options: AskSourceOptions): Promise<SourceReply> {
  const { source, credential, maxBytes, timeoutMs, now } = options;
  let began = now();
  let size = { bytes: 0, parseMs: 0 };
  const onRead = (bytes: number, parseMs: number): void => void (size = { bytes, parseMs });
  try {
    options.signal?.throwIfAborted();
    const body = await within(timeoutMs, async (timeUp) => {
      const signal = options.signal ? AbortSignal.any([options.signal, timeUp]) : timeUp;
      const response = await send(options, signal, () => began = now());
      return await readSourceJson(response, { source, maxBytes, signal, onRead });
    });
    return { body, fetchedAt: new Date(began).toISOString(), ...size };
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

/** A page with the bytes of its answer and the milliseconds that it kept the processor busy. */
export type MeasuredPage = Page & { readonly bytes: number; readonly busyMs: number };

/** The page that `decode` makes of a reply, measured. */
export function measured(
  reply: Pick<SourceReply, "bytes" | "parseMs">,
  decode: () => Page,
): MeasuredPage {
  const began = performance.now();
  const page = decode();
  return { ...page, bytes: reply.bytes, busyMs: reply.parseMs + performance.now() - began };
}
