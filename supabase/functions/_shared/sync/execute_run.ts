import { type Sleep, sleepFor } from "../clock.ts";
import type { BookingSource } from "../source/booking_source.ts";
import { DatabaseUnavailable } from "../errors.ts";
import { TimeUp, within } from "../within.ts";
import type { HoldAlarm } from "./hold_alarm.ts";
import type { Sources } from "./read_booking.ts";
import type { RunCheckpoint } from "./run_checkpoint.ts";
import type { RunCounters } from "./run_counters.ts";
import { readFault, type RunFault } from "./run_faults.ts";
import { createPageReader, type PageReader, type PageTurn } from "./run_pages.ts";
import { createRunProgress, type RunProgress } from "./run_progress.ts";
import { type OpenRun, RunLost, RunPaused, type RunStore } from "./run_store.ts";

/** What runs work with. */
export interface RunDeps {
  readonly sources: Sources;
  readonly runs: RunStore;
  /** Called when the brake holds changes. */
  readonly alarm: HoldAlarm;
  /** For durations, in milliseconds. */
  readonly now: () => number;
  /** For instants that are stored, in milliseconds since the epoch. Default `Date.now`. */
  readonly wall?: () => number;
  readonly sleep?: Sleep;
  /** Milliseconds of CPU after which a call stops at a checkpoint; absent: no limit. */
  readonly cpuBudgetMs?: number | undefined;
}

/** What one call made of a run. */
export interface RunResult {
  readonly run: OpenRun;
  readonly completed: boolean;
  readonly counters: RunCounters;
  /** Why we do not continue the run. */
  readonly stopped?: "budget" | "fault" | "failed" | "running" | "paused";
  /** What went wrong, if the run stopped or failed because of a fault. */
  readonly fault?: RunFault;
}

/**
 * CPU time of a run per time spent on parsing and decoding, which can be measured on every
 * platform. About half of the work is serializing the page again.
 */
const CPU_PER_DECODING = 2;
/** How often a run shows that it is alive; after 60 s of silence its worker counts as dead. */
const BEAT_MS = 20_000;
/**
 * How often in a row a run may stop at the same page, about an hour, before it fails; then the next
 * one starts again from the cursor. A full run keeps its checkpoint and goes on waiting.
 */
const MAX_STALLS = 10;

/**
 * Continues an open run from its checkpoint. The next page is read while the last one is applied,
 * at most one page ahead; a page and its checkpoint are one transaction. The run stops at a
 * checkpoint before `deadline` (milliseconds of `now()`) or at a temporary fault, and fails at a
 * permanent one; what was applied stays in either case (rule: work is bounded and resumes). Throws
 * `DatabaseUnavailable` if the database goes away; then the run waits for its lease to expire.
 */
export async function executeRun(
  deps: RunDeps,
  run: OpenRun,
  source: BookingSource,
  deadline: number,
): Promise<RunResult> {
  const ended = new AbortController();
  const progress = createRunProgress(deps, run);
  const read = createPageReader({
    source,
    connection: run,
    mode: run.mode,
    parameters: run.parameters,
    deadline,
    // A reconcile compares with the rows, whatever has changed.
    ...(run.mode === "reconcile" ? {} : {
      findKnown: (rawHashes, fetchedAt) => deps.runs.passUnchanged(run, rawHashes, fetchedAt),
    }),
    now: deps.now,
    sleep: deps.sleep ?? sleepFor,
    signal: ended.signal,
  });
  const heart = setInterval(() => {
    progress.beat(BEAT_MS).catch((error) => ended.abort(error));
  }, BEAT_MS / 4);
  try {
    const whole = await readAndApply(deps, progress, read, deadline);
    if (whole) await progress.finish("completed");
    else await progress.finish("stopped");
    return { run, completed: whole, counters: progress.counters(), ...(!whole && budget) };
  } catch (error) {
    return await giveUp(run, progress, error, (deps.wall ?? Date.now)());
  } finally {
    clearInterval(heart);
    ended.abort(new RunLost("Cannot continue: the call has ended."));
    progress.stop();
  }
}

const budget = { stopped: "budget" } as const;

/** True if the last page was applied, false if the time ended before. */
async function readAndApply(
  deps: RunDeps,
  progress: RunProgress,
  read: PageReader,
  deadline: number,
): Promise<boolean> {
  const { now, cpuBudgetMs = Infinity } = deps;
  let busyMs = 0;
  let slowest = 0;

  /** The next page within the remaining time, and the milliseconds it took. */
  async function turn(checkpoint: RunCheckpoint): Promise<readonly [PageTurn, number]> {
    const began = now();
    const page = await within(deadline - began, () => read(checkpoint));
    busyMs += page.page.busyMs ?? 0;
    return [page, now() - began];
  }
  function timeFor(pages: number): boolean {
    // Other requests share the process: they use its CPU and they delay decoding. So the lesser
    // counts.
    const cpuMs = Math.min(busyMs * CPU_PER_DECODING, progress.cpuMs() ?? Infinity);
    return now() + pages * slowest * 1.2 < deadline && cpuMs < cpuBudgetMs;
  }

  if (progress.checkpoint().done) return true;
  let applied = 0;
  let ahead: ReturnType<typeof turn> | undefined = turn(progress.checkpoint());
  try {
    for (;;) {
      const [page, sourceMs] = await ahead;
      const after = progress.after(page);
      ahead = !after.done && (applied === 0 || timeFor(2)) ? turn(after) : undefined;
      ahead?.catch(() => {}); // it is awaited once this page is applied
      const began = now();
      await progress.apply(page.page, sourceMs, after);
      slowest = Math.max(slowest, now() - began);
      applied++;
      if (after.done) return true;
      if (ahead === undefined || !timeFor(1)) return false;
    }
  } catch (error) {
    // If something was applied, the budget has ended; if nothing was, the source is slow.
    if (error instanceof TimeUp && applied > 0) return false;
    throw error;
  }
}

/** Records what went wrong. The run stays open if that may pass. */
async function giveUp(
  run: OpenRun,
  progress: RunProgress,
  error: unknown,
  instant: number,
): Promise<RunResult> {
  const result = { run, completed: false, counters: progress.counters() };
  if (error instanceof RunLost) return { ...result, stopped: "running" };
  if (error instanceof RunPaused) {
    await progress.finish("stopped").catch(() => {});
    return { ...result, stopped: "paused" };
  }
  if (error instanceof DatabaseUnavailable) throw error;
  const fault = readFault(error);
  if (fault === undefined) {
    // A fault of ours: retrying every minute would not fix it.
    await progress.finish("failed", { code: "internal_error" }).catch(() => {});
    throw error;
  }
  const stalls = progress.checkpoint().stalls + 1;
  const failed = !fault.passing || stalls >= MAX_STALLS && run.mode !== "full";
  const wait = fault.retryAfterMs ?? backoff(stalls);
  try {
    await progress.finish(failed ? "failed" : "stopped", fault.note, {
      stalls,
      retry_at: new Date(instant + wait).toISOString(),
    });
  } catch (lost) {
    if (lost instanceof RunLost) return { ...result, stopped: "running" };
    throw lost;
  }
  return { ...result, stopped: failed ? "failed" : "fault", fault };
}

/** 15 s, doubling up to 10 minutes. */
function backoff(stalls: number): number {
  return Math.min(15_000 * 2 ** Math.min(stalls - 1, 6), 600_000);
}
