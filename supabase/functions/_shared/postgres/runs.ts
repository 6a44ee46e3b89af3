import { z } from "zod";
import { BOOKING_SOURCES } from "../booking/status.ts";
import { DatabaseError } from "../errors.ts";
import {
  type BeginOutcome,
  type Connection,
  type OpenRun,
  RUN_MODES,
  RunLost,
  type RunMode,
  RunPaused,
  type RunStore,
} from "../sync/run_store.ts";
import { toVerdict, verdictRow } from "./bookings.ts";
import { callRow, callRows } from "./call.ts";
import type { CallRpc } from "./client.ts";

const parameters = z.object({
  since: z.string().exactOptional(),
  start_date: z.string().exactOptional(),
  end_date: z.string().exactOptional(),
  repair: z.boolean().exactOptional(),
});
const connectionRow = z.object({
  organization_id: z.string(),
  source: z.enum(BOOKING_SOURCES),
  enabled: z.boolean(),
  paused: z.boolean(),
  cursor: z.string().nullable(),
});
const openRun = z.object({
  run_id: z.string(),
  lease_token: z.string(),
  checkpoint: z.unknown(),
  counters: z.unknown(),
  parameters,
  cursor: z.string().nullable(),
});
const begunRow = z.discriminatedUnion("outcome", [
  openRun.extend({ outcome: z.enum(["started", "resumed"]) }),
  z.object({ outcome: z.literal("busy"), run_id: z.string(), counters: z.unknown() }),
  z.object({ outcome: z.enum(["paused", "unknown_organization"]) }),
]);
const named = z.object({
  organization_id: z.string(),
  source: z.enum(BOOKING_SOURCES),
  mode: z.enum(RUN_MODES),
});
const resumableRow = named.extend({ run_id: z.string() });
const resumedRow = z.intersection(begunRow, named);
const rawHashRow = z.object({ raw_hash: z.string() });
const finishedRow = z.object({ finished: z.boolean() });
const driftRow = z.looseObject({ external_id: z.string(), field: z.string() });
const countRow = z.object({
  cause: z.string().nullable(),
  fields: z.int(),
  bookings: z.int(),
  repaired: z.int(),
});

/** The length of the lease, in milliseconds: after that the page belongs to another worker. */
const PAGE_TIMEOUT_MS = 60_000;
/** Rows of drift in an answer. */
const MAX_DRIFT = 100;

/** The runs in Postgres: each method is one rpc and one transaction, `readDrift` two. */
export function createPostgresRuns(rpc: CallRpc): RunStore {
  return {
    async listConnections({ organizationId = null, source = null }, mode) {
      const args = { organization_id: organizationId, source, mode };
      const rows = await callRows(rpc, "list_connections", args, { row: connectionRow });
      return rows.map(({ organization_id, ...row }) => ({
        ...row,
        organizationId: organization_id,
      }));
    },

    async beginRun({ organizationId, source }, mode, parameters) {
      const args = { organization_id: organizationId, source, mode, parameters };
      const row = await callRow(rpc, "begin_run", args, { row: begunRow });
      return toOutcome(row, { organizationId, source }, mode);
    },

    async passUnchanged({ organizationId, source }, rawHashes, fetchedAt) {
      const rows = await callRows(rpc, "pass_unchanged", {
        ...{
          organization_id: organizationId,
          source,
          raw_hashes: rawHashes,
          fetched_at: fetchedAt,
        },
      }, { row: rawHashRow });
      return new Set(rows.map(({ raw_hash }) => raw_hash));
    },

    async resumeRun(runId) {
      const rows = await callRows(rpc, "resume_run", { run_id: runId }, { row: resumedRow });
      return rows.map((row) => {
        const { organization_id: organizationId, source, mode } = row;
        return toOutcome(row, { organizationId, source }, mode);
      })[0];
    },

    async checkpointRun(page) {
      try {
        const rows = await callRows(rpc, "checkpoint_run", {
          run_id: page.runId,
          lease_token: page.leaseToken,
          checkpoint: page.checkpoint,
          counters: page.counters,
          snapshots: page.snapshots,
          sighted_ids: page.sightedIds,
        }, { row: verdictRow, timeoutMs: PAGE_TIMEOUT_MS });
        return rows.map(toVerdict);
      } catch (error) {
        const code = error instanceof DatabaseError ? error.code : "";
        if (code === "PT409") throw new RunLost("Another worker has the run.", { cause: error });
        if (code === "PT423") throw new RunPaused("The connection is paused.", { cause: error });
        throw error;
      }
    },

    async finishRun(end) {
      const row = await callRow(rpc, "finish_run", {
        run_id: end.runId,
        lease_token: end.leaseToken,
        status: end.status,
        checkpoint: end.checkpoint,
        counters: end.counters,
        error: end.error,
      }, { row: finishedRow, timeoutMs: PAGE_TIMEOUT_MS });
      return row.finished;
    },

    async listResumableRuns(maxRuns) {
      const args = { max_runs: maxRuns };
      const rows = await callRows(rpc, "list_resumable_runs", args, { row: resumableRow });
      return rows.map(({ run_id: runId, organization_id: organizationId, source, mode }) => ({
        ...{ runId, organizationId, source, mode },
      }));
    },

    async readDrift(runId) {
      const [drift, counts] = await Promise.all([
        callRows(rpc, "list_drift", { run_id: runId, max_rows: MAX_DRIFT }, { row: driftRow }),
        callRows(rpc, "count_drift", { run_id: runId }, { row: countRow }),
      ]);
      return {
        drift,
        counts: Object.fromEntries(
          counts.map(({ cause, ...count }) => [cause ?? "unknown", count]),
        ),
      };
    },
  };
}

function toOutcome(
  row: z.output<typeof begunRow>,
  connection: Connection,
  mode: RunMode,
): BeginOutcome {
  switch (row.outcome) {
    case "busy":
      return { outcome: "busy", runId: row.run_id, counters: row.counters };
    case "started":
    case "resumed": {
      const { run_id: runId, lease_token: leaseToken, outcome, ...rest } = row;
      const { checkpoint, counters, parameters, cursor } = rest;
      const run: OpenRun = {
        ...connection,
        ...{ mode, runId, leaseToken, checkpoint, counters, parameters, cursor },
      };
      return { outcome, run };
    }
    default:
      return { outcome: row.outcome };
  }
}
