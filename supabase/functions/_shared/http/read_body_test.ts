import assert from "node:assert/strict";
import { AnswerError } from "../errors.ts";
import { megabyte, post } from "../testing.ts";
import { readBody } from "./read_body.ts";

function code(expected: string, status: number): (error: unknown) => boolean {
  return (error) =>
    error instanceof AnswerError && error.code === expected && error.status === status;
}

Deno.test("readBody() returns what was sent, in whatever chunks", async () => {
  const stream = ReadableStream.from(["ab", "c", ""].map((text) => new TextEncoder().encode(text)));
  assert.equal(new TextDecoder().decode(await readBody(post(stream))), "abc");
});

Deno.test("readBody() returns nothing for a request without a body", async () => {
  assert.equal((await readBody(post(undefined))).byteLength, 0);
});

Deno.test("readBody() accepts exactly the bound and refuses a byte more", async () => {
  assert.equal((await readBody(post(new Uint8Array(262_144)))).byteLength, 262_144);
  await assert.rejects(readBody(post(new Uint8Array(262_145))), code("body_too_large", 413));
});

Deno.test("readBody() stops reading once the bound is passed, whatever the length said", async () => {
  const body = megabyte();
  const request = post(body, { headers: { "content-length": "10" } });
  await assert.rejects(readBody(request), code("body_too_large", 413));
  assert.ok(body.pulled() < 20, `${body.pulled()} chunks were read`);
});

Deno.test("readBody() gives up on a slow sender", async () => {
  const stalled = new ReadableStream<Uint8Array>();
  await assert.rejects(readBody(post(stalled), { timeoutMs: 20 }), code("request_timeout", 408));
});

Deno.test("readBody() answers 400 to a body that breaks off", async () => {
  const broken = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.error(new Error("reset")),
  });
  await assert.rejects(readBody(post(broken)), code("invalid_body", 400));
});
