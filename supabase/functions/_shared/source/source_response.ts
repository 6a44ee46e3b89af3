import { readChunks, TooLarge } from "../read_stream.ts";
import { createAnswerScanner, type ScannedAnswer } from "./answer_scanner.ts";
import { type InlineFile } from "./base64_file.ts";
import { AnswerTooLarge, SourceError } from "./source_error.ts";

/** How to read a source's answer. */
export interface ReadSourceJsonOptions {
  /** The source's name for messages. */
  readonly source: string;
  /** Bytes at which reading stops, with the files. */
  readonly maxBytes: number;
  /** Ends the reading with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Awaited once, when the answer turns out to be large. */
  readonly onHeavy?: ((signal?: AbortSignal) => Promise<void>) | undefined;
  /** Whether an answer of which the announced length is over the limit is read up to it. */
  readonly showBeginning?: boolean | undefined;
}

/** The JSON of an answer and what reading it took. */
export interface SourceJson {
  readonly body: unknown;
  /** What stood in `content_base64`, by SHA-256. */
  readonly files: ReadonlyMap<string, InlineFile>;
  /** Bytes of the answer without its files. */
  readonly bytes: number;
  /** Bytes of the answer as it came. */
  readonly received: number;
  /** Milliseconds that parsing it took. */
  readonly parseMs: number;
}

/** Bytes of JSON beside files. What is parsed takes several times as much memory. */
const MAX_TEXT_BYTES = 32 * 1024 * 1024;
/** Structural characters; 10,000 product rows have about 400,000. */
const MAX_STRUCTURE = 500_000;
/** Bytes of one file. */
const MAX_FILE_BYTES = 20 * 1024 * 1024;
/** Bytes of an answer above which a process reads one at a time. */
const HEAVY_BYTES = 8 * 1024 * 1024;
/** Characters of a refused answer that its error shows, for the id in it. */
const SHOWN = 1024 * 1024;

/**
 * The JSON of a source's answer, at most `maxBytes` of it; files in it are cut out as they arrive.
 * Throws a retryable `source_unavailable` for an empty, truncated or HTML body and for invalid JSON,
 * since sources recover from these, and `AnswerTooLarge` for what passes a limit.
 */
export async function readSourceJson(
  response: Response,
  options: ReadSourceJsonOptions,
): Promise<SourceJson> {
  const { text, files, bytes, received, scanMs } = await readAnswer(response, options);
  if (!/\S/.test(text)) {
    throw unavailable(options.source, "empty_body", "answered with an empty body");
  }
  try {
    const began = performance.now();
    const body: unknown = JSON.parse(text);
    return { body, files, bytes, received, parseMs: scanMs + performance.now() - began };
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
  options: ReadSourceJsonOptions,
): Promise<
  ScannedAnswer & { readonly bytes: number; readonly received: number; readonly scanMs: number }
> {
  const { source, maxBytes, signal, onHeavy, showBeginning = false } = options;
  const scanner = createAnswerScanner({
    maxTextBytes: Math.min(maxBytes, MAX_TEXT_BYTES),
    maxStructure: MAX_STRUCTURE,
    maxFileBytes: MAX_FILE_BYTES,
  });
  let scanMs = 0;
  let received = 0;
  let heavy = false;
  try {
    if (!showBeginning && Number(response.headers.get("content-length") ?? 0) > maxBytes) {
      await response.body?.cancel();
      throw new TooLarge(`Cannot take more than ${maxBytes} bytes.`);
    }
    // Each chunk is scanned before it is counted, so that the error shows how the answer begins.
    for await (const chunk of readChunks(response.body, { maxBytes: Infinity, signal })) {
      const began = performance.now();
      scanner.write(chunk);
      received += chunk.byteLength;
      if (received > maxBytes) throw new TooLarge(`Cannot take more than ${maxBytes} bytes.`);
      scanMs += performance.now() - began;
      if (heavy || scanner.held() < HEAVY_BYTES) continue;
      heavy = true;
      await onHeavy?.(signal);
    }
    const answer = scanner.end();
    return { ...answer, bytes: scanner.textBytes(), received, scanMs };
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    throw new AnswerTooLarge(source, error.message, scanner.text().slice(0, SHOWN));
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
