import assert from "node:assert/strict";
import { cutText } from "./cut_text.ts";

for (
  const [text, cut] of [
    ["abcd", "abc"],
    ["ab", "ab"],
    ["", ""],
    ["a😀b😀", "a😀b"],
    ["😀😀😀😀", "😀😀😀"],
    ["ab😀😀", "ab😀"],
  ] as const
) {
  Deno.test(`cutText() cuts "${text}" to "${cut}"`, () => {
    assert.equal(cutText(text, 3), cut);
  });
}
