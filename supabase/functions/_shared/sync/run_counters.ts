import type { InvalidBooking, Page } from "../source/booking_source.ts";
import type { Verdict } from "./booking_store.ts";

/** A booking that the run could not apply (rule: one booking stops nothing). */
export interface RefusedBooking {
  readonly external_id: string | null;
  readonly code: string | null;
  readonly field: string | null;
}

/** What a run did so far, over all its calls. */
export interface RunCounters {
  readonly pages: number;
  /** Bookings that were read, including refused ones; a booking that came twice counts twice. */
  readonly bookings: number;
  /** How often each verdict was given; refused bookings are `invalid`. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** The first 50. */
  readonly refused: readonly RefusedBooking[];
  /** Of the source's answers. */
  readonly bytes_read: number;
  /**
   * Waiting for the source, reading and decoding its pages. It overlaps with applying the page
   * before.
   */
  readonly source_ms: number;
  readonly database_ms: number;
  /** Calls of import-bookings that worked on the run. */
  readonly calls: number;
  /** Highest sampled V8 heap in use; null if the platform does not tell. */
  readonly peak_heap_bytes: number | null;
  /** CPU time of the process; null if the platform does not tell. */
  readonly cpu_ms: number | null;
  /** Most CPU time between two checkpoints. */
  readonly max_page_cpu_ms: number | null;
}

const MAX_REFUSED = 50;

/** The counters of a new run. */
export const NO_COUNTERS: RunCounters = {
  pages: 0,
  bookings: 0,
  verdicts: {},
  refused: [],
  bytes_read: 0,
  source_ms: 0,
  database_ms: 0,
  calls: 0,
  peak_heap_bytes: null,
  cpu_ms: null,
  max_page_cpu_ms: null,
};

/** Stored counters; what is missing or not a number starts at its initial value. */
export function readCounters(stored: unknown): RunCounters {
  const found = Object(stored) as Record<string, unknown>;
  const counters: Record<string, unknown> = { ...NO_COUNTERS };
  for (const [name, value] of Object.entries(NO_COUNTERS)) {
    if ((typeof value === "number" || value === null) && typeof found[name] === "number") {
      counters[name] = found[name];
    }
  }
  const verdicts = Object.entries(Object(found["verdicts"]) as Record<string, unknown>)
    .filter((entry): entry is [string, number] => typeof entry[1] === "number");
  const refused = Array.isArray(found["refused"]) ? found["refused"] as RefusedBooking[] : [];
  return { ...counters, verdicts: Object.fromEntries(verdicts), refused } as unknown as RunCounters;
}

/** Adds a page that was read; bookings that the decoder refused count as `invalid`. */
export function countPage(counters: RunCounters, page: Page, sourceMs: number): RunCounters {
  const refused = page.invalid.length === 0 ? counters : addVerdicts(
    counters,
    page.invalid.map((invalid) => ({ verdict: "invalid", ...refusalOf(invalid) })),
  );
  const unchanged = page.unchanged?.length ?? 0;
  const verdicts = unchanged === 0 ? refused.verdicts : {
    ...refused.verdicts,
    unchanged: (refused.verdicts["unchanged"] ?? 0) + unchanged,
  };
  return {
    ...refused,
    verdicts,
    pages: counters.pages + 1,
    bookings: counters.bookings + page.snapshots.length + page.invalid.length + unchanged,
    bytes_read: counters.bytes_read + (page.bytes ?? 0),
    source_ms: counters.source_ms + Math.round(sourceMs),
  };
}

/** Adds the verdicts of a page that was applied, as `checkpoint_run` has stored them. */
export function countVerdicts(counters: RunCounters, verdicts: readonly Verdict[]): RunCounters {
  return addVerdicts(
    counters,
    verdicts.map(({ externalId, verdict, error }) => {
      const { code, field } = Object(error) as Partial<RefusedBooking>;
      return { verdict, external_id: externalId, code: code ?? null, field: field ?? null };
    }),
  );
}

/** The sum of two runs, or of two parts of one. */
export function addCounters(a: RunCounters, b: RunCounters): RunCounters {
  const most = (x: number | null, y: number | null): number | null =>
    x === null || y === null ? x ?? y : Math.max(x, y);
  const verdicts = { ...a.verdicts };
  for (const [name, count] of Object.entries(b.verdicts)) {
    verdicts[name] = (verdicts[name] ?? 0) + count;
  }
  return {
    pages: a.pages + b.pages,
    bookings: a.bookings + b.bookings,
    verdicts,
    refused: [...a.refused, ...b.refused].slice(0, MAX_REFUSED),
    bytes_read: a.bytes_read + b.bytes_read,
    source_ms: a.source_ms + b.source_ms,
    database_ms: a.database_ms + b.database_ms,
    calls: a.calls + b.calls,
    peak_heap_bytes: most(a.peak_heap_bytes, b.peak_heap_bytes),
    cpu_ms: a.cpu_ms === null || b.cpu_ms === null ? a.cpu_ms ?? b.cpu_ms : a.cpu_ms + b.cpu_ms,
    max_page_cpu_ms: most(a.max_page_cpu_ms, b.max_page_cpu_ms),
  };
}

function addVerdicts(
  counters: RunCounters,
  given: readonly (RefusedBooking & { readonly verdict: string })[],
): RunCounters {
  const verdicts: Record<string, number> = { ...counters.verdicts };
  for (const { verdict } of given) verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
  const refused = given.filter(({ verdict }) => verdict === "invalid")
    .map(({ external_id, code, field }) => ({ external_id, code, field }));
  return {
    ...counters,
    verdicts,
    refused: [...counters.refused, ...refused].slice(0, MAX_REFUSED),
  };
}

function refusalOf({ external_id, code, field }: InvalidBooking): RefusedBooking {
  return { external_id: external_id ?? null, code, field };
}
