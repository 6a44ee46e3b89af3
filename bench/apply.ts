import { type BookingDatabase, createBookingDatabase } from "../tests/support/booking_database.ts";
import type { Tenant, Verdict } from "../tests/support/tenant.ts";
import { benchPage, type PageKind } from "./bench_page.ts";
import type { Benchmark, BenchmarkContext } from "./benchmark.ts";
import { databaseCpuMs } from "./database_cpu.ts";
import { withFreshDatabase } from "./fresh_database.ts";

/** Bookings per page, as the importer asks for them. */
const PAGE = 500;
/** Pages per measurement. */
const PAGES = 5;

interface Measurement {
  readonly name: string;
  readonly kind: PageKind;
  readonly verdict: string;
  /** Bookings a second that it should reach on a quiet machine with 2 cores. */
  readonly bar: number;
}

const measurements: readonly Measurement[] = [
  { name: "first import", kind: "first", verdict: "created", bar: 900 },
  { name: "unchanged", kind: "first", verdict: "unchanged", bar: 20_000 },
  { name: "one quantity changed", kind: "changed", verdict: "updated", bar: 2_000 },
];

/** `apply_snapshots` in pages of 500, called from one session on a Postgres with stock settings. */
export const applyBenchmark: Benchmark = {
  name: "apply",
  description: `apply_snapshots: ${PAGES} pages of ${PAGE} bookings of 12 products`,
  quick: true,
  defaultRounds: 3,
  figures: [
    ...measurements.map(({ name, bar }) =>
      ({ name, unit: "bookings/s", better: "higher", bar }) as const
    ),
    ...measurements.map(({ name }) =>
      ({ name: `${name}: page with sending`, unit: "ms", better: "lower" }) as const
    ),
    ...measurements.filter(({ verdict }) => verdict !== "unchanged").flatMap(({ name }) =>
      [
        { name: `${name}: database CPU`, unit: "ms/booking", better: "lower" },
        { name: `${name}: rows written`, unit: "rows/booking", better: "lower" },
      ] as const
    ),
  ],
  run: (context) =>
    withFreshDatabase(context, async (database) => {
      const db = createBookingDatabase(database);
      // One page that counts for nothing: functions are compiled, catalogues are read.
      await (await db.tenant()).apply(benchPage(0, 20, "first"));
      const tenant = await db.tenant();
      const values: Record<string, readonly number[]> = {};
      for (const measurement of measurements) {
        Object.assign(values, await measure(db, tenant, measurement, context));
      }
      return values;
    }),
};

async function measure(
  db: BookingDatabase,
  tenant: Tenant,
  { name, kind, verdict: wanted }: Measurement,
  { signal, turn }: BenchmarkContext,
): Promise<Record<string, readonly number[]>> {
  const rates: number[] = [];
  const roundTrips: number[] = [];
  const cpu: number[] = [];
  const rows: number[] = [];
  for (let number = 0; number < PAGES; number++) {
    signal.throwIfAborted();
    await turn(async () => {
      const snapshots = JSON.stringify(benchPage(number, PAGE, kind));
      const mark = await db.mark();
      const cpuBefore = await databaseCpuMs(db);
      const began = performance.now();
      const verdicts = await applyTimed(db, tenant, snapshots);
      roundTrips.push(performance.now() - began);
      cpu.push((await databaseCpuMs(db) - cpuBefore) / PAGE);
      const inside = Math.max(...verdicts.map(({ milliseconds }) => Number(milliseconds)));
      rates.push((1000 * PAGE) / inside);
      const wrong = verdicts.find(({ verdict }) => verdict !== wanted);
      if (wrong !== undefined || verdicts.length !== PAGE) {
        const got = wrong === undefined ? `${verdicts.length} verdicts` : JSON.stringify(wrong);
        throw new Error(`${name}: expected ${PAGE} times "${wanted}", got ${got}`);
      }
      const counts = await db.writtenSince(mark);
      const written = Object.values(counts).reduce((sum, count) => sum + count, 0);
      if (wanted === "unchanged" && written !== 0) {
        throw new Error(`${name}: expected no row to be written, but ${written} were`);
      }
      rows.push(written / PAGE);
    });
  }
  return {
    [name]: rates,
    [`${name}: page with sending`]: roundTrips,
    [`${name}: database CPU`]: cpu,
    [`${name}: rows written`]: rows,
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
