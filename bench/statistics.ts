/** Whether a larger or a smaller value of a figure is the better one. */
export type Better = "higher" | "lower";

/** The values of one figure over all rounds, and what they come to. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** One value per round, in the order of the rounds. */
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
    values: [...values],
  };
}

/** How many times better `ours` is than `theirs`: above 1 is better, whichever way the figure goes. */
export function betterRatio(ours: number, theirs: number, better: Better): number {
  if (ours === theirs) return 1;
  return better === "higher" ? ours / theirs : theirs / ours;
}

/**
 * The ratio of each pair of rounds, then their median and spread. Both rounds of a pair ran right
 * after each other, so a machine that slows down for a minute slows both, and the ratio stays.
 */
export function pairRatios(
  ours: readonly number[],
  theirs: readonly number[],
  better: Better,
): Summary {
  if (ours.length !== theirs.length) {
    throw new RangeError(`Cannot pair rounds: ${ours.length} here, ${theirs.length} there`);
  }
  return summarize(ours.map((value, round) => betterRatio(value, theirs[round] ?? NaN, better)));
}
