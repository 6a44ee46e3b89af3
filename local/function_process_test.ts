import assert from "node:assert/strict";
import { OperatorError } from "./errors.ts";
import { freePort } from "./free_port.ts";
import { type FunctionProcess, startFunctionProcess } from "./function_process.ts";

const serve = "Deno.serve(() => new Response(String(Deno.pid)))";

let folder = "";
Deno.test.beforeAll(async () => {
  folder = await Deno.makeTempDir();
});
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));

async function start(source: string, lines: string[] = []): Promise<FunctionProcess> {
  const file = `${folder}/${crypto.randomUUID()}.ts`;
  await Deno.writeTextFile(file, source);
  return await startFunctionProcess({
    name: "probe",
    arguments: ["run", "--no-prompt", "--quiet", "--no-config", "--allow-net", "--allow-env", file],
    environment: { PATH: Deno.env.get("PATH") ?? "" },
    workingDirectory: Deno.cwd(),
    port: freePort(),
    log: (line) => lines.push(line),
    notice: () => {},
  });
}

async function ask(process: FunctionProcess): Promise<string> {
  return await (await fetch(process.url)).text();
}

function processTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

processTest("startFunctionProcess() is there once it answers, and gone once stopped", async () => {
  const process = await start(serve);
  assert.equal(await ask(process), String(process.pid()));
  await process.stop();
  await assert.rejects(fetch(process.url));
});

processTest("startFunctionProcess() hands on its lines as they are", async () => {
  const lines: string[] = [];
  const process = await start(`console.log('{"a": 1}');console.error("två");${serve}`, lines);
  await process.stop();
  assert.deepEqual(lines.sort(), ["två", '{"a": 1}'].sort());
});

processTest(
  "startFunctionProcess() fails with the last words of one that ends at start",
  async () => {
    await assert.rejects(
      start("console.error('WEBHOOK_SECRET is missing'); Deno.exit(1)"),
      (error) => error instanceof OperatorError && /WEBHOOK_SECRET is missing/.test(error.message),
    );
  },
);

processTest("startFunctionProcess() puts a new process in the place of one that died", async () => {
  const process = await start(serve);
  const before = process.pid();
  process.kill("SIGKILL");
  const deadline = Date.now() + 5_000;
  while (process.pid() === before || !process.ready()) {
    assert.ok(Date.now() < deadline, "no successor");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(await ask(process), String(process.pid()));
  await process.stop();
});

processTest("startFunctionProcess() answers again after restart()", async () => {
  const process = await start(serve);
  const before = await ask(process);
  await process.restart();
  assert.notEqual(await ask(process), before);
  await process.stop();
});
