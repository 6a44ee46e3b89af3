import type { BookingSource } from "../source/booking_source.ts";
import { BOOKING_SOURCES, type BookingSourceName } from "../booking/status.ts";
import { AnswerError, InvalidBody } from "../errors.ts";
import { executeRun, type RunDeps, type RunResult } from "./execute_run.ts";
import { sourceNotConfigured } from "./failures.ts";
import { readCheckpoint } from "./run_checkpoint.ts";
import { readCounters } from "./run_counters.ts";
import {
  type Connection,
  type ListedConnection,
  type OpenRun,
  type RunMode,
  type RunParameters,
  RunPaused,
} from "./run_store.ts";

/** What to run. */
export interface RunTask {
  readonly mode: RunMode;
  /** Every organization, if absent. */
  readonly organizationId?: string | undefined;
  /** Every source that has an API key, if absent. */
  readonly source?: BookingSourceName | undefined;
  readonly parameters: RunParameters;
}

/** What became of one connection's run. */
export interface StartedRun extends Connection, Omit<RunResult, "run" | "stopped"> {
  /** Null if no run was started: the time was over, or the connection was paused. */
  readonly runId: string | null;
  readonly parameters: RunParameters;
  readonly stopped?: RunResult["stopped"] | "waiting";
}

/** A run with less time than this is not started, in milliseconds. */
const LEAST_MS = 500;
/** Runs that one call looks at; the others have been idle for less long. */
const MAX_RUNS = 50;

/**
 * Starts or resumes the runs of all connections that the task covers until `deadline` (milliseconds
 * of `now()`), those with the oldest last run first: one after the other for each source, the
 * sources in parallel. Throws an `AnswerError` if the task names a connection that cannot be run.
 */
export async function startRuns(
  deps: RunDeps,
  task: RunTask,
  deadline: number,
): Promise<readonly StartedRun[]> {
  const connections = await listRunnable(deps, task);
  return await forEachSource(deps, async (source) => {
    const results: StartedRun[] = [];
    for (const connection of connections.filter((each) => each.source === source.name)) {
      results.push(await startRun(deps, task, connection, source, deadline));
    }
    return results;
  });
}

/**
 * Resumes the runs that stopped at a checkpoint and those whose worker has died, longest idle first,
 * until none is left or `deadline` (milliseconds of `now()`) is near.
 */
export async function resumeRuns(
  deps: RunDeps,
  deadline: number,
): Promise<readonly StartedRun[]> {
  const waiting = await deps.runs.listResumableRuns(MAX_RUNS);
  return await forEachSource(deps, async (source) => {
    const results: StartedRun[] = [];
    for (const { runId } of waiting.filter((run) => run.source === source.name)) {
      if (deps.now() + LEAST_MS >= deadline) break;
      const resumed = await deps.runs.resumeRun(runId);
      if (resumed === undefined || !("run" in resumed)) continue;
      results.push(await continueRun(deps, resumed.run, source, deadline));
    }
    return results;
  });
}

/** Runs `work` for all sources in parallel, so that a slow one does not hold up another. */
async function forEachSource(
  deps: RunDeps,
  work: (source: BookingSource) => Promise<readonly StartedRun[]>,
): Promise<readonly StartedRun[]> {
  const sources = BOOKING_SOURCES.flatMap((name) => deps.sources[name] ?? []);
  const lanes = await Promise.allSettled(sources.map(work));
  return lanes.flatMap((lane) => {
    if (lane.status === "rejected") throw lane.reason;
    return lane.value;
  });
}

/**
 * The connections that a task covers and that can run now. Throws an `AnswerError` if it names one
 * that cannot.
 */
export async function listRunnable(
  deps: Pick<RunDeps, "runs" | "sources">,
  task: Pick<RunTask, "mode" | "organizationId" | "source">,
): Promise<readonly ListedConnection[]> {
  const { mode, organizationId, source } = task;
  const meant = await deps.runs.listConnections({ organizationId, source }, mode);
  if (source !== undefined && !deps.sources[source]) throw sourceNotConfigured(source).error;
  if (organizationId === undefined) return meant.filter((each) => isRunnable(deps, each));
  if (meant.length === 0) throw unknownOrganization();
  const runnable = meant.filter((each) => isRunnable(deps, each));
  if (runnable.length > 0) return runnable;
  const asked = meant.filter((each) => deps.sources[each.source]);
  throw asked.length === 0 ? sourceNotConfigured(meant[0]!.source).error : paused();
}

async function startRun(
  deps: RunDeps,
  task: RunTask,
  connection: Connection,
  source: BookingSource,
  deadline: number,
): Promise<StartedRun> {
  const { mode, parameters } = task;
  const { organizationId, source: name } = connection;
  const nothing = {
    ...{ organizationId, source: name, parameters, runId: null },
    completed: false,
    counters: readCounters({}),
  };
  for (;;) {
    if (deps.now() + LEAST_MS >= deadline) return { ...nothing, stopped: "waiting" };
    const begun = await deps.runs.beginRun(connection, mode, parameters);
    switch (begun.outcome) {
      case "unknown_organization":
        throw unknownOrganization();
      case "paused":
        return { ...nothing, stopped: "paused" };
      case "busy": {
        const counters = readCounters(begun.counters);
        return { ...nothing, runId: begun.runId, counters, stopped: "running" };
      }
    }
    const result = await continueRun(deps, begun.run, source, deadline);
    // An open run with other parameters was finished first; now the one that was asked for.
    if (!result.completed || sameParameters(begun.run.parameters, parameters)) return result;
  }
}

/** Continues a run, unless its source asked us to wait longer. */
async function continueRun(
  deps: RunDeps,
  run: OpenRun,
  source: BookingSource,
  deadline: number,
): Promise<StartedRun> {
  const { organizationId, runId, parameters } = run;
  const { retry_at: retryAt } = readCheckpoint(run.checkpoint);
  const names = { organizationId, source: run.source, runId, parameters };
  if (retryAt !== null && Date.parse(retryAt) > (deps.wall ?? Date.now)()) {
    const message = "The source asked us to wait until this instant.";
    const error = { code: "retry_later", message, retry_at: retryAt };
    await deps.runs.finishRun({ ...run, status: "stopped", error });
    return { ...names, completed: false, counters: readCounters(run.counters), stopped: "waiting" };
  }
  const { run: _run, ...result } = await executeRun(deps, run, source, deadline);
  return { ...names, ...result };
}

function isRunnable(deps: Pick<RunDeps, "sources">, connection: ListedConnection): boolean {
  return connection.enabled && !connection.paused && deps.sources[connection.source] !== undefined;
}

function sameParameters(a: RunParameters, b: RunParameters): boolean {
  return (["since", "start_date", "end_date", "repair"] as const)
    .every((name) => (a[name] ?? null) === (b[name] ?? null));
}

function paused(): AnswerError {
  return new AnswerError(503, "sync_paused", "Cannot run: the connection is paused.", {
    retryAfterSeconds: 60,
    cause: new RunPaused("The connection is paused."),
  });
}

function unknownOrganization(): AnswerError {
  return new InvalidBody([{
    field: "organization_id",
    code: "unknown_organization",
    message: "Expected an organization that exists.",
  }]);
}
