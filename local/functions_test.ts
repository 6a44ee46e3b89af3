import assert from "node:assert/strict";
import { functionArguments } from "./functions.ts";
import { projectPaths } from "./paths.ts";

Deno.test("functionArguments() allows this machine and the configured hosts, and nothing else", () => {
  const args = functionArguments(projectPaths("/project"), "receive-booking", {
    EVENTFLOW_API_URL: "https://eventflow.example/api",
    HEADOUT_API_URL: "http://127.0.0.1:9",
    HEADOUT_JWKS_URL: "not a url",
  }, false);
  assert.deepEqual(args.filter((argument) => argument.startsWith("--allow")), [
    "--allow-net=127.0.0.1,localhost,eventflow.example",
    "--allow-env",
  ]);
  assert.equal(args.at(-1), "/project/supabase/functions/receive-booking/index.ts");
});

Deno.test("functionArguments() freezes the lock file only if there is one", () => {
  const paths = projectPaths("/project");
  assert.ok(functionArguments(paths, "x", {}, true).includes("--frozen"));
  assert.ok(!functionArguments(paths, "x", {}, false).includes("--frozen"));
});
