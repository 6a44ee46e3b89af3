import assert from "node:assert/strict";
import { formatComparison, formatReport, type MeasuredFigure, reachesBar } from "./report.ts";
import { pairRatios, summarize } from "./statistics.ts";

const machine = { checkout: "/here", postgres: "17.4", cores: 2 };
const benchmark = { name: "apply", description: "pages of 500", rounds: 3 };
const rate = { name: "first import", unit: "bookings/s", better: "higher", bar: 900 } as const;

function figure(values: readonly number[], fields: Partial<MeasuredFigure> = {}): MeasuredFigure {
  return { ...rate, ...summarize(values), ...fields };
}

Deno.test("reachesBar() compares the median in the figure's direction", () => {
  assert.equal(reachesBar(figure([100, 900, 2000])), true);
  assert.equal(reachesBar(figure([100, 899, 2000])), false);
  assert.equal(reachesBar(figure([100, 900, 2000], { better: "lower" })), true);
  assert.equal(reachesBar(figure([100, 901, 2000], { better: "lower" })), false);
});

Deno.test("formatReport() shows median, spread, unit and a missed bar", () => {
  const text = formatReport({
    ...machine,
    benchmarks: [{ ...benchmark, figures: [figure([812.4, 500, 1000])] }],
  });
  assert.equal(
    text,
    `Postgres 17.4, 2 cores

apply: pages of 500; 3 rounds
  figure        median  min–max   unit        bar
  ────────────  ──────  ────────  ──────────  ────────────
  first import     812  500–1000  bookings/s  ≥ 900 missed`,
  );
});

Deno.test("formatComparison() shows both medians and the ratio with its spread", () => {
  const [mine, yours] = [[1100, 400, 1200], [1000, 500, 1500]];
  const text = formatComparison({
    ...machine,
    against: "/there",
    benchmarks: [{
      ...benchmark,
      figures: [{
        ...rate,
        ours: summarize(mine),
        theirs: summarize(yours),
        ratio: pairRatios(mine, yours, "higher"),
      }],
    }],
  });
  assert.equal(
    text,
    `Postgres 17.4, 2 cores
this:  /here
other: /there
ratio: median of the pairs, and where it lies with 95 %; above 1, this checkout is better

apply: pages of 500; 3 rounds
  figure        this  other  ratio  95 %     unit
  ────────────  ────  ─────  ─────  ───────  ──────────
  first import  1100   1000    0.8  0.8–1.1  bookings/s`,
  );
});
