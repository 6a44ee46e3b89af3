import assert from "node:assert/strict";
import { readMessages, type RunnerMessage } from "./turns.ts";

async function messagesOf(chunks: readonly string[]): Promise<readonly RunnerMessage[]> {
  const stream = ReadableStream.from(chunks).pipeThrough(new TextEncoderStream());
  const messages: RunnerMessage[] = [];
  for await (const message of readMessages(stream)) messages.push(message);
  return messages;
}

Deno.test("readMessages() reads a line that comes in pieces, and several that come at once", async () => {
  assert.deepEqual(
    await messagesOf(['{"step":', '"wanted"}\n{"step":"done"}\n', '{"step":"wanted"}\n']),
    [{ step: "wanted" }, { step: "done" }, { step: "wanted" }],
  );
});

Deno.test("readMessages() leaves out a last line that was cut off", async () => {
  assert.deepEqual(await messagesOf(['{"step":"done"}\n{"repo']), [{ step: "done" }]);
});
