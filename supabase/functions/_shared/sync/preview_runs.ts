import { sleepFor } from "../clock.ts";
import type { BookingSource } from "../source/booking_source.ts";
import { callDatabase } from "../call_database.ts";
import { TimeUp, within } from "../within.ts";
import type { BookingStore } from "./booking_store.ts";
import type { RunDeps } from "./execute_run.ts";
import { NO_CHECKPOINT, passPage } from "./run_checkpoint.ts";
import {
  addCounters,
  countPage,
  countVerdicts,
  NO_COUNTERS,
  type RunCounters,
} from "./run_counters.ts";
import { createPageReader } from "./run_pages.ts";
import type { ListedConnection } from "./run_store.ts";
import { splitPage } from "./split_work.ts";
import { readFault } from "./run_faults.ts";
import { listRunnable, type RunTask } from "./start_runs.ts";

/** What runs would write. */
export interface RunPreview {
  /** False if the time ended first. */
  readonly completed: boolean;
  readonly counters: RunCounters;
  /** The first 100 row changes. */
  readonly changes: readonly unknown[];
}

const MAX_CHANGES = 100;
const APPLY_MS = 60_000;

/**
 * What the runs of a task would write, connection by connection until `deadline` (milliseconds of
 * `now()`): the same path as a run, rolled back page by page, without run, checkpoint and cursor. The
 * brake sees each page by itself, since nothing of the page before is kept. Throws an `AnswerError`
 * for a source that fails.
 */
export async function previewRuns(
  deps: RunDeps & { readonly bookings: BookingStore },
  task: RunTask,
  deadline: number,
): Promise<RunPreview> {
  let { completed, counters, changes }: RunPreview = {
    ...{ completed: true, counters: NO_COUNTERS, changes: [] },
  };
  for (const connection of await listRunnable(deps, task)) {
    const source = deps.sources[connection.source];
    if (source === undefined) continue;
    if (deps.now() >= deadline) {
      completed = false;
      break;
    }
    try {
      const preview = await previewRun(deps, task, connection, source, deadline);
      counters = addCounters(counters, preview.counters);
      completed &&= preview.completed;
      changes = [...changes, ...preview.changes].slice(0, MAX_CHANGES);
    } catch (error) {
      throw readFault(error)?.error ?? error;
    }
  }
  return { completed, counters, changes };
}

async function previewRun(
  deps: RunDeps & { readonly bookings: BookingStore },
  task: RunTask,
  connection: ListedConnection,
  source: BookingSource,
  deadline: number,
): Promise<RunPreview> {
  const { organizationId } = connection;
  const ended = new AbortController();
  const { now, sleep = sleepFor } = deps;
  const { mode, parameters } = task;
  const options = { source, connection, mode, parameters, deadline, now, sleep, dryRun: true };
  const read = createPageReader({ ...options, signal: ended.signal });
  const since = parameters.since ?? (mode === "incremental" ? connection.cursor : null);
  let checkpoint = { ...NO_CHECKPOINT, since };
  let counters: RunCounters = { ...NO_COUNTERS, calls: 1 };
  const changes: unknown[] = [];
  try {
    while (!checkpoint.done) {
      const began = now();
      const turn = await within(deadline - began, () => read(checkpoint));
      counters = countPage(counters, turn.page, now() - began);
      const applied = now();
      for (const snapshots of splitPage(turn.page.snapshots)) {
        const batch = { organizationId, source: connection.source, snapshots, dryRun: true };
        const verdicts = await callDatabase(
          APPLY_MS,
          (call) => deps.bookings.applySnapshots(batch, call),
        );
        counters = countVerdicts(counters, verdicts);
        for (const { externalId, changes: rows } of verdicts) {
          if (changes.length >= MAX_CHANGES || !Array.isArray(rows)) continue;
          const named = rows.map((row) => ({ external_id: externalId, ...Object(row) }));
          changes.push(...named.slice(0, MAX_CHANGES - changes.length));
        }
      }
      counters = { ...counters, database_ms: counters.database_ms + Math.round(now() - applied) };
      checkpoint = passPage(checkpoint, turn);
    }
    return { completed: true, counters, changes };
  } catch (error) {
    if (!(error instanceof TimeUp) || counters.pages === 0) throw error;
    return { completed: false, counters, changes };
  } finally {
    ended.abort();
  }
}
