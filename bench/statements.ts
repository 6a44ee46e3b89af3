import { createBookingDatabase } from "../tests/support/booking_database.ts";
import { benchPage } from "./bench_page.ts";
import type { Benchmark } from "./benchmark.ts";
import { countStatements } from "./count_statements.ts";
import { withFreshDatabase } from "./fresh_database.ts";

const calls = [
  { name: "first import", kind: "first" },
  { name: "unchanged", kind: "first" },
  { name: "one quantity changed", kind: "changed" },
] as const;

/**
 * What one call of `apply_snapshots` executes. A page of 500 that takes more statements than a page
 * of 5 is an error: something is looped over.
 */
export const statementsBenchmark: Benchmark = {
  name: "statements",
  description: "statements that one apply_snapshots runs: the same for 5, 50 and 500 bookings",
  quick: true,
  // The count does not depend on the machine.
  defaultRounds: 1,
  figures: calls.map(({ name }) => ({ name, unit: "statements", better: "lower" })),
  run: (context) =>
    withFreshDatabase(context, async (database, url) => {
      const db = createBookingDatabase(database);
      const { id } = await db.tenant();
      const counted: Record<string, number> = {};
      for (const size of [5, 50, 500]) {
        for (const { name, kind } of calls) {
          context.signal.throwIfAborted();
          const page = benchPage(100 + size, size, kind);
          const { statements } = await context.turn(() => countStatements(url, id, page));
          counted[name] ??= statements;
          if (counted[name] !== statements) {
            throw new Error(
              `${name}: ${counted[name]} statements for 5 bookings, ${statements} for ${size}`,
            );
          }
        }
      }
      return Object.fromEntries(Object.entries(counted).map(([name, count]) => [name, [count]]));
    }),
};
