import assert from "node:assert/strict";
import { chosenVariables, functionEnvironment, parseEnv } from "./environment.ts";
import { localKeys } from "./keys.ts";

Deno.test("parseEnv() reads names, quotes, comments and export, and leaves out empty values", () => {
  const text = [
    "# comment",
    "A=1",
    "export B='two # three'",
    'C="x\\ny" # note',
    "D=plain # note",
    "E=",
    "not a line",
    "F=a=b#c",
  ].join("\r\n");
  assert.deepEqual(parseEnv(text), {
    A: "1",
    B: "two # three",
    C: "x\ny",
    D: "plain",
    F: "a=b#c",
  });
});

Deno.test("functionEnvironment() lets overrides win and hands on nothing else of the process", async () => {
  const environment = functionEnvironment(
    "http://127.0.0.1:1",
    await localKeys(),
    { WEBHOOK_SECRET: "mine" },
    { PATH: "/bin", DATABASE_URL: "postgres://secret", WEBHOOK_SECRET: "not this" },
  );
  assert.equal(environment.WEBHOOK_SECRET, "mine");
  assert.equal(environment.PATH, "/bin");
  assert.equal(environment.DATABASE_URL, undefined);
  assert.equal(environment.EVENTFLOW_API_URL, "http://127.0.0.1:1/simulators/eventflow");
});

Deno.test("chosenVariables() takes the functions' variables that have a value", () => {
  assert.deepEqual(chosenVariables({ LOG_LEVEL: "debug", ORGANIZATION_ID: "", HOME: "/" }), {
    LOG_LEVEL: "debug",
  });
});
