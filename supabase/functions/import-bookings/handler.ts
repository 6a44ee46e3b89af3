import { z } from "zod";
import { BOOKING_SOURCES } from "../_shared/booking/status.ts";
import { InvalidBody } from "../_shared/errors.ts";
import {
  checkSecret,
  combineOutcomes,
  type CredentialOutcome,
  readBearer,
  requireRight,
} from "../_shared/http/credentials.ts";
import { describeIssues } from "../_shared/http/describe_issues.ts";
import type { VerifyJwt } from "../_shared/http/jwt.ts";
import { parseJsonBody } from "../_shared/http/parse_json_body.ts";
import { readBody } from "../_shared/http/read_body.ts";
import { respondJson } from "../_shared/http/respond.ts";
import { type Call, serveCall } from "../_shared/http/serve_call.ts";
import type { Log } from "../_shared/log.ts";
import { monotonicNow } from "../_shared/clock.ts";
import type { DeliveryQueue } from "../_shared/sync/delivery_queue.ts";
import { createHoldAlarm, withHoldAlarm } from "../_shared/sync/hold_alarm.ts";
import { resumeRuns } from "../_shared/sync/start_runs.ts";
import { importSingle, type SingleDeps } from "../_shared/sync/single.ts";
import type { RunStore } from "../_shared/sync/run_store.ts";
import type { FileSweep } from "../_shared/sync/sweep_files.ts";
import { createDrainMode } from "./drain_mode.ts";
import { createRunModes } from "./run_modes.ts";

/** What {@linkcode createHandler} needs; the optional parts have defaults. */
export interface ImportBookingsDeps extends Omit<SingleDeps, "now"> {
  readonly log: Log;
  /** The keys of service_role. */
  readonly serviceKeys: readonly string[];
  /** Verifies JWTs, whose `role` must be `service_role`; without it no JWT is accepted. */
  readonly verifyJwt?: VerifyJwt | undefined;
  /** Only the default: a body may name another organization. */
  readonly organizationId?: string | undefined;
  readonly queue: DeliveryQueue;
  readonly runs: RunStore;
  readonly files: FileSweep;
  /** How long a single import may take, in milliseconds. */
  readonly syncBudgetMs?: number;
  /** How long a call may run before it stops at a checkpoint, in milliseconds. */
  readonly importBudgetMs?: number;
  /** The same in CPU milliseconds; absent for no limit. */
  readonly importCpuMs?: number | undefined;
  /** For durations, in milliseconds. */
  readonly now?: () => number;
}

const SYNC_MODES = ["single", "incremental", "full", "drain", "reconcile"] as const;
type SyncMode = (typeof SYNC_MODES)[number];
type Body = Readonly<Record<string, unknown>>;

/** One sync mode: it checks its fields and returns the body of a 200. */
type Mode = (body: Body, call: Call) => Promise<Body>;

const uuid = z.guid("Expected a uuid.").toLowerCase();

/** The body of `syncMode: "single"`. */
export const singleSchema = z.object({
  booking_id: z.union(
    [z.string().trim().min(1).max(200), z.int().nonnegative().transform(String)],
    "Expected a string of 1 to 200 characters, or a whole number.",
  ),
  source: z.enum(BOOKING_SOURCES, `Expected one of ${BOOKING_SOURCES.join(", ")}.`).nullish(),
  organization_id: uuid.nullish(),
  delivery_id: uuid.nullish(),
  lease_token: uuid.nullish(),
  dry_run: z.boolean("Expected true or false.").nullish(),
  force: z.boolean("Expected true or false.").nullish(),
}).refine((body) => !(body.dry_run && body.delivery_id), {
  path: ["dry_run"],
  message: "A dry run cannot finish a delivery.",
});

/**
 * Handles `POST /functions/v1/import-bookings`, for internal callers only. A single import that
 * names a `delivery_id` answers with a member `delivery`, `{ status, next_attempt_at }`, in a
 * success and beside `error`.
 */
export function createHandler({
  sources,
  bookings,
  inbox,
  log,
  serviceKeys,
  verifyJwt,
  organizationId,
  queue,
  runs,
  files,
  syncBudgetMs = 20_000,
  importBudgetMs = 110_000,
  importCpuMs,
  now = monotonicNow,
}: ImportBookingsDeps): (request: Request) => Promise<Response> {
  const alarm = createHoldAlarm({ log, now });
  const deps = { sources, bookings: withHoldAlarm(bookings, alarm), inbox, log, now };

  const runDeps = { ...deps, alarm, runs, cpuBudgetMs: importCpuMs };
  const modes: Readonly<Record<SyncMode, Mode>> = {
    single,
    drain: createDrainMode(
      { ...deps, queue },
      { budgetMs: importBudgetMs, cpuMs: importCpuMs },
      (deadline) => resumeRuns(runDeps, deadline),
    ),
    ...createRunModes({ ...runDeps, files, log }, { budgetMs: importBudgetMs, organizationId }),
  };

  async function single(body: Body, { startedAt, note }: Call): Promise<Body> {
    const parsed = singleSchema.safeParse(body);
    if (!parsed.success) throw new InvalidBody(describeIssues(parsed.error, body));
    const { data } = parsed;
    const task = {
      externalId: data.booking_id,
      source: data.source ?? "eventflow",
      organizationId: requireOrganization(data.organization_id ?? organizationId),
      deliveryId: data.delivery_id ?? null,
      leaseToken: data.lease_token ?? null,
      dryRun: data.dry_run ?? false,
      force: data.force ?? false,
    } as const;
    note({
      source: task.source,
      booking_id: task.externalId,
      organization_id: task.organizationId,
      delivery_id: task.deliveryId,
    });
    const result = await importSingle(deps, task, startedAt + syncBudgetMs);
    note({ outcome: result.outcome, warnings: result.warnings.length });
    return {
      success: true,
      syncMode: "single",
      booking_id: task.externalId,
      organization_id: task.organizationId,
      ...result,
    };
  }

  async function authenticate(headers: Headers): Promise<CredentialOutcome> {
    const tokens = [readBearer(headers), headers.get("apikey") ?? undefined];
    const known = combineOutcomes(tokens.map((token) => checkSecret(token, serviceKeys)));
    if (known !== "wrong" || !verifyJwt) return known;
    for (const token of tokens) {
      const claims = token === undefined ? undefined : await verifyJwt(token);
      if (claims?.["role"] === "service_role") return "right";
    }
    return "wrong";
  }

  return serveCall(async (call) => {
    const caller = await authenticate(call.request.headers);
    call.note({ caller });
    requireRight(caller);
    const bytes = await readBody(call.request); // not earlier: a stranger may never stop sending
    const { value: body, error } = parseJsonBody(bytes, call.request.headers);
    if (error !== undefined) throw error;
    if (body === undefined) throw new TypeError("Cannot read the body: no reason given");
    const syncMode = readMode(body);
    call.note({ sync_mode: syncMode });
    return respondJson(200, await modes[syncMode](body, call));
  }, { log, now });
}

/** With a `booking_id` and no mode it is `single`, else `incremental`. */
function readMode(body: Body): SyncMode {
  const given = body["syncMode"] ?? undefined;
  const preset = (body["booking_id"] ?? undefined) === undefined ? "incremental" : "single";
  const parsed = z.enum(SYNC_MODES).default(preset).safeParse(given);
  if (parsed.success) return parsed.data;
  throw new InvalidBody([{
    field: "syncMode",
    code: "invalid",
    message: `Expected one of ${SYNC_MODES.join(", ")}.`,
  }]);
}

function requireOrganization(organizationId: string | undefined): string {
  if (organizationId !== undefined) return organizationId;
  throw new InvalidBody([
    { field: "organization_id", code: "required", message: "Expected a uuid." },
  ]);
}
