import assert from "node:assert/strict";
import { printReport } from "./print_report.ts";
import { runDisorder } from "./run_disorder.ts";

Deno.test({
  name: "every row equals its source in the end, whatever befell webhooks, reads and functions",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(): Promise<void> {
    const events = Number(Deno.env.get("EVENTS") ?? 300);
    const report = await runDisorder({ seed: Number(Deno.env.get("SEED") ?? 1), events });
    const table = printReport([report]);
    const { wrong, lost, doubled } = report;
    assert.deepEqual([wrong.length, lost.length, doubled.length], [0, 0, 0], table);
  },
});
