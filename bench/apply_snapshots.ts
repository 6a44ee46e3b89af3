import { openPostgres } from "../local/database/open_postgres.ts";
import { readMigrations } from "../local/database/migrate.ts";
import { prepareDatabase } from "../local/database/prepare.ts";
import { withThrowawayCluster } from "../local/database/throwaway_cluster.ts";
import { formatTable } from "../local/format_table.ts";
import { projectPaths } from "../local/paths.ts";
import { type BookingDatabase, createBookingDatabase } from "../tests/support/booking_database.ts";
import type { Tenant, Verdict } from "../tests/support/tenant.ts";
import { benchPage, type PageKind } from "./bench_page.ts";
import { countStatements } from "./count_statements.ts";
import { median } from "./median.ts";

/** Bookings per page, as the importer asks for them. */
const PAGE = 500;
/** Pages per measurement; the median counts. */
const PAGES = 7;

interface Measurement {
  readonly name: string;
  readonly kind: PageKind;
  /** Bookings a second that it must reach on a stock Postgres. */
  readonly bar: number;
}

const measurements: readonly Measurement[] = [
  { name: "first import", kind: "first", bar: 900 },
  { name: "unchanged re-import", kind: "first", bar: 20_000 },
  { name: "one quantity changed in each", kind: "changed", bar: 2_000 },
];

if (import.meta.main) Deno.exit(await withThrowawayCluster(bench) ? 0 : 1);

/** Measures `apply_snapshots` on a cluster of its own with stock settings; true if all bars hold. */
export async function bench(url: string): Promise<boolean> {
  const database = await openPostgres(url, { connections: 2 });
  try {
    await prepareDatabase(database, await readMigrations(projectPaths().migrations));
    const db = createBookingDatabase(database);
    const [about] = await db.query<{ version: string }>("select version()");
    console.log(`${about?.version}, stock settings; ${PAGES} pages of ${PAGE} bookings, each of`);
    console.log("12 products (a package of 3 components), 2 attachments, 3 phases\n");
    // One page that counts for nothing: functions are compiled, catalogues are read.
    await (await db.tenant()).apply(benchPage(0, 20, "first"));
    const tenant = await db.tenant();
    const rows = [];
    for (const measurement of measurements) rows.push(await measure(db, tenant, measurement));
    console.log(formatTable(rows.map(({ row }) => row)));
    const constant = await checkStatements(db, url);
    return constant && rows.every(({ passed }) => passed);
  } finally {
    await database.close();
  }
}

async function measure(db: BookingDatabase, tenant: Tenant, { name, kind, bar }: Measurement) {
  const inside: number[] = [];
  const roundTrips: number[] = [];
  let written = 0;
  const again = name.startsWith("unchanged");
  const wanted = again ? "unchanged" : kind === "first" ? "created" : "updated";
  for (let number = 0; number < PAGES; number++) {
    const snapshots = JSON.stringify(benchPage(number, PAGE, kind));
    const mark = await db.mark();
    const began = performance.now();
    const verdicts = await applyTimed(db, tenant, snapshots);
    roundTrips.push(performance.now() - began);
    inside.push(Math.max(...verdicts.map(({ milliseconds }) => Number(milliseconds))));
    const wrong = verdicts.find(({ verdict }) => verdict !== wanted);
    if (wrong !== undefined) throw new Error(`${name}: ${JSON.stringify(wrong)}`);
    const counts = await db.writtenSince(mark);
    written += Object.values(counts).reduce((sum, count) => sum + count, 0);
  }
  const rate = (1000 * PAGE) / median(inside);
  const passed = rate >= bar && (!again || written === 0);
  return {
    passed,
    row: {
      "what": name,
      "ms inside": Math.round(median(inside) * 10) / 10,
      "best": Math.round(Math.min(...inside) * 10) / 10,
      "worst": Math.round(Math.max(...inside) * 10) / 10,
      "ms with sending": Math.round(median(roundTrips) * 10) / 10,
      "bookings/s": Math.round(rate),
      "bar": bar,
      "rows/booking": Math.round((100 * written) / (PAGE * PAGES)) / 100,
      "": passed ? "ok" : "BELOW",
    },
  };
}

/** Applies a page and has Postgres say how long that took it, arguments read and before commit. */
function applyTimed(
  db: BookingDatabase,
  tenant: Tenant,
  snapshots: string,
): Promise<readonly (Verdict & { readonly milliseconds: number })[]> {
  return db.database.transaction(async (sql) => {
    await sql.query("set local role service_role");
    return await sql.query(
      `select v.external_id, v.verdict, v.error,
         (extract(epoch from clock_timestamp() - statement_timestamp()) * 1000)::float8 as milliseconds
       from public.apply_snapshots($1, 'eventflow', $2) v`,
      [tenant.id, snapshots],
    );
  });
}

/** That a page of 500 takes no more statements than a page of 5: nothing is looped over. */
async function checkStatements(db: BookingDatabase, url: string): Promise<boolean> {
  const { id } = await db.tenant();
  const counted = [];
  for (const size of [5, 50, 500]) {
    const calls = [["first", "first"], ["unchanged", "first"], ["changed", "changed"]] as const;
    for (const [call, kind] of calls) {
      const counts = await countStatements(url, id, benchPage(100 + size, size, kind));
      counted.push({ call, "bookings in the page": size, ...counts });
    }
  }
  console.log("\nWhat one call executes (auto_explain, nested statements):");
  console.log(formatTable(counted));
  const constant =
    new Set(counted.map(({ call, statements }) => `${call} ${statements}`)).size === 3;
  console.log(constant ? "statements: constant, ok" : "statements: they GROW with the page");
  return constant;
}
