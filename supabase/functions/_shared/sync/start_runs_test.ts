import assert from "node:assert/strict";
import type { BookingSource } from "../source/booking_source.ts";
import { SourceError } from "../source/source_error.ts";
import { AnswerError, DatabaseUnavailable } from "../errors.ts";
import { NOW } from "../testing.ts";
import type { RunDeps } from "./execute_run.ts";
import { resumeRuns, type RunTask, startRuns } from "./start_runs.ts";
import { fakeRuns } from "./testing_runs.ts";
import { eventflowLike } from "./testing_source.ts";

const ROWS = Array.from({ length: 100 }, (_, index) => `b${index}`);
const TASK: RunTask = { mode: "full", parameters: {} };
const FAR = NOW + 1_000_000;

Deno.test("startRuns() applies every page once and completes", async () => {
  const runs = fakeRuns();
  const [result] = await startRuns(deps(runs, eventflowLike(() => ROWS, 10).source), TASK, FAR);
  assert.deepEqual([result?.completed, result?.stopped], [true, undefined]);
  assert.deepEqual([...runs.applied.values()], ROWS.map(() => 1));
  const { counters } = result!;
  assert.deepEqual([counters.pages, counters.bookings, counters.calls], [11, 100, 1]);
  assert.deepEqual(counters.verdicts, { created: 100 });
  assert.ok(counters.bytes_read >= 1_000);
  assert.equal(runs.runs[0]?.status, "completed");
  assert.deepEqual([...runs.sighted], ROWS);
});

for (let page = 1; page <= 10; page++) {
  Deno.test(`startRuns() goes on after a death at page ${page} with nothing skipped or twice`, async () => {
    let alive = true;
    const runs = fakeRuns((_page, count) => {
      if (alive && count >= page) throw new DatabaseUnavailable();
    });
    const { source } = eventflowLike(() => ROWS, 10, undefined, 2);
    await assert.rejects(startRuns(deps(runs, source), TASK, FAR), DatabaseUnavailable);
    alive = false;
    runs.kill();
    const [result] = await resumeRuns(deps(runs, source), FAR);
    assert.equal(result?.completed, true);
    assert.deepEqual([...runs.applied.keys()], ROWS);
    assert.ok([...runs.applied.values()].every((count) => count === 1));
    assert.equal(runs.runs.length, 1);
  });
}

Deno.test("startRuns() stops after a checkpoint when the time is short, one page per call at least", async () => {
  let clock = NOW;
  const runs = fakeRuns(() => void (clock += 3_000));
  const { source } = eventflowLike(() => ROWS, 10);
  for (let calls = 1;; calls++) {
    assert.ok(calls < 30, "no progress");
    const [result] = await startRuns(
      { ...deps(runs, source), now: () => clock },
      TASK,
      clock + 2_000,
    );
    if (result?.completed) break;
    assert.equal(result?.stopped, "budget");
    assert.equal(runs.runs[0]?.status, "stopped");
  }
  assert.deepEqual([...runs.applied.keys()], ROWS);
  assert.equal(runs.runs.length, 1);
});

Deno.test("startRuns() stops when the CPU is used up", async () => {
  const runs = fakeRuns();
  const { source } = eventflowLike(() => ROWS, 10);
  const busy: BookingSource = {
    ...source,
    readPage: async (args) => {
      const until = performance.now() + 20;
      while (performance.now() < until) JSON.stringify(ROWS);
      return { ...await source.readPage(args), busyMs: 20 };
    },
  };
  const [result] = await startRuns({ ...deps(runs, busy), cpuBudgetMs: 60 }, TASK, FAR);
  assert.equal(result?.stopped, "budget");
  assert.ok(result!.counters.pages < 8, `${result!.counters.pages} pages`);
});

Deno.test("startRuns() reads one page ahead at most", async () => {
  let read = 0;
  const { source } = eventflowLike(() => ROWS.slice(0, 95), 10, () => (read++, {}));
  const runs = fakeRuns((_page, applied) => {
    assert.ok(read <= applied + 2, `page ${read} was read while ${applied} was applied`);
  });
  await startRuns(deps(runs, source), TASK, FAR);
  assert.equal(runs.applied.size, 95);
});

Deno.test("startRuns() answers busy while another worker has the run", async () => {
  const runs = fakeRuns();
  await runs.store.beginRun({} as never, "full", {});
  const [result] = await startRuns(deps(runs, eventflowLike(() => ROWS, 10).source), TASK, FAR);
  assert.deepEqual([result?.completed, result?.stopped, result?.runId], [
    false,
    "running",
    "run-1",
  ]);
  assert.equal(runs.applied.size, 0);
});

Deno.test("startRuns() stops at once when another worker has taken over the run", async () => {
  const runs = fakeRuns((_page, count) => {
    if (count === 2) runs.runs[0]!.leaseToken = "taken";
  });
  const [result] = await startRuns(deps(runs, eventflowLike(() => ROWS, 10).source), TASK, FAR);
  assert.equal(result?.stopped, "running");
});

Deno.test("startRuns() stops the run when the connection is paused, and loses nothing", async () => {
  const runs = fakeRuns((_page, count) => {
    if (count === 3) runs.state.paused = true;
  });
  const { source } = eventflowLike(() => ROWS, 10);
  const [result] = await startRuns(deps(runs, source), TASK, FAR);
  assert.deepEqual([result?.completed, result?.stopped], [false, "paused"]);
  runs.state.paused = false;
  await resumeRuns(deps(runs, source), FAR);
  assert.deepEqual([...runs.applied.values()], ROWS.map(() => 1));
});

Deno.test("startRuns() first resumes a run with other parameters, then does what was asked", async () => {
  const runs = fakeRuns();
  const { source } = eventflowLike(() => ROWS, 10);
  await runs.store.beginRun({} as never, "full", {});
  runs.kill();
  const task = { ...TASK, parameters: { start_date: "2026-01-01" } };
  const [result] = await startRuns(deps(runs, source), task, FAR);
  assert.deepEqual([result?.completed, result?.runId], [true, "run-2"]);
  assert.deepEqual(runs.runs.map((run) => [run.status, run.parameters]), [
    ["completed", {}],
    ["completed", task.parameters],
  ]);
});

Deno.test("startRuns() stops at page 37 of 200 for a temporary fault, and drain ends the run", async () => {
  const rows = Array.from({ length: 2_000 }, (_, index) => `b${index}`);
  let down = true;
  const { source } = eventflowLike(() => rows, 10, (page) => {
    if (page === 37 && down) throw unavailable();
    return {};
  });
  const runs = fakeRuns();
  let clock = NOW;
  const [result] = await startRuns({ ...deps(runs, source), wall: () => clock }, TASK, FAR);
  assert.deepEqual([result?.stopped, result?.fault?.error.code], ["fault", "source_unavailable"]);
  assert.equal(runs.applied.size, 360);
  assert.equal(runs.runs[0]?.status, "stopped");
  down = false;
  // Not before the pause after a fault is over.
  const [early] = await resumeRuns({ ...deps(runs, source), wall: () => clock }, FAR);
  assert.equal(early?.stopped, "waiting");
  clock += 20_000;
  const [resumed] = await resumeRuns({ ...deps(runs, source), wall: () => clock }, FAR);
  assert.equal(resumed?.completed, true);
  assert.equal(runs.applied.size, 2_000);
  assert.ok([...runs.applied.values()].every((count) => count === 1));
});

for (const [mode, status] of [["incremental", "failed"], ["full", "stopped"]] as const) {
  Deno.test(`startRuns() leaves a run ${status} that is ${mode} and whose source stays down`, async () => {
    const { source } = eventflowLike(() => ROWS, 10, () => {
      throw unavailable();
    });
    const runs = fakeRuns();
    let clock = NOW;
    for (let call = 0; call < 12 && runs.runs.length < 2; call++) {
      await startRuns(
        { ...deps(runs, source), wall: () => clock },
        { mode, parameters: {} },
        FAR,
      );
      clock += 700_000;
    }
    assert.equal(runs.runs[0]?.status, status);
  });
}

Deno.test("startRuns() fails a run for good when the source ignores the page", async () => {
  const { source } = eventflowLike(() => ROWS, 10, () => ({ page: 1 }));
  const runs = fakeRuns();
  const [result] = await startRuns(deps(runs, source), TASK, FAR);
  assert.deepEqual([result?.stopped, result?.fault?.error.status], ["failed", 502]);
  assert.equal(runs.runs[0]?.status, "failed");
});

Deno.test("startRuns() repeats a call that the database could not answer", async () => {
  let faults = 2;
  const runs = fakeRuns(() => {
    if (faults-- > 0) throw new DatabaseUnavailable();
  });
  const [result] = await startRuns(deps(runs, eventflowLike(() => ROWS, 10).source), TASK, FAR);
  assert.equal(result?.completed, true);
});

Deno.test("startRuns() reads since the cursor, and since the same one after a stop", async () => {
  const runs = fakeRuns();
  runs.state.cursor = "2026-08-04T10:00:00+00:00";
  const since: (string | undefined)[] = [];
  const { source } = eventflowLike(() => ROWS, 10);
  const watched: BookingSource = {
    ...source,
    readPage: (args) => (since.push(args.since), source.readPage(args)),
  };
  const task: RunTask = { mode: "incremental", parameters: {} };
  await startRuns({ ...deps(runs, watched), cpuBudgetMs: 0 }, task, FAR);
  runs.state.cursor = "2026-08-04T11:00:00+00:00";
  await startRuns(deps(runs, watched), task, FAR);
  assert.deepEqual(new Set(since), new Set(["2026-08-04T10:00:00+00:00"]));
  assert.equal(runs.applied.size, 100);
});

Deno.test("startRuns() refuses a source without an API key and a paused connection by name", async () => {
  const runs = fakeRuns();
  const one = deps(runs, eventflowLike(() => ROWS, 10).source);
  await assert.rejects(
    startRuns(one, { ...TASK, source: "headout" }, FAR),
    (error: unknown) => error instanceof AnswerError && error.code === "not_configured",
  );
  runs.state.paused = true;
  await assert.rejects(
    startRuns(one, { ...TASK, organizationId: "o" }, FAR),
    (error: unknown) => error instanceof AnswerError && error.code === "sync_paused",
  );
  assert.deepEqual(await startRuns(one, TASK, FAR), []);
});

function deps(runs: ReturnType<typeof fakeRuns>, source: BookingSource): RunDeps {
  return {
    sources: { eventflow: source },
    runs: runs.store,
    alarm: () => {},
    now: () => NOW,
    sleep: () => Promise.resolve(),
  };
}

function unavailable(): SourceError {
  return new SourceError("source_unavailable", "down");
}
