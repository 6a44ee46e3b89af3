/** The stream holds more than the reader may take. */
export class TooLarge extends Error {
  override readonly name = "TooLarge";
  readonly code = "too_large";
}

/** Bounds of one reading. */
export interface ReadStreamOptions {
  /** Bytes at which the reading stops. */
  readonly maxBytes: number;
  /** Ends the reading with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The bytes of a stream, at most `maxBytes` of them; none for `null`. Throws {@linkcode TooLarge}
 * as soon as there are more, the signal's reason when it is aborted, and what the stream throws.
 * A stream that was not read to its end is cancelled.
 */
export async function readBytes(
  stream: ReadableStream<Uint8Array> | null,
  options: ReadStreamOptions,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of readChunks(stream, options)) {
    chunks.push(chunk);
    size += chunk.byteLength;
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/**
 * The same as text in UTF-8 with its size in bytes, decoded chunk by chunk: a large answer is never
 * held twice. A byte order mark is dropped; what is not UTF-8 becomes U+FFFD.
 */
export async function readText(
  stream: ReadableStream<Uint8Array> | null,
  options: ReadStreamOptions,
): Promise<{ readonly text: string; readonly bytes: number }> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of readChunks(stream, options)) {
    text += decoder.decode(chunk, { stream: true });
    bytes += chunk.byteLength;
  }
  return { text: text + decoder.decode(), bytes };
}

/** The chunks of a stream as they come, within the same bounds. */
export async function* readChunks(
  stream: ReadableStream<Uint8Array> | null,
  { maxBytes, signal }: ReadStreamOptions,
): AsyncGenerator<Uint8Array> {
  if (stream === null) return;
  const reader = stream.getReader();
  const stop = (): void => void reader.cancel().catch(() => {});
  signal?.addEventListener("abort", stop, { once: true });
  let size = 0;
  try {
    signal?.throwIfAborted();
    for (;;) {
      const { done, value } = await reader.read();
      // A cancelled reader says done: half of a body must not pass for the whole of it.
      signal?.throwIfAborted();
      if (done) return;
      size += value.byteLength;
      if (size > maxBytes) throw new TooLarge(`Cannot read more than ${maxBytes} bytes.`);
      yield value;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}
