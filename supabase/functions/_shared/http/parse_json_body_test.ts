import assert from "node:assert/strict";
import { parseJsonBody } from "./parse_json_body.ts";

function parse(text: string | Uint8Array, type: string | null = "application/json") {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  return parseJsonBody(bytes, new Headers(type === null ? {} : { "content-type": type }));
}

for (
  const type of [
    null,
    "application/json",
    "APPLICATION/JSON; charset=utf-8",
    "application/json;charset=UTF-8",
    "application/problem+json",
    "application/vnd.api+json; version=1",
  ]
) {
  Deno.test(`parseJsonBody() takes the content type ${type} as JSON`, () => {
    assert.deepEqual(parse('{"a":1}', type).value, { a: 1 });
  });
}

for (
  const type of ["text/plain", "text/json5", "application/jsonp", "+json", "multipart/form-data"]
) {
  Deno.test(`parseJsonBody() refuses the content type ${type} and keeps the text`, () => {
    const body = parse('{"a":1}', type);
    assert.equal(body.error?.status, 415);
    assert.deepEqual(body.storable, { text: '{"a":1}' });
    assert.deepEqual(body.value, { a: 1 }, "it still tells which booking is meant");
  });
}

Deno.test("parseJsonBody() refuses a compressed body", () => {
  const headers = new Headers({ "content-encoding": "gzip" });
  assert.equal(parseJsonBody(new Uint8Array([31, 139]), headers).error?.status, 415);
});

for (const text of ["", "  ", "{", "undefined", "{'a':1}", '{"a":1}}']) {
  Deno.test(`parseJsonBody() answers invalid_json to ${JSON.stringify(text)}`, () => {
    const body = parse(text);
    assert.deepEqual([body.error?.status, body.error?.code], [400, "invalid_json"]);
    assert.deepEqual(body.storable, { text });
  });
}

Deno.test("parseJsonBody() answers invalid_json to bytes that are not UTF-8", () => {
  const body = parse(new Uint8Array([...new TextEncoder().encode('{"a":"'), 0xff, 0x22, 0x7d]));
  assert.equal(body.error?.code, "invalid_json");
  assert.deepEqual(body.storable, { text: '{"a":"\uFFFD"}' });
  assert.deepEqual(body.value, { a: "\uFFFD" }, "it still tells which booking is meant");
});

Deno.test("parseJsonBody() accepts a byte order mark and a replacement character", () => {
  assert.deepEqual(parse('\uFEFF{"a":"\uFFFD"}').value, { a: "\uFFFD" });
});

for (const text of ["null", "[]", '"a"', "1"]) {
  Deno.test(`parseJsonBody() answers invalid_body to ${text}`, () => {
    assert.equal(parse(text).error?.code, "invalid_body");
  });
}

Deno.test("parseJsonBody() keeps the text of a body that jsonb cannot hold", () => {
  const text = '{"a":"\\u0000","b":{"\\ud800":["\\udc00"]}}';
  const body = parse(text);
  assert.deepEqual(body.error?.details.map(({ field }) => field).sort(), [
    "a",
    "b.\\ud800",
    "b.\\ud800.0",
  ]);
  assert.deepEqual(body.storable, { text });
});

for (
  const [what, text, code] of [
    ["cannot be stored", '{"a":"\\u0000"}', "invalid_body"],
    ["is the only one of a list", '[{"a":"\\u0000"}]', "invalid_body"],
  ] as const
) {
  Deno.test(`parseJsonBody() still shows what an object says that ${what}`, () => {
    const body = parse(text);
    assert.equal(body.error?.code, code);
    assert.deepEqual(body.value, { a: "\0" });
    assert.deepEqual(body.storable, { text });
  });
}

for (const text of ['[{"a":1},{"a":2}]', '[[{"a":1}]]', "[null]", "[]"]) {
  Deno.test(`parseJsonBody() shows nothing of ${text}`, () => {
    assert.equal(parse(text).value, undefined);
  });
}

Deno.test("parseJsonBody() escapes a NUL byte in text that is not JSON", () => {
  assert.deepEqual(parse("a\0b").storable, { text: "a\\u0000b" });
});

Deno.test("parseJsonBody() survives a body of nothing but brackets", () => {
  const body = parse(`{"a":${"[".repeat(120_000)}${"]".repeat(120_000)}}`);
  assert.equal(body.error?.details[0]?.code, "too_deep");
});
