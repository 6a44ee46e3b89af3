import { OperatorError } from "../local/errors.ts";
import type { BenchmarkContext } from "./benchmark.ts";
import type { Report } from "./report.ts";

/** A line that one of two compared processes writes to stdout: where it is, or what it measured. */
export interface RunnerMessage {
  readonly step?: "wanted" | "done";
  readonly report?: Report;
}

/** Writes a message to the process that compares. */
export function sendMessage(message: RunnerMessage): void {
  console.log(JSON.stringify(message));
}

/** Says that a step is wanted, waits for a line on stdin, runs it and says that it is done. */
export function waitForTurns(): BenchmarkContext["turn"] {
  const reader = Deno.stdin.readable.getReader();
  return async (step) => {
    sendMessage({ step: "wanted" });
    // One line is one read: the next one is sent only after this step.
    if ((await reader.read()).done) throw new OperatorError("Interrupted.");
    const result = await step();
    sendMessage({ step: "done" });
    return result;
  };
}

/** The messages of a process, one a line. */
export async function* readMessages(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<RunnerMessage, undefined> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
  return undefined;
}
