import assert from "node:assert/strict";
import type { Database } from "./database/database.ts";
import type { FunctionProcess } from "./function_process.ts";
import { functionNames } from "./functions.ts";
import { createGateway, type GatewayOptions } from "./gateway.ts";

function setUp(changes: Partial<GatewayOptions> = {}, ready = true) {
  const all = functionNames.map((name) => ({
    name,
    url: "http://127.0.0.1:9",
    ready: () => ready,
  } as unknown as FunctionProcess));
  const gateway = createGateway({
    database: { query: () => Promise.resolve([]) } as unknown as Database,
    api: { fetch: () => Promise.resolve(new Response("api")) },
    storage: () => Promise.resolve(new Response("storage")),
    functions: () => ({
      all,
      get: (name) => all.find((process) => process.name === name),
      stop: () => Promise.resolve(),
    }),
    simulators: { eventflow: () => Promise.resolve(new Response("eventflow")) },
    studio: false,
    ...changes,
  });
  return (path: string) => gateway(new Request(`http://127.0.0.1:1${path}`), "127.0.0.1");
}

for (
  const [path, expected] of [
    ["/rest/v1/bookings", "api"],
    ["/auth/v1/health", "api"],
    ["/storage/v1/object/booking-files/a", "storage"],
    ["/simulators/eventflow/export_bookings", "eventflow"],
  ] as const
) {
  Deno.test(`createGateway() sends ${path} where it belongs`, async () => {
    assert.equal(await (await setUp()(path)).text(), expected);
  });
}

Deno.test("createGateway() answers 503 for a function that restarts", async () => {
  const answer = await setUp({}, false)("/functions/v1/receive-booking");
  assert.deepEqual([answer.status, answer.headers.get("retry-after")], [503, "1"]);
});

Deno.test("createGateway() is unhealthy while a function restarts, and says which", async () => {
  const answer = await setUp({}, false)("/functions/v1/_health");
  assert.equal(answer.status, 503);
  assert.deepEqual((await answer.json()).checks, {
    "database": true,
    "receive-booking": false,
    "headout-webhook": false,
    "import-bookings": false,
  });
});

Deno.test("createGateway() is unhealthy when the database does not answer", async () => {
  const database = { query: () => Promise.reject(new Error("gone")) } as unknown as Database;
  const answer = await setUp({ database }, false)("/functions/v1/_health");
  assert.equal((await answer.json()).checks.database, false);
});

for (const path of ["/", "/functions/v1/nope", "/functions/v2/receive-booking", "/simulators/x"]) {
  Deno.test(`createGateway() answers ${path} with what there is`, async () => {
    const answer = await setUp()(path);
    assert.equal(answer.status, 404);
    assert.ok((await answer.json()).paths.includes("/functions/v1/import-bookings"));
  });
}
