import { AnswerError, InvalidBody } from "../errors.ts";
import { TimeUp, within } from "../within.ts";

/** 256 KiB (design §4). */
export const MAX_BODY_BYTES = 262_144;

/** Limits of {@linkcode readBody}. */
export interface ReadBodyOptions {
  /** Default 256 KiB. */
  readonly maxBytes?: number;
  /** How long a slow sender may take, in milliseconds. Default 10 s. */
  readonly timeoutMs?: number;
}

/**
 * Reads a request's body as bytes and never holds more than `maxBytes` of it: 413
 * `body_too_large` by its `Content-Length` or as soon as the stream has passed the bound, 408
 * `request_timeout` when it does not end in time.
 */
export async function readBody(
  request: Request,
  options: ReadBodyOptions = {},
): Promise<Uint8Array> {
  const { maxBytes = MAX_BODY_BYTES, timeoutMs = 10_000 } = options;
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge(maxBytes);
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  try {
    return await within(timeoutMs, () => collect(reader, maxBytes));
  } catch (error) {
    reader.cancel().catch(() => {}); // tell the sender to stop; it may be gone already
    if (error instanceof TimeUp) {
      throw new AnswerError(408, "request_timeout", "Cannot read the body: it took too long.");
    }
    if (error instanceof AnswerError) throw error;
    throw new InvalidBody([
      { field: "body", code: "unreadable", message: "The body ended before it was complete." },
    ]);
  }
}

async function collect(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(value);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

function tooLarge(maxBytes: number): AnswerError {
  return new AnswerError(
    413,
    "body_too_large",
    `Cannot accept the body: it is larger than ${maxBytes} bytes.`,
  );
}
