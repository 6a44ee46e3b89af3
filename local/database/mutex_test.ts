import assert from "node:assert/strict";
import { createMutex } from "./mutex.ts";

Deno.test("createMutex() runs the second piece of work after the first has ended", async () => {
  const exclusive = createMutex();
  const order: string[] = [];
  await Promise.all([
    exclusive(async () => {
      order.push("first begins");
      await new Promise((resolve) => setTimeout(resolve, 5));
      order.push("first ends");
    }),
    exclusive(() => {
      order.push("second begins");
      return Promise.resolve();
    }),
  ]);
  assert.deepEqual(order, ["first begins", "first ends", "second begins"]);
});

Deno.test("createMutex() goes on after a piece of work has failed", async () => {
  const exclusive = createMutex();
  const failing = exclusive(() => Promise.reject(new Error("no")));
  const following = exclusive(() => Promise.resolve("yes"));
  await assert.rejects(failing, /no/);
  assert.equal(await following, "yes");
});
