/**
 * Runs in memory for unit tests; they imitate the SQL of runs. Nothing deployed imports this file.
 */
import type { FileSweep } from "./sweep_files.ts";
import { ORGANIZATION } from "../testing.ts";
import type { Verdict } from "./booking_store.ts";
import {
  type BeginOutcome,
  type OpenRun,
  RunLost,
  type RunMode,
  type RunPage,
  type RunParameters,
  RunPaused,
  type RunStore,
} from "./run_store.ts";

/** One stored run. */
export interface FakeRun {
  readonly runId: string;
  readonly mode: RunMode;
  readonly parameters: RunParameters;
  status: "running" | "stopped" | "completed" | "failed";
  leaseToken: string;
  checkpoint: unknown;
  counters: unknown;
  error: unknown;
}

/** A store with one connection; `onPage` runs before a page is applied and may throw. */
export function fakeRuns(onPage: (page: RunPage, count: number) => void = () => {}) {
  const runs: FakeRun[] = [];
  /** How often each booking was written. */
  const applied = new Map<string, number>();
  const stored = new Map<string, string>();
  const sighted = new Set<string>();
  let pages = 0;
  let leases = 0;
  const connection = { organizationId: ORGANIZATION, source: "eventflow" } as const;
  const state = { paused: false, cursor: null as string | null };

  function open(run: FakeRun, outcome: "started" | "resumed"): BeginOutcome {
    run.status = "running";
    run.leaseToken = `lease-${++leases}`;
    const { runId, mode, parameters, leaseToken, checkpoint, counters } = run;
    const found: OpenRun = {
      ...{ ...connection, runId, mode, parameters, leaseToken, checkpoint, counters },
      cursor: state.cursor,
    };
    return { outcome, run: found };
  }
  function held(runId: string, leaseToken: string): FakeRun | undefined {
    return runs.find((run) =>
      run.runId === runId && run.leaseToken === leaseToken && run.status === "running"
    );
  }
  /** Lease tokens of workers that died. */
  const dead = new Set<string>();

  const store: RunStore = {
    listConnections: () => Promise.resolve([{ ...connection, enabled: true, ...state }]),
    beginRun(_connection, mode, parameters) {
      if (state.paused) return Promise.resolve({ outcome: "paused" });
      const found = runs.find((run) =>
        run.mode === mode && ["running", "stopped"].includes(run.status)
      );
      if (found?.status === "running" && !dead.has(found.leaseToken)) {
        return Promise.resolve({ outcome: "busy", runId: found.runId, counters: found.counters });
      }
      if (found) return Promise.resolve(open(found, "resumed"));
      const run: FakeRun = {
        ...{ runId: `run-${runs.length + 1}`, mode, parameters, status: "running" as const },
        ...{ leaseToken: "", checkpoint: {}, counters: {}, error: null },
      };
      runs.push(run);
      return Promise.resolve(open(run, "started"));
    },
    resumeRun(runId) {
      const run = runs.find((each) => each.runId === runId);
      return Promise.resolve(
        run && ["running", "stopped"].includes(run.status) ? open(run, "resumed") : undefined,
      );
    },
    passUnchanged: () => Promise.resolve(new Set()),
    checkpointRun(page) {
      const run = held(page.runId, page.leaseToken);
      if (!run) return Promise.reject(new RunLost("lost"));
      if (state.paused) return Promise.reject(new RunPaused("paused"));
      if (page.sightedIds.length > 0 || page.snapshots.length > 0) pages++;
      try {
        onPage(page, pages);
      } catch (error) {
        return Promise.reject(error);
      }
      for (const id of page.sightedIds) sighted.add(id);
      const verdicts = page.snapshots.map(({ external_id: id, content_hash: hash }): Verdict => {
        const known = stored.get(id);
        if (known !== hash) applied.set(id, (applied.get(id) ?? 0) + 1);
        stored.set(id, hash);
        const verdict = known === undefined ? "created" : known === hash ? "unchanged" : "updated";
        return { externalId: id, verdict, bookingId: "1", changes: {}, error: null };
      });
      run.checkpoint = JSON.parse(JSON.stringify(page.checkpoint));
      run.counters = JSON.parse(JSON.stringify(page.counters));
      return Promise.resolve(verdicts);
    },
    finishRun(end) {
      const run = held(end.runId, end.leaseToken);
      if (!run) return Promise.resolve(false);
      const { status, checkpoint, counters, error } = end;
      Object.assign(run, { status, checkpoint, counters, error });
      return Promise.resolve(true);
    },
    listResumableRuns: () =>
      Promise.resolve(
        runs.filter((run) => run.status === "stopped" || dead.has(run.leaseToken))
          .map(({ runId, mode }) => ({ ...connection, runId, mode })),
      ),
    readDrift: () => Promise.resolve({ counts: {}, drift: [] }),
  };
  return {
    store,
    runs,
    applied,
    sighted,
    state,
    /** Lets the worker of every open run die. */
    kill: () => runs.forEach((run) => dead.add(run.leaseToken)),
  };
}

/** Files of which some are named by no row, and which of them were taken away. */
export function noFiles(...unnamed: string[]): FileSweep & { readonly removed: string[] } {
  const removed: string[] = [];
  return {
    removed,
    listUnnamed: (limit) => Promise.resolve(unnamed.slice(0, limit)),
    remove: (paths) => Promise.resolve(void removed.push(...paths)),
  };
}
