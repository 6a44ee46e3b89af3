import assert from "node:assert/strict";
import { betterRatio, median, pairRatios, summarize } from "./statistics.ts";

Deno.test("median() is the middle of an odd count, sorted by size", () => {
  assert.equal(median([10, 9, 100]), 10);
});

Deno.test("median() is the mean of the two in the middle of an even count", () => {
  assert.equal(median([4, 1, 100, 2]), 3);
});

Deno.test("median() of one value is that value, of none NaN", () => {
  assert.deepEqual([median([7]), median([])], [7, NaN]);
});

Deno.test("summarize() has median, spread and the values in the order of the rounds", () => {
  assert.deepEqual(summarize([3, 1, 2]), {
    median: 2,
    min: 1,
    max: 3,
    interval: [1, 3],
    values: [3, 1, 2],
  });
});

// The ranks stand in the usual tables of the sign test, such as Conover's.
for (
  const [count, low, high] of [
    [1, 1, 1],
    [5, 1, 5],
    [6, 1, 6],
    [8, 1, 8],
    [9, 2, 8],
    [15, 4, 12],
    [30, 10, 21],
    [2000, 956, 1045],
  ] as const
) {
  Deno.test(`summarize() of ${count} values has the median between ranks ${low} and ${high}`, () => {
    const values = Array.from({ length: count }, (_, index) => count - index);
    assert.deepEqual(summarize(values).interval, [low, high]);
  });
}

Deno.test("summarize() refuses no values", () => {
  assert.throws(() => summarize([]), RangeError);
});

Deno.test("betterRatio() is above 1 for the better one, whichever way the figure goes", () => {
  assert.equal(betterRatio(200, 100, "higher"), 2);
  assert.equal(betterRatio(100, 200, "lower"), 2);
});

Deno.test("betterRatio() of equal values is 1, even of zeros", () => {
  assert.deepEqual([betterRatio(0, 0, "lower"), betterRatio(5, 5, "higher")], [1, 1]);
});

Deno.test("pairRatios() takes the median of the pairs' ratios, not the ratio of the medians", () => {
  // The machine was three times slower during the second pair: both rounds of it.
  const { median, min, max } = pairRatios([110, 40, 120], [100, 30, 100], "higher");
  assert.deepEqual([median, min, max], [1.2, 1.1, 40 / 30]);
});

Deno.test("pairRatios() refuses rounds without a partner", () => {
  assert.throws(() => pairRatios([1, 2], [1], "higher"), RangeError);
});
