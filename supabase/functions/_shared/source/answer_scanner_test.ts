import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { TooLarge } from "../read_stream.ts";
import { type AnswerLimits, createAnswerScanner, type ScannedAnswer } from "./answer_scanner.ts";

const LIMITS: AnswerLimits = { maxTextBytes: 10_000, maxStructure: 1_000, maxFileBytes: 5_000 };

// Every value of a byte, in an order that gives "+", "/" and padding in base64.
const CONTENT = Uint8Array.from({ length: 1_000 }, (_, at) => at * 251 % 256);
const BASE64 = btoa(String.fromCharCode(...CONTENT));
const HASH = createHash("sha256").update(CONTENT).digest("hex");

function scan(json: string, size = 65_536, limits = LIMITS): ScannedAnswer {
  const bytes = new TextEncoder().encode(json);
  const scanner = createAnswerScanner(limits);
  for (let at = 0; at < bytes.length; at += size) scanner.write(bytes.subarray(at, at + size));
  return scanner.end();
}

const spellings: Readonly<Record<string, string>> = {
  "plain": BASE64,
  "without padding": BASE64.replaceAll("=", ""),
  "in the alphabet of URLs": BASE64.replaceAll("+", "-").replaceAll("/", "_"),
  "with escaped slashes": BASE64.replaceAll("/", "\\/"),
  "with escaped letters": BASE64.replaceAll("+", "\\u002b").replaceAll("=", "\\u003D"),
  "with line breaks": BASE64.replace(/(.{76})/g, "$1\\r\\n"),
  "as a data: URL": `data:image/png;base64,${BASE64}`,
};

for (const [name, text] of Object.entries(spellings)) {
  Deno.test(`createAnswerScanner() cuts out base64 ${name}, however the chunks fall`, async () => {
    for (const size of [1, 2, 3, 7, 1_000, 65_536]) {
      const { text: rest, files } = scan(`{"a":"å","content_base64" : "${text}","b":[1]}`, size);
      const marker = { omitted_bytes: 1_000, sha256: HASH };
      assert.deepEqual(JSON.parse(rest), { a: "å", content_base64: marker, b: [1] });
      const file = files.get(HASH)!;
      assert.deepEqual(new Uint8Array(await new Blob([...file.content]).arrayBuffer()), CONTENT);
      assert.equal(file.problem, undefined);
    }
  });
}

Deno.test("createAnswerScanner() leaves alone what only looks like a file", () => {
  const json = JSON.stringify({
    content_base64: null,
    list: ["content_base64", { content_base64: 7 }, { content_base64: { content_base64: [] } }],
    ["not content_base64"]: "AAAA",
    ['x"content_base64']: 'y\\"content_base64":"AAAA"',
    empty: { content_base64: "" },
  });
  for (const size of [1, 5, 65_536]) {
    const { text, files } = scan(json, size);
    assert.deepEqual(JSON.parse(text), JSON.parse(json));
    assert.equal(files.size, 0);
  }
});

Deno.test("createAnswerScanner() says of a file that is no base64, or too large, what was left out", () => {
  for (const text of ["***", "AAAA AA=A", "A", "data:image/png,AAAA", "data:", "AAAA\\u0000"]) {
    const [file] = scan(`{"content_base64":"${text}"}`).files.values();
    assert.deepEqual([file?.problem, file?.content.length], ["not_base64", 0], text);
  }
  const { files } = scan(`{"content_base64":"${BASE64}"}`, 100, { ...LIMITS, maxFileBytes: 999 });
  const file = files.get(HASH);
  assert.deepEqual([file?.problem, file?.bytes, file?.content.length], ["too_large", 1_000, 0]);
});

Deno.test("createAnswerScanner() counts text and values, but not files", () => {
  scan(`{"content_base64":"${"QUJD".repeat(1_000)}"}`, 100, { ...LIMITS, maxTextBytes: 30 });
  assert.throws(() => scan(`"${"x".repeat(10_000)}"`), TooLarge);
  scan(`[${"1,".repeat(900)}1]`);
  scan(`"${"{},".repeat(2_000)}"`);
  assert.throws(() => scan(`[${"{},".repeat(400)}1]`), TooLarge);
});

Deno.test("createAnswerScanner() shows how an answer begins that it refuses", () => {
  const scanner = createAnswerScanner(LIMITS);
  const chunk = new TextEncoder().encode(`{"data":[{"id":"b1","x":[${"[],".repeat(2_000)}1]}]}`);
  assert.throws(() => scanner.write(chunk), TooLarge);
  assert.ok(scanner.text().startsWith('{"data":[{"id":"b1","x":[[],'));
});
