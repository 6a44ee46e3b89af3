import assert from "node:assert/strict";
import { parseNumber } from "./number.ts";

const numbers: readonly (readonly [string, number | undefined])[] = [
  ["3", 3],
  ["3.5", 3.5],
  ["3,5", 3.5],
  ["0", 0],
  ["-4", -4],
  ["+4", 4],
  ["\u22124,5", -4.5],
  ["\u2013 4", -4],
  ["1 200,50", 1200.5],
  ["1\u00a0200\u00a0000", 1_200_000],
  ["1\u202f200,5", 1200.5],
  ["1.234,50", 1234.5],
  ["1,234.50", 1234.5],
  ["1.234.567,8", 1_234_567.8],
  ["1.234.567", 1_234_567],
  ["1,234,567", 1_234_567],
  ["1.234", 1.234],
  [",5", 0.5],
  ["12 34", undefined],
  ["1.23.4", undefined],
  ["1,2,3.4", undefined],
  ["1.234,5,6", undefined],
  ["3 st", undefined],
  ["", undefined],
  ["-", undefined],
  ["1e5", undefined],
  ["0x10", undefined],
];

for (const [text, number] of numbers) {
  Deno.test(`parseNumber() reads "${text}" as ${number}`, () => {
    assert.equal(parseNumber(text), number);
  });
}
