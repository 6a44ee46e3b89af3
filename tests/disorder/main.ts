import { withThrowawayCluster } from "../../local/database/throwaway_cluster.ts";
import { printMisfortunes, printReport } from "./print_report.ts";
import { type DisorderReport, runDisorder } from "./run_disorder.ts";

/**
 * `deno task test:disorder`: SEED (`7`, or `1-10`) and EVENTS per seed. On PGlite; with
 * `DATABASE_URL` on that server, with `POSTGRES=true` on a server of its own. Exits 1 if a single
 * row is wrong, a delivery lost or an effect doubled.
 */
async function main(): Promise<number> {
  const events = Number(Deno.env.get("EVENTS") ?? 2_000);
  const [first = 1, last = first] = (Deno.env.get("SEED") ?? "1").split("-").map(Number);
  const reports: DisorderReport[] = [];
  for (let seed = first; seed <= last; seed++) {
    const report = await runDisorder({ seed, events, onProgress: console.error });
    reports.push(report);
    console.log(printReport([report]));
  }
  console.log(`\n${printReport(reports)}\n\n${printMisfortunes(reports)}`);
  const clean = reports.every(({ wrong, lost, doubled }) =>
    wrong.length + lost.length + doubled.length === 0
  );
  return clean ? 0 : 1;
}

const own = Deno.env.get("POSTGRES") === "true" && !Deno.env.get("DATABASE_URL");
const code = own
  ? await withThrowawayCluster((url) => {
    Deno.env.set("DATABASE_URL", url);
    return main();
  })
  : await main();
Deno.exit(code);
