import { formatTable } from "../../local/format_table.ts";
import type { DisorderReport } from "./run_disorder.ts";

/** The reports as a table, then what was wrong, if anything was. */
export function printReport(reports: readonly DisorderReport[]): string {
  const rows = reports.map((report) => ({
    seed: report.seed,
    database: report.database,
    histories: report.histories,
    events: report.events,
    webhooks: report.webhooks.sent,
    refused: report.webhooks.refused,
    faults: faultsOf(report),
    killed: sumOf(report, /^killed/),
    seconds: report.seconds.toFixed(1),
    "wrong rows": report.wrong.length,
    "lost deliveries": report.lost.length,
    "double effects": report.doubled.length,
  }));
  const findings = reports.flatMap(({ seed, wrong, lost, doubled }) => [
    ...wrong.slice(0, 10).map((row) =>
      `seed ${seed}: ${row.booking}\n  ours   ${row.ours}\n  theirs ${row.theirs}`
    ),
    ...lost.slice(0, 10).map((text) => `seed ${seed}: lost ${text}`),
    ...doubled.slice(0, 10).map((text) => `seed ${seed}: twice or backwards ${text}`),
  ]);
  return [formatTable(rows), ...findings].join("\n");
}

/** What befell all runs together, most often first. */
export function printMisfortunes(reports: readonly DisorderReport[]): string {
  const all: Record<string, number> = {};
  for (const { misfortunes } of reports) {
    for (const [what, times] of Object.entries(misfortunes)) all[what] = (all[what] ?? 0) + times;
  }
  const sorted = Object.entries(all).toSorted(([, a], [, b]) => b - a);
  return sorted.map(([what, times]) => `${String(times).padStart(7)}  ${what}`).join("\n");
}

function faultsOf(report: DisorderReport): number {
  return sumOf(report, /^(webhooks|source): /);
}

function sumOf(report: DisorderReport, what: RegExp): number {
  return Object.entries(report.misfortunes)
    .reduce((sum, [name, times]) => what.test(name) ? sum + times : sum, 0);
}
