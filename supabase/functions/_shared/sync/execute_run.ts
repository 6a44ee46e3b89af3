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
  /** Told when the brake holds changes. */
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
  /** Why the run is not being gone on with by us. */
  readonly stopped?: "budget" | "fault" | "failed" | "running" | "paused";
  /** What went wrong, for a run that stopped or failed by a fault. */
  readonly fault?: RunFault;
}

/**
 * What the CPU of a run is to the time that parsing and decoding take, which can be measured on every
 * platform: about half of the work is writing the page out again.
 */
const CPU_PER_DECODING = 2;
/** A worker that says nothing for 60 s counts as dead. */
const BEAT_MS = 20_000;
/**
 * Times in a row that a run may stop at the same page, about an hour, before it fails and makes room
 * for one that begins anew at the same cursor. A full one keeps what it has got and waits on.
 */
const MAX_STALLS = 10;

/**
 * Takes an open run from its checkpoint as far as the time goes: the next page is read while the
 * last one is applied, one page ahead at most; a page and its checkpoint are one transaction. It
 * stops after a checkpoint before `deadline` (milliseconds of `now()`), at a fault that passes, or
 * fails at one that does not; either way nothing of what was applied is lost (invariants 11 to 13).
 * Throws `DatabaseUnavailable` if the database goes away; the run then waits for its lease to end.
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
    ended.abort(new RunLost("Cannot go on: the call has ended."));
    progress.stop();
  }
}

const budget = { stopped: "budget" } as const;

/** True once the last page is applied, false if the time was over before. */
async function readAndApply(
  deps: RunDeps,
  progress: RunProgress,
  read: PageReader,
  deadline: number,
): Promise<boolean> {
  const { now, cpuBudgetMs = Infinity } = deps;
  let busyMs = 0;
  let slowest = 0;

  /** A page within the time that is left, and how long it took. */
  async function turn(checkpoint: RunCheckpoint): Promise<readonly [PageTurn, number]> {
    const began = now();
    const page = await within(deadline - began, () => read(checkpoint));
    busyMs += page.page.busyMs ?? 0;
    return [page, now() - began];
  }
  function timeFor(pages: number): boolean {
    // The process's CPU may be shared with others, and decoding be held up by them: the lesser.
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
      ahead?.catch(() => {}); // it is looked at once this page is applied
      const began = now();
      await progress.apply(page.page, sourceMs, after);
      slowest = Math.max(slowest, now() - began);
      applied++;
      if (after.done) return true;
      if (ahead === undefined || !timeFor(1)) return false;
    }
  } catch (error) {
    // Out of time with something done is how a budget ends; with nothing done it is a slow source.
    if (error instanceof TimeUp && applied > 0) return false;
    throw error;
  }
}

/** Notes what went wrong; the run stays open if it may pass. */
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
    // A fault of ours: going on each minute would not mend it.
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
