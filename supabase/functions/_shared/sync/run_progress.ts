import type { Page } from "../source/booking_source.ts";
import { type Sleep, sleepFor } from "../clock.ts";
import type { Snapshot } from "../booking/snapshot.ts";
import { DatabaseUnavailable } from "../errors.ts";
import type { HoldAlarm } from "./hold_alarm.ts";
import { passPage, readCheckpoint, type RunCheckpoint } from "./run_checkpoint.ts";
import { countPage, countVerdicts, readCounters, type RunCounters } from "./run_counters.ts";
import { startMeter } from "./run_meter.ts";
import type { PageTurn } from "./run_pages.ts";
import { type OpenRun, type RunEnd, RunLost, type RunStore } from "./run_store.ts";
import { splitPage } from "./split_work.ts";

/** How far a run is, here and in the database. */
export interface RunProgress {
  readonly checkpoint: () => RunCheckpoint;
  /** The counters, including the cost of this call so far. */
  readonly counters: () => RunCounters;
  /** CPU milliseconds of the process since this call began; null if the platform does not tell. */
  readonly cpuMs: () => number | null;
  /** The checkpoint after a page is applied. */
  readonly after: (turn: PageTurn) => RunCheckpoint;
  /**
   * Applies a page that took `sourceMs` to read, in several transactions if it is large. The last
   * one moves the checkpoint.
   */
  readonly apply: (page: Page, sourceMs: number, after: RunCheckpoint) => Promise<void>;
  /** Shows that the run is alive, unless the last call was less than `quietMs` ago. */
  readonly beat: (quietMs: number) => Promise<void>;
  /** Ends or stops the run. Throws `RunLost` if it is no longer ours. */
  readonly finish: (
    status: RunEnd["status"],
    error?: RunEnd["error"],
    changes?: Partial<RunCheckpoint>,
  ) => Promise<void>;
  /** Stops measuring. */
  readonly stop: () => void;
}

/** Pauses before repeating a call that the database could not answer, in milliseconds. */
const AGAIN_AFTER = [500, 2_000];
/** After a failure that took this long a call is not repeated; drain tries again later. */
const AGAIN_WITHIN = 20_000;

/** Tracks one call of a run. Its calls to the database never overlap. */
export function createRunProgress(
  deps: {
    readonly runs: RunStore;
    readonly now: () => number;
    readonly alarm: HoldAlarm;
    readonly sleep?: Sleep;
  },
  run: OpenRun,
): RunProgress {
  const { runs, now } = deps;
  const { runId, leaseToken, organizationId, source } = run;
  const meter = startMeter();
  let checkpoint = begin(run);
  let counters: RunCounters = readCounters(run.counters);
  counters = { ...counters, calls: counters.calls + 1 };
  const cpuBefore = counters.cpu_ms;
  let cpuAtPage = 0;
  let lastCall = now();
  let queue: Promise<unknown> = Promise.resolve();

  /** Runs one after the other, so that a sign of life cannot restore an older checkpoint. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = queue.then(work);
    queue = result.catch(() => {});
    return result;
  }

  /** Makes a call that may be repeated: what was applied is `unchanged` the second time. */
  async function send<T>(work: () => Promise<T>): Promise<T> {
    const began = now();
    for (let attempt = 0;; attempt++) {
      try {
        const result = await work();
        lastCall = now();
        counters = { ...counters, database_ms: counters.database_ms + Math.round(now() - began) };
        return result;
      } catch (error) {
        const pause = AGAIN_AFTER[attempt];
        const again = error instanceof DatabaseUnavailable && now() - began < AGAIN_WITHIN;
        if (!again || pause === undefined) throw error;
        await (deps.sleep ?? sleepFor)(pause);
      }
    }
  }

  function measured(): RunCounters {
    const { cpuMs, peakHeapBytes } = meter.read();
    return {
      ...counters,
      cpu_ms: cpuMs === null ? cpuBefore : (cpuBefore ?? 0) + cpuMs,
      peak_heap_bytes: greater(counters.peak_heap_bytes, peakHeapBytes),
    };
  }

  async function save(
    snapshots: readonly Snapshot[],
    sightedIds: readonly string[],
    next: RunCheckpoint,
  ): Promise<void> {
    const verdicts = await send(() =>
      runs.checkpointRun({
        ...{ runId, leaseToken, snapshots, sightedIds },
        checkpoint: next,
        counters: measured(),
      })
    );
    checkpoint = next;
    counters = countVerdicts(counters, verdicts);
    const held = verdicts.filter(({ verdict }) => verdict === "held").length;
    if (held > 0) deps.alarm({ organizationId, source, bookings: held });
  }

  return {
    checkpoint: () => checkpoint,
    counters: measured,
    cpuMs: () => meter.read().cpuMs,
    after: (turn) => passPage(checkpoint, turn),
    apply: (page, sourceMs, after) =>
      inTurn(async () => {
        const before = counters;
        const { cpuMs } = meter.read();
        const pageCpu = cpuMs === null ? null : cpuMs - cpuAtPage;
        cpuAtPage = cpuMs ?? 0;
        counters = {
          ...countPage(counters, page, sourceMs),
          max_page_cpu_ms: greater(counters.max_page_cpu_ms, pageCpu),
        };
        try {
          const parts = splitPage(page.snapshots);
          for (const [index, part] of parts.entries()) {
            const last = index === parts.length - 1;
            await save(part, last ? page.ids : [], last ? after : checkpoint);
          }
        } catch (error) {
          counters = before; // the page will be read and counted once more
          throw error;
        }
      }),
    beat: (quietMs) =>
      inTurn(async () => {
        if (now() - lastCall >= quietMs) await save([], [], checkpoint);
      }),
    finish: (status, error = null, changes = {}) =>
      inTurn(async () => {
        checkpoint = { ...checkpoint, ...changes };
        const end = { runId, leaseToken, status, error, checkpoint, counters: measured() };
        if (!await send(() => runs.finishRun(end))) {
          throw new RunLost("Cannot end the run: another worker has taken it over.");
        }
      }),
    stop: meter.stop,
  };
}

/** The checkpoint at the beginning of a call. A new run records from when it reads. */
function begin(run: OpenRun): RunCheckpoint {
  const checkpoint = readCheckpoint(run.checkpoint);
  const isNew = checkpoint.cursor === null && checkpoint.pages.length === 0;
  const cursor = run.mode === "incremental" ? run.cursor : null;
  return isNew && !checkpoint.done
    ? { ...checkpoint, since: run.parameters.since ?? cursor }
    : checkpoint;
}

function greater(a: number | null, b: number | null): number | null {
  return a === null || b === null ? a ?? b : Math.max(a, b);
}
