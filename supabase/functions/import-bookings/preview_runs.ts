import type { BookingStore } from "../_shared/sync/booking_store.ts";
import type { RunDeps } from "../_shared/sync/execute_run.ts";
import { previewRun } from "../_shared/sync/preview_run.ts";
import { addCounters, NO_COUNTERS, type RunCounters } from "../_shared/sync/run_counters.ts";
import { readFault } from "../_shared/sync/run_faults.ts";
import { listRunnable, type RunTask } from "../_shared/sync/start_runs.ts";

/** `dry_run` of the modes incremental and full: counts and the first 100 row changes, no run. */
export async function previewRuns(
  deps: RunDeps & { readonly bookings: BookingStore },
  task: RunTask,
  deadline: number,
): Promise<Readonly<Record<string, unknown>>> {
  let counters: RunCounters = NO_COUNTERS;
  let completed = true;
  const changes: unknown[] = [];
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
      completed = completed && preview.completed;
      changes.push(...preview.changes);
    } catch (error) {
      throw readFault(error)?.error ?? error;
    }
  }
  return {
    ...{ success: true, syncMode: task.mode, dry_run: true, completed, run_id: null },
    counters,
    changes: changes.slice(0, 100),
    next: null,
  };
}
