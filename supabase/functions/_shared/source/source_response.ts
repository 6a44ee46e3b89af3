import { readText, TooLarge } from "../read_stream.ts";
import { SourceError } from "./source_error.ts";

/** How to read a source's answer. */
export interface ReadSourceJsonOptions {
  /** The source's name for messages. */
  readonly source: string;
  /** Bytes at which reading stops. */
  readonly maxBytes: number;
  /** Ends the reading with its reason. */
  readonly signal?: AbortSignal;
  /** Called with the bytes of the answer and the milliseconds that parsing it took. */
  readonly onRead?: (bytes: number, parseMs: number) => void;
}

/**
 * The JSON of a source's answer, at most `maxBytes` of it. Throws a retryable `source_unavailable`
 * for an empty, truncated or HTML body and for invalid JSON, since sources recover from these, and
 * a permanent `source_invalid` for a body that is too large.
 */
export async function readSourceJson(
  response: Response,
  options: ReadSourceJsonOptions,
): Promise<unknown> {
  const { text, bytes } = await readAnswer(response, options);
  if (text.trim() === "") {
    throw unavailable(options.source, "empty_body", "answered with an empty body");
  }
  try {
    const began = performance.now();
    const value: unknown = JSON.parse(text);
    options.onRead?.(bytes, performance.now() - began);
    return value;
  } catch {
    throw /^\s*</.test(text)
      ? unavailable(options.source, "html_body", "answered with HTML instead of JSON")
      : unavailable(options.source, "invalid_json", "answered with invalid JSON");
  }
}

/**
 * The error for a source's failed HTTP status. All are retryable: 408, 429 and 5xx are temporary,
 * 401 and 403 end once `credential` is corrected, a redirect once the URL is.
 */
export function sourceErrorFromStatus(
  response: Response,
  options: { readonly source: string; readonly credential: string; readonly now: number },
): SourceError {
  const { status } = response;
  const { source, credential } = options;
  const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"), options.now);
  const told = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (status === 401 || status === 403) {
    const message = `refused our credential with ${status}; check ${credential}`;
    return unavailable(source, "credential_refused", message, told);
  }
  if (status >= 300 && status < 400) {
    const message = `answered with a redirect (${status}), which we don't follow with a credential`;
    return unavailable(source, "redirected", message, told);
  }
  return unavailable(source, `http_${status}`, `answered with HTTP ${status}`, told);
}

/** `Date.parse` accepts too much, such as `-5`; every form of RFC 9110 §5.6.7 begins like this. */
const HTTP_DATE = /^(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,? /;

/**
 * Milliseconds that a `Retry-After` header asks for (RFC 9110 §10.2.3), at most one hour. Undefined
 * unless it is a positive number of whole seconds or a date in the future: anything else would mean
 * to ask again at once, so the usual backoff applies.
 */
export function parseRetryAfter(value: string | null, now: number): number | undefined {
  const text = value?.trim() ?? "";
  const ms = /^\d+$/.test(text)
    ? Number(text) * 1000
    : HTTP_DATE.test(text)
    ? Date.parse(text) - now
    : NaN;
  return ms > 0 ? Math.min(ms, 3_600_000) : undefined;
}

async function readAnswer(
  response: Response,
  { source, maxBytes, signal }: ReadSourceJsonOptions,
): Promise<{ readonly text: string; readonly bytes: number }> {
  try {
    if (Number(response.headers.get("content-length") ?? 0) > maxBytes) {
      await response.body?.cancel();
      throw new TooLarge("The announced length is over the limit.");
    }
    return await readText(response.body, { maxBytes, signal });
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    throw new SourceError("source_invalid", `${source} answered with more than ${maxBytes} bytes`, {
      details: [{ code: "answer_too_large", message: `The answer exceeds ${maxBytes} bytes` }],
    });
  }
}

/** A retryable `source_unavailable` of a source, with one detail. */
export function unavailable(
  source: string,
  code: string,
  message: string,
  options: { readonly retryAfterMs?: number; readonly cause?: unknown } = {},
): SourceError {
  return new SourceError("source_unavailable", `${source} ${message}`, {
    ...options,
    details: [{ code, message: `${source} ${message}` }],
  });
}
