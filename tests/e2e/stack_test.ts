import assert from "node:assert/strict";
import { OperatorError } from "../../local/errors.ts";
import { startTestStack, useStack } from "../support/stack.ts";

const stackTest = useStack();

stackTest("startStack() is healthy once it has started", async (stack) => {
  const answer = await fetch(`${stack.url}/functions/v1/_health`);
  assert.equal(answer.status, 200);
  const { healthy, checks } = await answer.json();
  assert.equal(healthy, true);
  assert.deepEqual(Object.keys(checks).sort(), [
    "database",
    "headout-webhook",
    "import-bookings",
    "receive-booking",
  ]);
});

stackTest("startStack() answers an unknown path with what there is", async (stack) => {
  const answer = await fetch(`${stack.url}/functions/v1/receive-bookings`);
  assert.equal(answer.status, 404);
  assert.ok((await answer.json()).paths.includes("/functions/v1/receive-booking"));
});

stackTest("nobody answers 500 to a malformed Host header", async (stack) => {
  const functions = stack.functions.all.map(({ name, url }) => [url, `/${name}`] as const);
  for (const [url, path] of [[stack.url, "/functions/v1/headout-webhook"] as const, ...functions]) {
    const { hostname, port } = new URL(url);
    const connection = await Deno.connect({ hostname, port: Number(port) });
    await connection.write(
      new TextEncoder().encode(
        `POST ${path}?key=${stack.keys.headoutWebhookKey} HTTP/1.1\r\nHost: [::\r\nConnection: close\r\n` +
          "Content-Length: 2\r\n\r\n{}",
      ),
    );
    const answer = new TextDecoder().decode(await readAll(connection));
    assert.match(answer, /^HTTP\/1\.1 400 /, path);
  }
});

async function readAll(connection: Deno.Conn): Promise<Uint8Array> {
  return new Uint8Array(await new Response(connection.readable).arrayBuffer());
}

stackTest("startStack() starts a function again within a second of its death", async (stack) => {
  const process = stack.functions.get("receive-booking");
  const before = process?.pid();
  process?.kill("SIGKILL");
  const killed = Date.now();
  while (process?.pid() === before || process?.ready() !== true) {
    assert.ok(Date.now() - killed < 5_000, "it does not come back");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.ok(Date.now() - killed < 2_000, `it took ${Date.now() - killed} ms`);
  const answer = await fetch(`${stack.url}/functions/v1/receive-booking`, { method: "OPTIONS" });
  assert.ok(answer.status < 500);
  await answer.body?.cancel();
});

stackTest("startStack() leaves what the migrations revoked revoked", async (stack) => {
  const member = await stack.userOf(await stack.organization());
  const inserted = await member.from("bookings").insert({ title: "not mine to write" });
  assert.equal(inserted.error?.code, "42501");
  const privileges = await stack.database.query(
    `select has_schema_privilege('anon', 'sync', 'usage') as usage,
       has_table_privilege('anon', 'public.bookings', 'select') as select,
       has_table_privilege('authenticated', 'public.bookings', 'insert') as insert`,
  );
  assert.deepEqual(privileges, [{ usage: false, select: false, insert: false }]);
});

stackTest("startStack() tells row level security who is asking", async (stack) => {
  const [mine, theirs] = [await stack.organization(), await stack.organization()];
  const member = await stack.userOf(mine);
  const { data, error } = await member.from("organizations").select("id");
  assert.equal(error, null);
  assert.deepEqual(data?.map((row) => row.id), [mine]);
  const everything = await stack.service.from("organizations").select("id").in("id", [
    mine,
    theirs,
  ]);
  assert.equal(everything.data?.length, 2);
});

stackTest("startStack() keeps the API's requests apart on one database session", async (stack) => {
  const mine = await stack.organization();
  const member = await stack.userOf(mine);
  const answers = await Promise.all(
    Array.from(
      { length: 20 },
      (_, index) =>
        index % 2 === 0
          ? member.from("organizations").select("id")
          : member.from("bookings").insert({ title: "refused" }),
    ),
  );
  for (const [index, answer] of answers.entries()) {
    if (index % 2 === 0) assert.equal(answer.data?.length, 1);
    else assert.equal(answer.error?.code, "42501");
  }
});

stackTest("startStack() hands JSON arguments to functions as JSON", async (stack) => {
  const organizationId = await stack.organization();
  const { data, error } = await stack.service.rpc("receive_delivery", {
    function: "receive-booking",
    organization_id: organizationId,
    source: "eventflow",
    external_id: "json",
    event_type: null,
    event_timestamp: null,
    headers: { "x-å": "ä" },
    body: { list: [1, { two: null }] },
    dedupe_key: null,
    status: "pending",
    last_error: null,
  });
  assert.equal(error, null);
  const rows = await stack.database.query(
    "select headers, body from sync.deliveries where id = $1",
    [data[0].delivery_id],
  );
  assert.deepEqual(rows, [{ headers: { "x-å": "ä" }, body: { list: [1, { two: null }] } }]);
});

stackTest("startStack() brings a simulated webhook all the way into the tables", async (stack) => {
  const organizationId = await stack.organization();
  const booking = await stack.eventflow.create({
    organization_id: organizationId,
    title: "Provfest",
    status: "CONFIRMED",
    event_dates: ["2027-06-19"],
  });
  const answer = await stack.eventflow.sendWebhook(String(booking.id), {
    organization_id: organizationId,
  });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const rows = await stack.database.query(
    "select external_id, title, status from public.bookings where organization_id = $1",
    [organizationId],
  );
  assert.deepEqual(rows, [{ external_id: booking.id, title: "Provfest", status: "CONFIRMED" }]);
});

Deno.test({
  name: "startStack() shows the last words of a function that cannot start",
  sanitizeOps: false,
  sanitizeResources: false,
  sanitizeExit: false,
  async fn(): Promise<void> {
    await assert.rejects(
      startTestStack({ environment: { EVENTFLOW_API_URL: "not a url" } }),
      (error) => error instanceof OperatorError && error.message.includes("EVENTFLOW_API_URL"),
    );
  },
});
