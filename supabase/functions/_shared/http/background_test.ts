import assert from "node:assert/strict";
import { createBackground } from "./background.ts";

Deno.test("createBackground() hands the work to waitUntil and waits for it itself", async () => {
  const handed: Promise<unknown>[] = [];
  const background = createBackground((work) => void handed.push(work));
  let ended = false;
  background.run(async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    ended = true;
  });
  assert.equal(handed.length, 1);
  await background.settled();
  assert.ok(ended);
});

Deno.test("createBackground() survives a task that fails", async () => {
  const background = createBackground();
  background.run(() => Promise.reject(new Error("failed")));
  await background.settled();
});
