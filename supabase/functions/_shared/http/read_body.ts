import { AnswerError, InvalidBody } from "../errors.ts";
import { readBytes, TooLarge } from "../read_stream.ts";
import { TimeUp, within } from "../within.ts";

/** 256 KiB. */
export const MAX_BODY_BYTES = 262_144;

/** Limits of {@linkcode readBody}. */
export interface ReadBodyOptions {
  /** Default 256 KiB. */
  readonly maxBytes?: number;
  /** How long a slow sender may take, in milliseconds. Default 10 s. */
  readonly timeoutMs?: number;
}

/**
 * The body of a request as bytes, never more than `maxBytes` of it. Throws 413 `body_too_large` by
 * its `Content-Length` or as soon as the stream exceeds the limit, 408 `request_timeout` if it does
 * not end in time.
 */
export async function readBody(
  request: Request,
  options: ReadBodyOptions = {},
): Promise<Uint8Array> {
  const { maxBytes = MAX_BODY_BYTES, timeoutMs = 10_000 } = options;
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge(maxBytes);
  try {
    return await within(timeoutMs, (signal) => readBytes(request.body, { maxBytes, signal }));
  } catch (error) {
    if (error instanceof TimeUp) {
      throw new AnswerError(408, "request_timeout", "Cannot read the body: it took too long.");
    }
    if (error instanceof TooLarge) throw tooLarge(maxBytes);
    throw new InvalidBody([
      { field: "body", code: "unreadable", message: "The body ended before it was complete." },
    ]);
  }
}

function tooLarge(maxBytes: number): AnswerError {
  return new AnswerError(
    413,
    "body_too_large",
    `Cannot accept the body: it is larger than ${maxBytes} bytes.`,
  );
}
