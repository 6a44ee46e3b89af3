import assert from "node:assert/strict";
import { projectPaths } from "../paths.ts";
import { createSimulators } from "./create_simulators.ts";

const markdown = await Deno.readTextFile(`${projectPaths().root}/docs/simulators.md`);

Deno.test("docs/simulators.md has a curl line for each control request that makes a source unreliable", () => {
  const lines = curlLines();
  for (const verb of ["flags", "lag", "flicker", "empty", "shrink", "move"]) {
    assert.ok(lines.some(({ path }) => path.endsWith(`/${verb}`)), verb);
  }
});

Deno.test("createSimulators() answers the control requests of docs/simulators.md that send nothing", async () => {
  const { handlers } = createSimulators({
    url: "http://127.0.0.1:1",
    environment: {},
    signal: new AbortController().signal,
  });
  const lines = curlLines().filter(({ path }) => !/send-webhook|reschedule|burst/.test(path));
  assert.ok(lines.length >= 15, "the walk found no requests");
  for (const { method, path, body } of lines) {
    const handler = path.startsWith("/simulators/headout") ? handlers.headout : handlers.eventflow;
    const request = new Request(`http://127.0.0.1${path}`, { method, body });
    const answer = await handler(request);
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.text()}`);
  }
});

/** The requests in the shell blocks, with continued lines joined. */
function curlLines(): readonly {
  readonly method: string;
  readonly path: string;
  readonly body: string | null;
}[] {
  const blocks = [...markdown.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, text = ""]) => text);
  const lines = blocks.join("").replaceAll(/\\\n\s*/g, "").split("\n");
  return lines.filter((line) => line.startsWith("curl ")).map((line) => {
    const path = /http:\/\/127\.0\.0\.1:54321([^\s']+)/.exec(line)?.[1] ?? "";
    const body = / -d '([^']*)'/.exec(line)?.[1] ?? null;
    const method = / -X (\w+)/.exec(line)?.[1] ?? (body === null ? "GET" : "POST");
    return { method, path, body };
  });
}
