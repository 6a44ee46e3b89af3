import assert from "node:assert/strict";
import { createFaults, spoil } from "./faults.ts";

const never = new AbortController().signal;

Deno.test("createFaults() uses a fault as often as it says, and only for its booking", () => {
  const faults = createFaults(["status"]);
  faults.add({ mode: "status", booking_id: "a", count: 2 });
  assert.equal(faults.take(["status"], "b"), undefined);
  assert.equal(faults.take(["html"], "a"), undefined);
  assert.equal(faults.take(["status"], "a")?.mode, "status");
  assert.equal(faults.take(["status"], "a")?.mode, "status");
  assert.equal(faults.take(["status"], "a"), undefined);
});

Deno.test("createFaults() refuses a mode that it does not know", () => {
  assert.throws(() => createFaults(["status"]).add({ mode: "explode" }), TypeError);
});

Deno.test("spoil() cuts a truncated answer in half", async () => {
  const fault = { mode: "truncated", count: 1 };
  const answer = await spoil(fault, new Response('{"data":[1]}'), never);
  assert.equal(await answer.text(), '{"data');
});

Deno.test("spoil() tells a limited caller when to come back", async () => {
  const answer = await spoil(
    { mode: "rate_limit", retry_after: 7, count: 1 },
    new Response(),
    never,
  );
  assert.deepEqual([answer.status, answer.headers.get("retry-after")], [429, "7"]);
});

Deno.test("spoil() sends a dripping answer whole", async () => {
  const fault = { mode: "drip", seconds: 0.01, count: 1 };
  const answer = await spoil(fault, new Response("å".repeat(33)), never);
  assert.equal(await answer.text(), "å".repeat(33));
});

Deno.test("spoil() holds an answer until the faults are reset, and counts it", async () => {
  const faults = createFaults(["hold"]);
  faults.add({ mode: "hold" });
  const fault = faults.take(["hold"], "a");
  assert.ok(fault);
  let answered = false;
  const answer = spoil(fault, new Response("then"), never).finally(() => answered = true);
  await Promise.resolve();
  assert.deepEqual([faults.held(), answered], [1, false]);
  faults.reset();
  assert.equal(await (await answer).text(), "then");
  assert.equal(faults.held(), 0);
});
