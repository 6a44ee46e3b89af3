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

/** What a run was asked for; absent members were not asked for. */
export interface RunParameters {
  /** ISO instant: read from here instead of from the cursor. */
  readonly since?: string;
  /** `YYYY-MM-DD`. */
  readonly start_date?: string;
  /** `YYYY-MM-DD`. */
  readonly end_date?: string;
  /**
   * Reconcile only. Absent: what the source states is applied. False: it is only reported. True: older
   * revisions are applied too, and every booking that is not listed is read alone.
   */
  readonly repair?: boolean;
}

/** A connection as `list_connections` shows it. */
export interface ListedConnection extends Connection {
  readonly enabled: boolean;
  readonly paused: boolean;
  /** ISO instant up to which it is known to be synced, minus the overlap; null if it never was. */
  readonly cursor: string | null;
}

/** A run that was started or resumed. Its lease lasts 60 s from each checkpoint. */
export interface OpenRun extends Connection {
  readonly mode: RunMode;
  readonly runId: string;
  readonly leaseToken: string;
  /** As stored; see `readCheckpoint` and `readCounters`. */
  readonly checkpoint: unknown;
  readonly counters: unknown;
  readonly parameters: RunParameters;
  readonly cursor: string | null;
}

/** The outcome of starting or resuming a run; `busy` if another worker has it. */
export type BeginOutcome =
  | { readonly outcome: "started" | "resumed"; readonly run: OpenRun }
  | { readonly outcome: "busy"; readonly runId: string; readonly counters: unknown }
  | { readonly outcome: "paused" | "unknown_organization" };

/** A page of a run; without snapshots it only shows that the run is alive. */
export interface RunPage {
  readonly runId: string;
  readonly leaseToken: string;
  /** The checkpoint after the page is applied. */
  readonly checkpoint: unknown;
  /** The counters before the page; the database adds its verdicts. */
  readonly counters: unknown;
  readonly snapshots: readonly Snapshot[];
  /** Every id of the page, also of refused bookings. */
  readonly sightedIds: readonly string[];
}

/** How a run stops at a checkpoint or ends. */
export interface RunEnd {
  readonly runId: string;
  readonly leaseToken: string;
  readonly status: "stopped" | "completed" | "failed";
  readonly checkpoint: unknown;
  readonly counters: unknown;
  readonly error: Readonly<Record<string, unknown>> | null;
}

/** A run that no worker has. */
export interface ResumableRun extends Connection {
  readonly runId: string;
  readonly mode: RunMode;
}

/** What a reconcile run found; rows as from `list_drift`. */
export interface DriftReport {
  readonly counts: Readonly<
    Record<string, { fields: number; bookings: number; repaired: number }>
  >;
  /** The first 100, oldest first. */
  readonly drift: readonly unknown[];
}

/** The port to the stored runs. Every method throws `DatabaseUnavailable`. */
export interface RunStore {
  /** Ordered by the last run of the mode, oldest first. */
  listConnections(
    filter: { readonly [K in keyof Connection]?: Connection[K] | undefined },
    mode: RunMode,
  ): Promise<readonly ListedConnection[]>;
  beginRun(connection: Connection, mode: RunMode, parameters: RunParameters): Promise<BeginOutcome>;
  /** Undefined if another worker has ended it meanwhile. */
  resumeRun(runId: string): Promise<BeginOutcome | undefined>;
  /**
   * Notes as seen which bookings of a page, `{ external id: hash of its text }`, are as they are
   * stored, and returns their hashes.
   */
  passUnchanged(
    connection: Connection,
    rawHashes: Readonly<Record<string, string>>,
    fetchedAt: string,
  ): Promise<ReadonlySet<string>>;
  /** Throws {@linkcode RunLost} or {@linkcode RunPaused}; then nothing was applied. */
  checkpointRun(page: RunPage): Promise<readonly Verdict[]>;
  /** False if the lease was lost. */
  finishRun(end: RunEnd): Promise<boolean>;
  listResumableRuns(maxRuns: number): Promise<readonly ResumableRun[]>;
  readDrift(runId: string): Promise<DriftReport>;
}

/** Another worker has taken over the run or ended it. */
export class RunLost extends Error {
  override readonly name = "RunLost";
  readonly code = "run_lost";
}

/** The connection was paused during the run (rule: pausing costs nothing). */
export class RunPaused extends Error {
  override readonly name = "RunPaused";
  readonly code = "run_paused";
}
