import assert from "node:assert/strict";
import { readUrlKey } from "./read_url_key.ts";

for (
  const [query, presented] of [
    ["", []],
    ["?organization_id=o", []],
    ["?keys=a&xkey=b", []],
    ["?key", [""]],
    ["?key=", [""]],
    ["?key=abc", ["abc"]],
    ["?a=1&key=abc&key=def", ["abc"]],
    ["?key=a+b", ["a b", "a+b"]],
    ["?key=a%2Bb", ["a+b", "a%2Bb"]],
    ["?key=a+b%2F", ["a b/", "a+b%2F", "a+b/"]],
    ["?key=a==", ["a=="]],
    ["?key=50%", ["50%"]],
    // The URL itself encodes a quote.
    ["?key=a+'", ["a '", "a+%27", "a+'"]],
  ] as const
) {
  Deno.test(`readUrlKey() reads ${JSON.stringify(presented)} from "${query}"`, () => {
    assert.deepEqual(readUrlKey(new URL(`https://functions.test/${query}`)), presented);
  });
}
