import { z } from "zod";
import { InvalidBody } from "../_shared/errors.ts";
import { describeIssues } from "../_shared/http/describe_issues.ts";
import type { Call } from "../_shared/http/serve_call.ts";
import { drain, type DrainDeps } from "../_shared/sync/drain.ts";
import { startMeter } from "../_shared/sync/run_meter.ts";
import type { StartedRun } from "../_shared/sync/start_runs.ts";
import { describeRun } from "./answer_runs.ts";

/** Time one call may spend resuming runs, in milliseconds. */
const RUNS_MS = 40_000;

type Body = Readonly<Record<string, unknown>>;

/** The body of `syncMode: "drain"`. */
export const drainSchema = z.object({
  limit: z.int("Expected a whole number from 1.").min(1, "Expected a whole number from 1.")
    .nullish(),
});

/** Limits of one call, in milliseconds. */
export interface DrainBudget {
  readonly budgetMs: number;
  /** Absent for no limit. */
  readonly cpuMs?: number | undefined;
}

/**
 * The mode `drain`: processes due deliveries, at most `limit`, and then resumes runs that stopped,
 * within its budget. `completed: false` means that something is left; then `next` is the request to
 * send right away, or null if only waiting helps.
 */
export function createDrainMode(
  deps: DrainDeps,
  { budgetMs, cpuMs = Infinity }: DrainBudget,
  resume: (deadline: number) => Promise<readonly StartedRun[]>,
): (body: Body, call: Pick<Call, "startedAt" | "note">) => Promise<Body> {
  return async (body, { startedAt, note }) => {
    const parsed = drainSchema.safeParse(body);
    if (!parsed.success) throw new InvalidBody(describeIssues(parsed.error, body));
    const limit = parsed.data.limit ?? undefined;
    const meter = startMeter();
    const spent = () => meter.read().cpuMs ?? 0;
    const task = { startedAt, budgetMs, limit, isSpent: () => spent() >= cpuMs };
    const { completed, more, counters } = await drain(deps, task).finally(meter.stop);
    // Deliveries must not wait for a long run, so each call only spends what it has left on runs.
    const runs = !more && spent() < cpuMs / 2
      ? await resume(Math.min(startedAt + budgetMs, deps.now() + RUNS_MS))
      : [];
    const runsLeft = runs.some((run) => !run.completed && run.stopped === "budget");
    const done = completed && !runsLeft;
    const quiet = done && counters.claimed === 0 && runs.length === 0;
    note({ completed: done, ...counters, runs: runs.map(describeRun), quiet });
    const next = more || runsLeft ? { syncMode: "drain" } : null;
    return {
      ...{ success: true, completed: done, run_id: runs[0]?.runId ?? null },
      ...{ counters, next },
      ...(runs.length > 0 ? { runs: runs.map(describeRun) } : {}),
    };
  };
}
