import assert from "node:assert/strict";
import { readLines } from "./read_lines.ts";

Deno.test("readLines() joins a line that arrives in pieces and keeps an unfinished last one", async () => {
  const pieces = ["one\r\ntw", "o\n", "\nthr", "ee"];
  const stream = ReadableStream.from(pieces).pipeThrough(new TextEncoderStream());
  const lines: string[] = [];
  await readLines(stream, (line) => lines.push(line));
  assert.deepEqual(lines, ["one", "two", "", "three"]);
});
