import { z } from "zod";
import { BOOKING_SOURCES } from "../_shared/booking/status.ts";
import { InvalidBody } from "../_shared/errors.ts";
import { describeIssues } from "../_shared/http/describe_issues.ts";
import type { Call } from "../_shared/http/serve_call.ts";
import type { BookingStore } from "../_shared/sync/booking_store.ts";
import type { Log } from "../_shared/log.ts";
import type { RunDeps } from "../_shared/sync/execute_run.ts";
import { previewRuns } from "../_shared/sync/preview_runs.ts";
import type { RunMode, RunParameters } from "../_shared/sync/run_store.ts";
import { type RunTask, startRuns } from "../_shared/sync/start_runs.ts";
import { type FileSweep, sweepFiles } from "../_shared/sync/sweep_files.ts";
import { answerRuns, describeRun } from "./answer_runs.ts";

type Body = Readonly<Record<string, unknown>>;

/** A mode of import-bookings: it checks its fields and returns the body of a 200. */
export type RunModeHandler = (
  body: Body,
  call: Pick<Call, "startedAt" | "note">,
) => Promise<Body>;

const day = z.iso.date("Expected a day, YYYY-MM-DD.").nullish();
const flag = z.boolean("Expected true or false.").nullish();
const shared = {
  source: z.enum(BOOKING_SOURCES, `Expected one of ${BOOKING_SOURCES.join(", ")}.`).nullish(),
  organization_id: z.guid("Expected a uuid.").toLowerCase().nullish(),
};

/** The bodies of the run modes. */
export const runSchemas = {
  incremental: z.object({
    ...shared,
    since: z.iso.datetime({ offset: true, message: "Expected an ISO instant." })
      .transform((text) => new Date(text).toISOString()).nullish(),
    dry_run: flag,
  }),
  full: z.object({ ...shared, start_date: day, end_date: day, dry_run: flag })
    .refine((body) => !body.start_date || !body.end_date || body.start_date <= body.end_date, {
      path: ["end_date"],
      message: "Expected a day that is not before start_date.",
    }),
  reconcile: z.object({ ...shared, repair: flag }),
} as const;

/**
 * The modes `incremental`, `full` and `reconcile`, each within `budgetMs` of the start of the call. A
 * reconcile that repairs also takes away files that nothing names.
 */
export function createRunModes(
  deps: RunDeps & {
    readonly bookings: BookingStore;
    readonly files: FileSweep;
    readonly log: Log;
  },
  options: { readonly budgetMs: number; readonly organizationId?: string | undefined },
): Readonly<Record<RunMode, RunModeHandler>> {
  function handle(mode: RunMode): RunModeHandler {
    return async (body, { startedAt, note }) => {
      const { dryRun, ...task } = readTask(mode, body, options.organizationId);
      note({ organization_id: task.organizationId ?? null, source: task.source ?? null });
      const deadline = startedAt + options.budgetMs;
      if (dryRun) {
        const preview = await previewRuns(deps, task, deadline);
        return {
          success: true,
          syncMode: mode,
          dry_run: true,
          ...preview,
          run_id: null,
          next: null,
        };
      }
      const results = await startRuns(deps, task, deadline);
      const answer = await answerRuns(deps.runs, mode, results);
      note({ completed: answer["completed"], runs: results.map(describeRun) });
      if (mode === "reconcile" && task.parameters.repair !== false) {
        note({ files_swept: await sweepFiles(deps.files, deps.log) });
      }
      return answer;
    };
  }
  return {
    incremental: handle("incremental"),
    full: handle("full"),
    reconcile: handle("reconcile"),
  };
}

function readTask(
  mode: RunMode,
  body: Body,
  organizationId: string | undefined,
): RunTask & { readonly dryRun: boolean } {
  const parsed = runSchemas[mode].safeParse(body);
  if (!parsed.success) throw new InvalidBody(describeIssues(parsed.error, body));
  const data: Readonly<Record<string, unknown>> = parsed.data;
  const { source, organization_id: named } = parsed.data;
  const parameters: Record<string, unknown> = {};
  for (const name of ["since", "start_date", "end_date", "repair"]) {
    // An empty field is no parameter; `repair: false` is one.
    if (data[name] || data[name] === false) parameters[name] = data[name];
  }
  return {
    mode,
    source: source ?? undefined,
    organizationId: named ?? organizationId,
    parameters: parameters as RunParameters,
    dryRun: data["dry_run"] === true,
  };
}
