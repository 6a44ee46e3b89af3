import type { Log } from "../log.ts";
import { TimeUp, within } from "../within.ts";
import { callDatabase, DATABASE_TIMEOUT_MS } from "../call_database.ts";
import type { FinishedDelivery, Inbox } from "./inbox.ts";
import {
  type ImportAnswer,
  type Importer,
  ImporterUnavailable,
  type ImportTask,
} from "./importer.ts";
import { deferredFor, endedBy, isFinal, readKept, type SyncResult } from "./sync_result.ts";

/** What {@linkcode runInlineImport} works with. */
export interface InlineImportDeps {
  readonly inbox: Pick<Inbox, "finishDelivery">;
  readonly importer: Importer;
  readonly log: Log;
  /** Milliseconds. */
  readonly now: () => number;
  /** How long a delivery may take in total, in milliseconds. */
  readonly budgetMs: number;
}

/** How long after the deadline a delivery may still be given back, in milliseconds. */
const GRACE_MS = 800;

/** An import with less time left than this is not started, since it would only cost an attempt. */
const LEAST_MS = 500;

/** The inbox's word for a reason where the error's code is a different one. */
const REASONS = new Map([["sync_paused", "paused"], ["lease_lost", "busy"]]);

/**
 * Imports a claimed delivery before `deadline` (milliseconds of `now()`) and never throws. A
 * delivery that is not finished in time goes back to the inbox; if even that fails, its lease
 * expires (rule: work is bounded and resumes). If there is no time to start, it goes back untried.
 */
export async function runInlineImport(
  deps: InlineImportDeps,
  task: ImportTask,
  deadline: number,
): Promise<SyncResult> {
  // Even the smallest budget, 100 ms, must leave room for an import.
  const least = Math.min(LEAST_MS, deps.budgetMs / 4);
  if (deadline - deps.now() < least) {
    return await giveBack(deps, task, deadline, { code: "budget_exceeded", untried: true });
  }
  try {
    const answer = await within(
      deadline - deps.now(),
      (signal) => deps.importer.importBooking(task, signal),
    );
    return await conclude(deps, task, deadline, answer);
  } catch (error) {
    if (error instanceof TimeUp) {
      return await giveBack(deps, task, deadline, { code: "budget_exceeded" });
    }
    const retryAfterMs = error instanceof ImporterUnavailable ? error.retryAfterMs : undefined;
    const status = error instanceof ImporterUnavailable ? error.status : undefined;
    deps.log.warn("import call failed", { ...idsOf(task), import_status: status });
    return await giveBack(deps, task, deadline, { code: "import_unavailable", retryAfterMs });
  }
}

/** Gives back a claimed delivery that was not tried, which costs no attempt. Drain takes it. */
export async function returnUntried(
  deps: Pick<InlineImportDeps, "inbox" | "log">,
  task: ImportTask,
): Promise<void> {
  const { deliveryId, leaseToken } = task;
  try {
    await callDatabase(
      DATABASE_TIMEOUT_MS,
      (options) =>
        deps.inbox.finishDelivery({ deliveryId, leaseToken, status: "pending" }, options),
    );
  } catch {
    deps.log.warn("delivery not given back", idsOf(task));
  }
}

async function conclude(
  deps: InlineImportDeps,
  task: ImportTask,
  deadline: number,
  answer: ImportAnswer,
): Promise<SyncResult> {
  if (answer.success) return { outcome: answer.outcome, changes: answer.changes };
  const { error, delivery } = answer;
  const reason = REASONS.get(error.code) ?? error.code;
  // The state of the delivery decides, not the error: if it is open, we will try again.
  if (delivery?.status === "pending" || delivery?.status === "processing") {
    return deferredFor(reason, delivery.next_attempt_at);
  }
  if (delivery && (delivery.status === "dead" || isFinal(error.code))) return endedBy(error);
  // Its state is unknown, or another worker has ended it: the inbox knows.
  return await giveBack(deps, task, deadline, { code: reason });
}

async function giveBack(
  deps: InlineImportDeps,
  task: ImportTask,
  deadline: number,
  why: {
    readonly code: string;
    readonly retryAfterMs?: number | undefined;
    /** It was not started, which costs no attempt. */
    readonly untried?: boolean;
  },
): Promise<SyncResult> {
  const message = "It was given back before it was imported.";
  const lastError = { code: why.code, message, details: [] };
  let state: FinishedDelivery | undefined;
  try {
    state = await within(deadline + GRACE_MS - deps.now(), (signal) =>
      deps.inbox.finishDelivery({
        deliveryId: task.deliveryId,
        leaseToken: task.leaseToken,
        status: "pending",
        ...(why.untried ? {} : { lastError }),
        retryAfterMs: why.retryAfterMs ?? null,
      }, { signal }));
  } catch {
    deps.log.warn("delivery not given back", idsOf(task));
  }
  if (state === undefined) return deferredFor(why.code, null);
  return readKept(state, why.code); // it may have ended after all, or used up its attempts
}

function idsOf(task: ImportTask): Readonly<Record<string, string>> {
  return { request_id: task.requestId, delivery_id: task.deliveryId };
}
