import type { Snapshot } from "../booking/snapshot.ts";
import type { BookingSourceName } from "../booking/status.ts";
import type { Verdict } from "./booking_store.ts";

/** The kinds of runs. */
export const RUN_MODES = ["incremental", "full", "reconcile"] as const;

/** Incremental: what changed since the cursor. Full: everything. Reconcile: compare. */
export type RunMode = (typeof RUN_MODES)[number];

/** One organization's link to one source. */
export interface Connection {
  readonly organizationId: string;
  readonly source: BookingSourceName;
}

/** What a run was asked for; what is absent was not asked. */
export interface RunParameters {
  /** ISO instant: read from here instead of from the cursor. */
  readonly since?: string;
  /** `YYYY-MM-DD`. */
  readonly start_date?: string;
  /** `YYYY-MM-DD`. */
  readonly end_date?: string;
  /** Reconcile only: apply what differs. */
  readonly repair?: boolean;
}

/** A connection as `list_connections` shows it. */
export interface ListedConnection extends Connection {
  readonly enabled: boolean;
  readonly paused: boolean;
  /** ISO instant up to which it is proven synced, less the overlap; null if it never was. */
  readonly cursor: string | null;
}

/** A run that was begun or taken up again; the lease is ours for 60 s after each checkpoint. */
export interface OpenRun extends Connection {
  readonly mode: RunMode;
  readonly runId: string;
  readonly leaseToken: string;
  /** As stored: `readCheckpoint` and `readCounters` make sense of them. */
  readonly checkpoint: unknown;
  readonly counters: unknown;
  readonly parameters: RunParameters;
  readonly cursor: string | null;
}

/** What became of the wish to begin a run; `busy` is the run that somebody else is at. */
export type BeginOutcome =
  | { readonly outcome: "started" | "resumed"; readonly run: OpenRun }
  | { readonly outcome: "busy"; readonly runId: string; readonly counters: unknown }
  | { readonly outcome: "paused" | "unknown_organization" };

/** A page of a run, or without snapshots a sign of life. */
export interface RunPage {
  readonly runId: string;
  readonly leaseToken: string;
  /** How far the run is once the page is applied. */
  readonly checkpoint: unknown;
  /** Before the page: its verdicts are added by the database. */
  readonly counters: unknown;
  readonly snapshots: readonly Snapshot[];
  /** Every id of the page, the refused ones too. */
  readonly sightedIds: readonly string[];
}

/** How a run is laid down or ends. */
export interface RunEnd {
  readonly runId: string;
  readonly leaseToken: string;
  readonly status: "stopped" | "completed" | "failed";
  readonly checkpoint: unknown;
  readonly counters: unknown;
  readonly error: Readonly<Record<string, unknown>> | null;
}

/** A run that nobody is at. */
export interface ResumableRun extends Connection {
  readonly runId: string;
  readonly mode: RunMode;
}

/** What a reconcile run found; rows as `list_drift` returns them. */
export interface DriftReport {
  readonly counts: Readonly<
    Record<string, { fields: number; bookings: number; repaired: number }>
  >;
  /** The first 100, oldest first. */
  readonly drift: readonly unknown[];
}

/** The port to the stored runs. Every method throws `DatabaseUnavailable` like the inbox does. */
export interface RunStore {
  /** Those whose last run of the mode lies furthest back first. */
  listConnections(
    filter: { readonly [K in keyof Connection]?: Connection[K] | undefined },
    mode: RunMode,
  ): Promise<readonly ListedConnection[]>;
  beginRun(connection: Connection, mode: RunMode, parameters: RunParameters): Promise<BeginOutcome>;
  /** Undefined if somebody else has ended it meanwhile. */
  resumeRun(runId: string): Promise<BeginOutcome | undefined>;
  /** Throws {@linkcode RunLost} or {@linkcode RunPaused}, and then nothing was applied. */
  checkpointRun(page: RunPage): Promise<readonly Verdict[]>;
  /** False if the lease was lost. */
  finishRun(end: RunEnd): Promise<boolean>;
  listResumableRuns(maxRuns: number): Promise<readonly ResumableRun[]>;
  readDrift(runId: string): Promise<DriftReport>;
}

/** Another worker has taken the run over, or has ended it. */
export class RunLost extends Error {
  override readonly name = "RunLost";
  readonly code = "run_lost";
}

/** The connection was paused while the run was at it (invariant 14). */
export class RunPaused extends Error {
  override readonly name = "RunPaused";
  readonly code = "run_paused";
}
