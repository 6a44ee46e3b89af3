import { AnswerError } from "../_shared/errors.ts";
import type { LogProperties } from "../_shared/log.ts";
import { addCounters, NO_COUNTERS } from "../_shared/sync/run_counters.ts";
import type { RunMode, RunStore } from "../_shared/sync/run_store.ts";
import type { StartedRun } from "../_shared/sync/start_runs.ts";

type Body = Readonly<Record<string, unknown>>;

/**
 * The answer to a call that ran something: the run itself if there is only one, otherwise their
 * sum, with each of them under `runs`. `next` says how it continues: null if it is complete, an
 * object with the next request for `drain` or the caller, `running` if another worker has it,
 * `paused` until the connection is resumed. Throws the fault of a single run that failed for good.
 */
export async function answerRuns(
  runs: Pick<RunStore, "readDrift">,
  mode: RunMode,
  results: readonly StartedRun[],
): Promise<Body> {
  const [only] = results;
  if (results.length === 1 && only) {
    if (only.stopped === "failed") throw failed(only);
    return await answerRun(runs, mode, only);
  }
  const answers: Body[] = [];
  for (const result of results) answers.push(await answerRun(runs, mode, result));
  const open = answers.find((answer) => answer["next"] !== null);
  return {
    success: results.every(({ stopped }) => stopped !== "failed"),
    syncMode: mode,
    completed: results.every(({ completed }) => completed),
    run_id: (open ?? answers[0])?.["run_id"] ?? null,
    counters: results.reduce((sum, { counters }) => addCounters(sum, counters), NO_COUNTERS),
    next: open?.["next"] ?? null,
    runs: answers,
  };
}

/** What is logged of a run. */
export function describeRun(result: StartedRun): LogProperties {
  const { organizationId, source, runId, completed, stopped, fault, counters } = result;
  return {
    ...{ organization_id: organizationId, source, run_id: runId, completed },
    stopped: stopped ?? null,
    code: fault?.error.code ?? null,
    pages: counters.pages,
    bookings: counters.bookings,
    verdicts: counters.verdicts,
  };
}

async function answerRun(
  runs: Pick<RunStore, "readDrift">,
  mode: RunMode,
  result: StartedRun,
): Promise<Body> {
  const { organizationId, source, runId, completed, counters, parameters, stopped, fault } = result;
  const drift = mode === "reconcile" && runId !== null ? await runs.readDrift(runId) : undefined;
  return {
    success: stopped !== "failed",
    syncMode: mode,
    organization_id: organizationId,
    source,
    completed,
    run_id: runId,
    parameters,
    counters,
    next: nextOf(mode, result),
    ...(drift ? { drift_counts: drift.counts, drift: drift.drift } : {}),
    ...(fault ? { error: errorOf(fault.error) } : {}),
  };
}

function nextOf(mode: RunMode, { stopped, source, organizationId }: StartedRun): unknown {
  if (stopped === undefined || stopped === "failed") return null;
  if (stopped === "running" || stopped === "paused") return stopped;
  return { syncMode: mode, source, organization_id: organizationId };
}

function failed({ runId, fault }: StartedRun): AnswerError {
  const { code, message, status, details, cause } = fault!.error;
  return new AnswerError(status, code, message, {
    cause,
    details: [...details, {
      field: "run_id",
      code: "failed",
      message: "The run has failed; what it applied stays, the cursor has not moved.",
      run_id: runId,
    }],
  });
}

function errorOf({ code, message, status, details }: AnswerError): Body {
  return { code, message, status, details };
}
