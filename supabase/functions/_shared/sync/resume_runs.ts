import { BOOKING_SOURCES } from "../booking/status.ts";
import type { RunDeps } from "./execute_run.ts";
import { continueRun, LEAST_MS, type StartedRun } from "./start_runs.ts";

/** Runs that one call looks at; the others have waited for less long. */
const MAX_RUNS = 50;

/**
 * Takes up the runs that were laid down at a checkpoint, and those whose worker has died, longest
 * idle first, until none is left or `deadline` (milliseconds of `now()`) is near. The sources go side
 * by side, so that one that is slow holds up no other. For `drain` (design §4.3).
 */
export async function resumeRuns(
  deps: RunDeps,
  deadline: number,
): Promise<readonly StartedRun[]> {
  const waiting = await deps.runs.listResumableRuns(MAX_RUNS);
  const lanes = await Promise.allSettled(BOOKING_SOURCES.map(async (name) => {
    const source = deps.sources[name];
    const results: StartedRun[] = [];
    if (source === undefined) return results;
    for (const { runId } of waiting.filter((run) => run.source === name)) {
      if (deps.now() + LEAST_MS >= deadline) break;
      const resumed = await deps.runs.resumeRun(runId);
      if (resumed === undefined || !("run" in resumed)) continue;
      results.push(await continueRun(deps, resumed.run, source, deadline));
    }
    return results;
  }));
  return lanes.flatMap((lane) => {
    if (lane.status === "rejected") throw lane.reason;
    return lane.value;
  });
}
