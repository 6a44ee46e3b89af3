import type { InvalidBooking, Page } from "../source/booking_source.ts";
import type { Verdict } from "./booking_store.ts";

/** A booking that the run could not take; it blocks nothing (invariant 12). */
export interface RefusedBooking {
  readonly external_id: string | null;
  readonly code: string | null;
  readonly field: string | null;
}

/** What a run did so far, over all calls that it took. */
export interface RunCounters {
  readonly pages: number;
  /** Bookings that were read, the refused ones too; a booking that came twice counts twice. */
  readonly bookings: number;
  /** How often each verdict was given; `invalid` are the refused ones. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** The first 50. */
  readonly refused: readonly RefusedBooking[];
  /** Of the source's answers. */
  readonly bytes_read: number;
  /** Waiting for the source, reading and decoding its pages; part of it while a page is applied. */
  readonly source_ms: number;
  readonly database_ms: number;
  /** Calls that the run took. */
  readonly calls: number;
  /** Greatest V8 heap in use that was seen, sampled; null where the platform does not say. */
  readonly peak_heap_bytes: number | null;
  /** CPU time of the process; null where the platform does not say. */
  readonly cpu_ms: number | null;
  /** The most between two checkpoints. */
  readonly max_page_cpu_ms: number | null;
}

const MAX_REFUSED = 50;

/** A run that has not begun. */
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

/** Counters as they were stored; what is missing or not a number counts from nothing. */
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

/** With a page that was read; what its decoder refused is `invalid` already. */
export function countPage(counters: RunCounters, page: Page, sourceMs: number): RunCounters {
  const refused = page.invalid.length === 0 ? counters : addVerdicts(
    counters,
    page.invalid.map((invalid) => ({ verdict: "invalid", ...refusalOf(invalid) })),
  );
  return {
    ...refused,
    pages: counters.pages + 1,
    bookings: counters.bookings + page.snapshots.length + page.invalid.length,
    bytes_read: counters.bytes_read + (page.bytes ?? 0),
    source_ms: counters.source_ms + Math.round(sourceMs),
  };
}

/** With the verdicts of a page that was applied: what `checkpoint_run` has stored as well. */
export function countVerdicts(counters: RunCounters, verdicts: readonly Verdict[]): RunCounters {
  return addVerdicts(
    counters,
    verdicts.map(({ externalId, verdict, error }) => {
      const { code, field } = Object(error) as Partial<RefusedBooking>;
      return { verdict, external_id: externalId, code: code ?? null, field: field ?? null };
    }),
  );
}

/** Two runs, or two parts of one, as one. */
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
