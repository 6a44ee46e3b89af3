import assert from "node:assert/strict";
import { readBytes, readText, TooLarge } from "./read_stream.ts";
import { never } from "./testing.ts";

/** A stream that sends `chunks` one by one, then ends unless it `stalls`. */
function streamOf(chunks: readonly Uint8Array[], stalls = false) {
  const queue = [...chunks];
  let cancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = queue.shift();
      if (chunk) return controller.enqueue(chunk);
      return stalls ? never() : controller.close();
    },
    cancel: () => void (cancelled = true),
  }, { highWaterMark: 0 });
  return { stream, cancelled: () => cancelled, left: () => queue.length };
}

const BYTES = [...new TextEncoder().encode("Åsa 😀")].map((byte) => new Uint8Array([byte]));

Deno.test("readBytes() joins the chunks of a stream", async () => {
  const bytes = await readBytes(streamOf(BYTES).stream, { maxBytes: BYTES.length });
  assert.equal(new TextDecoder().decode(bytes), "Åsa 😀");
});

Deno.test("readText() decodes characters that are cut between two chunks", async () => {
  assert.deepEqual(await readText(streamOf(BYTES).stream, { maxBytes: BYTES.length }), {
    text: "Åsa 😀",
    bytes: BYTES.length,
  });
});

Deno.test("readText() reads nothing from no stream", async () => {
  assert.deepEqual(await readText(null, { maxBytes: 1 }), { text: "", bytes: 0 });
});

Deno.test("readBytes() stops at the limit and cancels the stream", async () => {
  const { stream, cancelled, left } = streamOf(BYTES);
  await assert.rejects(readBytes(stream, { maxBytes: 2 }), TooLarge);
  assert.ok(cancelled());
  assert.equal(left(), BYTES.length - 3);
});

Deno.test("readBytes() throws the signal's reason while the stream stalls, and cancels it", async () => {
  const { stream, cancelled } = streamOf(BYTES.slice(0, 1), true);
  const controller = new AbortController();
  const reading = readBytes(stream, { maxBytes: 100, signal: controller.signal });
  controller.abort(new RangeError("over"));
  await assert.rejects(reading, RangeError);
  assert.ok(cancelled());
});

Deno.test("readBytes() reads nothing once the signal is aborted", async () => {
  const { stream, cancelled, left } = streamOf(BYTES, true);
  const signal = AbortSignal.abort(new RangeError("over"));
  await assert.rejects(readBytes(stream, { maxBytes: 100, signal }), RangeError);
  assert.deepEqual([left(), cancelled()], [BYTES.length, true]);
});
