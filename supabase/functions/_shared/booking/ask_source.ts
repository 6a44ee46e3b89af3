import type { Page } from "./source.ts";
import { SourceError } from "./source_error.ts";
import { readSourceJson, sourceErrorFromStatus, unavailable } from "./source_response.ts";

/** How to ask a source. */
export interface AskSourceOptions {
  /** The source's name for messages. */
  readonly source: string;
  /** The environment variable that holds the credential, for messages. */
  readonly credential: string;
  /** Bytes of an answer at which reading stops. */
  readonly maxBytes: number;
  /** Milliseconds for the whole of it: all attempts and the answer's body. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The clock, in milliseconds since the epoch. */
  readonly now: () => number;
  /**
   * Sends the request, by `signal` until it ends, and calls `begin` before each attempt. It
   * rejects for a status that is no success with an error that has the `response`.
   */
  readonly send: (signal: AbortSignal, begin: () => void) => Promise<Response>;
}

/** What a source answered. */
export interface SourceReply {
  readonly body: unknown;
  /** When the attempt that was answered began, ISO (invariant 4). */
  readonly fetchedAt: string;
  /** Bytes of the answer. */
  readonly bytes: number;
  /** Milliseconds that parsing it took. */
  readonly parseMs: number;
}

/**
 * One read from a source within its time and size. Throws `SourceError` for everything but JSON
 * with a success status, and the signal's reason if the caller ended it.
 */
export async function askSource(options: AskSourceOptions): Promise<SourceReply> {
  const { source, maxBytes, now } = options;
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), options.timeoutMs);
  const signal = options.signal
    ? AbortSignal.any([options.signal, deadline.signal])
    : deadline.signal;
  let began = now();
  let size = { bytes: 0, parseMs: 0 };
  try {
    options.signal?.throwIfAborted();
    const response = await options.send(signal, () => began = now());
    const onRead = (bytes: number, parseMs: number): void => void (size = { bytes, parseMs });
    const body = await readSourceJson(response, { source, maxBytes, signal, onRead });
    return { body, fetchedAt: new Date(began).toISOString(), ...size };
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof SourceError) throw error;
    const response = responseOf(error);
    if (response !== undefined) {
      throw sourceErrorFromStatus(response, {
        source,
        credential: options.credential,
        now: now(),
      });
    }
    const timedOut = deadline.signal.aborted ||
      (error instanceof Error && error.name === "TimeoutError");
    throw timedOut
      ? unavailable(source, "timeout", "did not answer in time", { cause: error })
      : unavailable(source, "network_error", "could not be reached", { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function responseOf(error: unknown): Response | undefined {
  if (!(error instanceof Error) || !("response" in error)) return undefined;
  return error.response instanceof Response ? error.response : undefined;
}

/** A decoded page with what its reply weighed and how long it kept the processor busy. */
export function measured(
  reply: Pick<SourceReply, "bytes" | "parseMs">,
  decode: () => Page,
): Page & { readonly bytes: number; readonly busyMs: number } {
  const began = performance.now();
  const page = decode();
  return { ...page, bytes: reply.bytes, busyMs: reply.parseMs + performance.now() - began };
}
