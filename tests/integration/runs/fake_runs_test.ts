import assert from "node:assert/strict";
import { createRpc } from "../../../supabase/functions/_shared/postgres/client.ts";
import { createPostgresRuns } from "../../../supabase/functions/_shared/postgres/runs.ts";
import {
  type BeginOutcome,
  type RunMode,
  type RunStore,
} from "../../../supabase/functions/_shared/sync/run_store.ts";
import { fakeRuns } from "../../../supabase/functions/_shared/sync/testing_runs.ts";
import { ORGANIZATION } from "../../../supabase/functions/_shared/testing.ts";
import { buildSnapshot } from "../../support/booking_builder.ts";
import { type TestStack, useStack } from "../../support/stack.ts";

// The fake has rules of the SQL in it. One sequence of calls must get the same answers from both.
const stackTest = useStack({ functions: false });

/** A run store, and what befalls it from outside. */
interface Subject {
  readonly store: RunStore;
  pause(on: boolean): Promise<void>;
  /** The leases of all open runs are over. */
  kill(): Promise<void>;
}

function fake(): Subject {
  const { store, state, kill } = fakeRuns();
  return {
    store,
    pause: (on) => Promise.resolve(void (state.paused = on)),
    kill: () => Promise.resolve(kill()),
  };
}

async function real(stack: TestStack): Promise<Subject> {
  const { database, serviceRoleKey, url } = stack;
  await database.query("insert into public.organizations (id, name) values ($1, 'Fake')", [
    ORGANIZATION,
  ]);
  const rpc = createRpc({ supabaseUrl: new URL(url), serviceKeys: [serviceRoleKey] });
  return {
    store: createPostgresRuns(rpc),
    async pause(on): Promise<void> {
      const connection = { organization_id: ORGANIZATION, source: "eventflow" };
      const { error } = on
        ? await stack.service.rpc("pause_connection", { ...connection, reason: "test" })
        : await stack.service.rpc("resume_connection", connection);
      assert.equal(error, null);
    },
    async kill(): Promise<void> {
      await database.exec(
        "update sync.runs set heartbeat_at = now() - interval '61 seconds' where status = 'running'",
      );
    },
  };
}

/** Plays the sequence; `[what was done, what was answered]`. Ids are told by their order. */
async function play({ store, pause, kill }: Subject): Promise<readonly unknown[]> {
  const said: unknown[] = [];
  const runIds: string[] = [];
  const leases: string[] = [];
  const connection = { organizationId: ORGANIZATION, source: "eventflow" } as const;
  const [a, b] = ["a", "b"].map((external_id) =>
    buildSnapshot({ external_id, attachments: undefined })
  );
  const changed = buildSnapshot({
    external_id: "a",
    attachments: undefined,
    booking: { title: "Ny" },
  });

  function number(runId: string): number {
    if (!runIds.includes(runId)) runIds.push(runId);
    return runIds.indexOf(runId);
  }
  function tell(what: string, answer: unknown): void {
    said.push([what, answer]);
  }
  function outcomeOf(answer: BeginOutcome | undefined): unknown {
    if (answer === undefined) return undefined;
    if (answer.outcome === "busy") return [answer.outcome, number(answer.runId)];
    if (!("run" in answer)) return [answer.outcome];
    leases.push(answer.run.leaseToken);
    const { runId, mode, checkpoint, organizationId, source, parameters } = answer.run;
    return [answer.outcome, number(runId), mode, checkpoint, organizationId, source, parameters];
  }
  async function begin(mode: RunMode): Promise<void> {
    tell(`begin ${mode}`, outcomeOf(await store.beginRun(connection, mode, {})));
  }
  async function page(
    what: string,
    snapshots: readonly ReturnType<typeof buildSnapshot>[],
    run = runIds.length - 1,
    lease = leases.length - 1,
  ): Promise<void> {
    const answer = await store.checkpointRun({
      runId: runIds[run]!,
      leaseToken: leases[lease]!,
      checkpoint: { page: said.length },
      counters: {},
      snapshots,
      sightedIds: snapshots.map(({ external_id }) => external_id),
    }).then(
      (verdicts) => verdicts.map(({ externalId, verdict }) => [externalId, verdict]),
      (error) => error.code,
    );
    tell(what, answer);
  }
  async function finish(status: "stopped" | "completed" | "failed", run: number): Promise<void> {
    const end = { status, checkpoint: { at: status }, counters: {}, error: null };
    const lease = leases.at(-1)!;
    tell(
      `finish ${run} ${status}`,
      await store.finishRun({ runId: runIds[run]!, leaseToken: lease, ...end }),
    );
  }
  async function resume(run: number): Promise<void> {
    tell(`resume ${run}`, outcomeOf(await store.resumeRun(runIds[run]!)));
  }
  async function list(): Promise<void> {
    const runs = await store.listResumableRuns(10);
    tell("resumable", runs.map(({ runId, mode, source }) => [number(runId), mode, source]));
  }

  await begin("full");
  await begin("full");
  await list();
  await page("two new bookings", [a!, b!]);
  await page("the same again", [a!, b!]);
  await page("one changed", [changed]);
  await page("a sign of life", []);
  await pause(true);
  await page("paused", [a!]);
  await begin("incremental");
  await pause(false);
  await finish("stopped", 0);
  await finish("stopped", 0);
  await page("after it was stopped", [a!]);
  await list();
  await begin("full");
  await kill();
  await list();
  await resume(0);
  await page("by the worker that was dead", [a!], 0, leases.length - 2);
  await page("by its successor", [changed], 0);
  await finish("completed", 0);
  await resume(0);
  await begin("full");
  await begin("incremental");
  await finish("failed", 2);
  await resume(2);
  await begin("incremental");
  return said;
}

stackTest("fakeRuns() answers as the run store on Postgres does", async (stack) => {
  assert.deepEqual(await play(fake()), await play(await real(stack)));
});
