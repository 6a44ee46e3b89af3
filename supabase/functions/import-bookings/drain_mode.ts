import { z } from "zod";
import { InvalidBody } from "../_shared/errors.ts";
import { describeIssues } from "../_shared/http/describe_issues.ts";
import type { Call } from "../_shared/http/serve_call.ts";
import { drain, type DrainDeps } from "../_shared/sync/drain.ts";
import { startMeter } from "../_shared/sync/run_meter.ts";
import type { StartedRun } from "../_shared/sync/start_runs.ts";
import { describeRun } from "./answer_runs.ts";

/** How long runs are gone on with in one call, in milliseconds. */
const RUNS_MS = 40_000;

type Body = Readonly<Record<string, unknown>>;

/** The body of `syncMode: "drain"`. */
export const drainSchema = z.object({
  limit: z.int("Expected a whole number from 1.").min(1, "Expected a whole number from 1.")
    .nullish(),
});

/** What one call may use, in milliseconds. */
export interface DrainBudget {
  readonly budgetMs: number;
  /** Absent: no matter how much. */
  readonly cpuMs?: number | undefined;
}

/**
 * The mode `drain` (design §4.3): processes deliveries that are due, at most `limit`, within its
 * budget, and then has the runs that stopped gone on with. `completed: false` means that something
 * was left; `next` is what to ask for at once then, null if only waiting helps.
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
    // Deliveries do not wait for a long run: each call takes the runs a part of the way, if it has
    // the means left.
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
