/** Whether a larger or a smaller value of a figure is the better one. */
export type Better = "higher" | "lower";

/** The values of one figure over all rounds, and what they come to. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Where the median of more such values lies with 95 %; fewer than 6 values: min and max. */
  readonly interval: readonly [number, number];
  /** In the order in which they were measured. */
  readonly values: readonly number[];
}

/** The middle of some numbers, of an even count the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half];
  if (upper === undefined) return NaN;
  const lower = sorted[half - 1];
  return sorted.length % 2 === 1 || lower === undefined ? upper : (lower + upper) / 2;
}

/** Median and spread of a figure's values; no values are a `RangeError`. */
export function summarize(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError("Cannot summarize: there are no values");
  return {
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    interval: medianInterval(values),
    values: [...values],
  };
}

/**
 * The 95 % confidence interval of the median by the sign test: it takes for granted only that the
 * values are independent, not how they are distributed.
 */
function medianInterval(values: readonly number[]): readonly [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const cut = outsideInterval(sorted.length);
  return [sorted[cut] ?? NaN, sorted[sorted.length - 1 - cut] ?? NaN];
}

/** How many of the smallest values, and of the largest, lie outside the median's interval. */
function outsideInterval(count: number): number {
  // 0.5 ** count would be 0; the normal approximation is exact enough there.
  if (count > 1000) return Math.floor((count - 1.96 * Math.sqrt(count)) / 2) - 1;
  let probability = 0.5 ** count;
  let tail = probability;
  let cut = 0;
  for (;;) {
    // `tail` is how likely it is that at most `cut` values lie below the true median.
    probability *= (count - cut) / (cut + 1);
    tail += probability;
    if (2 * tail > 0.05) return cut;
    cut++;
  }
}

/** How many times better `ours` is than `theirs`: above 1 is better, whichever way the figure goes. */
export function betterRatio(ours: number, theirs: number, better: Better): number {
  if (ours === theirs) return 1;
  return better === "higher" ? ours / theirs : theirs / ours;
}

/**
 * The ratio of each pair of values, then their median and spread. Both values of a pair were measured
 * right after each other, so a machine that slows down slows both, and the ratio stays.
 */
export function pairRatios(
  ours: readonly number[],
  theirs: readonly number[],
  better: Better,
): Summary {
  if (ours.length !== theirs.length) {
    throw new RangeError(`Cannot pair values: ${ours.length} here, ${theirs.length} there`);
  }
  return summarize(ours.map((value, index) => betterRatio(value, theirs[index] ?? NaN, better)));
}
