import assert from "node:assert/strict";
import type { SingleAnswer } from "../source/booking_source.ts";
import { SourceError } from "../source/source_error.ts";
import type { BookingSourceName } from "../booking/status.ts";
import { DatabaseError, DatabaseUnavailable } from "../errors.ts";
import type { DeliveryEnd, FinishedDelivery } from "../inbox/inbox.ts";
import { captureLog, fakeInbox, finished, never, NOW, ORGANIZATION } from "../testing.ts";
import { OTHER_ORGANIZATION } from "../testing.ts";
import type { SnapshotBatch, Verdict } from "./booking_store.ts";
import type { ClaimedDelivery, ClaimTask } from "./delivery_queue.ts";
import { drain, type DrainDeps, type DrainTask } from "./drain.ts";
import type { BookingToRead } from "./read_booking.ts";

/** A due delivery of booking `n`. */
function due(n: number, changes: Partial<ClaimedDelivery> = {}): ClaimedDelivery {
  return {
    deliveryId: `d-${n}`,
    leaseToken: `l-${n}`,
    organizationId: ORGANIZATION,
    source: "eventflow",
    externalId: `b-${n}`,
    attempts: 1,
    ...changes,
  };
}

function found(externalId: string): SingleAnswer {
  const snapshot = {
    external_id: externalId,
    fetched_at: "2026-08-04T17:11:00.000Z",
    content_hash: "0".repeat(64),
    booking: { title: "Tält" },
  };
  return { kind: "stated", snapshot };
}

/** A drain in its good case over a queue of deliveries; a test breaks one thing. */
function build(queued: readonly ClaimedDelivery[], changes: {
  readonly answer?: (externalId: string) => Promise<SingleAnswer>;
  readonly verdict?: (batch: SnapshotBatch) => Partial<Verdict> | Error;
  readonly finish?: (end: DeliveryEnd) => FinishedDelivery;
  readonly deps?: Partial<DrainDeps>;
  readonly now?: () => number;
  /** Bookings that were not read for too long. */
  readonly stale?: readonly BookingToRead[];
} = {}) {
  const { answer = (id: string) => Promise.resolve(found(id)), verdict = () => ({}) } = changes;
  const waiting = [...queued];
  const stale = [...changes.stale ?? []];
  const claims: ClaimTask[] = [];
  const reads: string[] = [];
  const calls: SnapshotBatch[] = [];
  let atOnce = 0;
  let mostAtOnce = 0;
  const inbox = fakeInbox({
    finish: changes.finish ?? (({ status }) => finished({ status })),
  });
  const log = captureLog();
  function source(name: BookingSourceName) {
    return {
      name,
      async readSingle({ externalId }: { externalId: string }) {
        reads.push(externalId);
        mostAtOnce = Math.max(mostAtOnce, ++atOnce);
        try {
          return await answer(externalId);
        } finally {
          atOnce -= 1;
        }
      },
      readPage: () => never<never>(),
    };
  }
  const deps: DrainDeps = {
    sources: { eventflow: source("eventflow"), headout: source("headout") },
    bookings: {
      applySnapshots(batch) {
        calls.push(batch);
        const changed = verdict(batch);
        if (changed instanceof Error) return Promise.reject(changed);
        return Promise.resolve(batch.snapshots.map((snapshot) => ({
          externalId: snapshot.external_id,
          verdict: "updated",
          bookingId: "7",
          changes: {},
          error: null,
          ...changed,
        })));
      },
    },
    queue: {
      claimDeliveries(task) {
        claims.push(task);
        const mine = waiting.filter(({ source }) => source === task.source)
          .slice(0, task.maxDeliveries);
        for (const each of mine) waiting.splice(waiting.indexOf(each), 1);
        return Promise.resolve(mine);
      },
      claimRefreshes(task) {
        const mine = stale.filter(({ source }) => source === task.source)
          .slice(0, task.maxDeliveries);
        for (const each of mine) stale.splice(stale.indexOf(each), 1);
        return Promise.resolve(mine);
      },
    },
    inbox,
    log,
    now: changes.now ?? (() => NOW),
    ...changes.deps,
  };
  const run = (task: Partial<DrainTask> = {}) =>
    drain(deps, { startedAt: NOW, budgetMs: 110_000, ...task });
  const { queue, sources } = deps;
  return {
    ...{ run, claims, reads, calls, inbox, log, queue, sources, waiting },
    mostAtOnce: () => mostAtOnce,
  };
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

Deno.test("drain() applies the bookings of each organization and source in one call", async () => {
  const { run, calls, inbox, reads } = build([
    due(1),
    due(2, { organizationId: OTHER_ORGANIZATION }),
    due(3),
    due(4, { source: "headout" }),
  ]);
  const { completed, counters } = await run();
  assert.equal(completed, true);
  assert.deepEqual(reads.toSorted(), ["b-1", "b-2", "b-3", "b-4"]);
  assert.deepEqual(
    calls.map(({ organizationId, source, deliveries }) => [
      organizationId,
      source,
      deliveries?.map(({ deliveryId, leaseToken }) => [deliveryId, leaseToken]),
    ]).toSorted(),
    [
      [ORGANIZATION, "eventflow", [["d-1", "l-1"], ["d-3", "l-3"]]],
      [ORGANIZATION, "headout", [["d-4", "l-4"]]],
      [OTHER_ORGANIZATION, "eventflow", [["d-2", "l-2"]]],
    ],
  );
  assert.equal(inbox.ends.length, 0); // apply_snapshots has finished them
  assert.deepEqual(counters, {
    claimed: 4,
    succeeded: 4,
    stale: 0,
    held: 0,
    failed: 0,
    dead: 0,
    given_back: 0,
    lost: 0,
    source_reads: 4,
    applied_calls: 3,
    refreshed: 0,
  });
});

Deno.test("drain() goes on until nothing is due, reading eight bookings at once", async () => {
  const { run, claims, mostAtOnce } = build(numbers(250).map((n) => due(n)), {
    answer: async (id) => {
      await new Promise((resolve) => setTimeout(resolve));
      return found(id);
    },
  });
  const { counters } = await run();
  assert.equal(counters.succeeded, 250);
  assert.equal(mostAtOnce(), 8);
  const claimed = claims.filter(({ source }) => source === "eventflow");
  assert.ok(claimed.every(({ maxDeliveries }) => maxDeliveries <= 100));
});

Deno.test("drain() claims no more than its limit", async () => {
  const { run, waiting } = build([due(1), due(2, { source: "headout" }), due(3), due(4)]);
  const { completed, more, counters } = await run({ limit: 2 });
  assert.deepEqual([completed, more, counters.claimed, waiting.length], [false, true, 2, 2]);
});

for (const limit of [1, 2, 3, 100]) {
  Deno.test(`drain() with a limit of ${limit} uses it up, whichever source has something due`, async () => {
    const headout = numbers(150).map((n) => due(n, { source: "headout" }));
    const only = await build(headout).run({ limit });
    assert.deepEqual([only.counters.succeeded, only.completed, only.more], [limit, false, true]);
    const mixed = await build([due(1_000), ...headout]).run({ limit });
    assert.deepEqual([mixed.counters.succeeded, mixed.more], [limit, true]);
  });

  Deno.test(`drain() with a limit of ${limit} says that an empty inbox is done`, async () => {
    const { completed, more, counters } = await build([]).run({ limit });
    assert.deepEqual([completed, more, counters.claimed], [true, false, 0]);
  });
}

Deno.test("drain() claims no more once its share of the CPU is used up", async () => {
  let batches = 0;
  const { run } = build(numbers(1_000).map((n) => due(n)));
  const { completed, more, counters } = await run({ isSpent: () => ++batches > 4 });
  assert.deepEqual([completed, more], [false, true]);
  assert.ok(counters.claimed >= 200 && counters.claimed <= 400, `${counters.claimed}`);
});

Deno.test("drain() stops before its budget and says that more is due", async () => {
  let time = NOW;
  const { run, claims } = build(numbers(1_000).map((n) => due(n)), {
    now: () => time,
    answer: (id) => {
      time += 100; // one after the other, since they share the clock
      return Promise.resolve(found(id));
    },
  });
  const { completed, counters } = await run({ budgetMs: 20_000 });
  assert.equal(completed, false);
  assert.ok(time - NOW <= 15_000, `it read for ${time - NOW} ms`);
  assert.ok(counters.claimed >= 100 && counters.claimed < 200, `${counters.claimed}`);
  assert.ok(claims.at(-1)!.maxDeliveries <= 50); // what the remaining time allows
  assert.equal(counters.succeeded + counters.given_back, counters.claimed);
});

Deno.test("drain() gives back untouched what it had no time to read", async () => {
  let time = NOW;
  const { run, inbox } = build(numbers(20).map((n) => due(n)), {
    now: () => time,
    answer: (id) => {
      time += 10_000;
      return Promise.resolve(found(id));
    },
  });
  const { counters } = await run();
  assert.ok(counters.given_back > 0);
  assert.equal(counters.succeeded + counters.given_back, counters.claimed);
  for (const end of inbox.ends) {
    assert.deepEqual([end.status, end.lastError], ["pending", undefined]); // costs no attempt
  }
});

const FAILURES: readonly (readonly [string, SourceError, string, string])[] = [
  ["a passing fault", new SourceError("source_unavailable", "m"), "pending", "failed"],
  ["an answer that contradicts", new SourceError("source_contradiction", "m"), "dead", "dead"],
  ["an unusable answer", new SourceError("source_invalid", "m"), "dead", "dead"],
];

for (const [what, error, status, counter] of FAILURES) {
  Deno.test(`drain() finishes the delivery of ${what} as ${status} and goes on`, async () => {
    const { run, inbox, calls } = build([due(1), due(2)], {
      answer: (id) => id === "b-1" ? Promise.reject(error) : Promise.resolve(found(id)),
    });
    const { completed, counters } = await run();
    assert.deepEqual(inbox.ends.map((end) => [end.deliveryId, end.leaseToken, end.status]), [
      ["d-1", "l-1", status],
    ]);
    assert.equal(inbox.ends[0]?.lastError?.["code"], error.code);
    assert.equal(counters[counter as "failed" | "dead"], 1);
    assert.deepEqual(calls[0]?.snapshots.map((snapshot) => snapshot.external_id), ["b-2"]);
    assert.equal(completed, true);
  });
}

Deno.test("drain() ends the delivery of a booking that the source does not have", async () => {
  const { run, inbox } = build([due(1)], {
    answer: () => Promise.resolve({ kind: "absent", reason: "archived" }),
  });
  const { counters } = await run();
  assert.equal(inbox.ends[0]?.status, "succeeded");
  assert.equal(inbox.ends[0]?.result?.["outcome"], "not_found");
  assert.equal(counters.succeeded, 1);
});

Deno.test("drain() stops asking a source that says when to come back", async () => {
  const error = new SourceError("source_unavailable", "m", { retryAfterMs: 90_000 });
  const { run, inbox, reads } = build(numbers(50).map((n) => due(n)), {
    answer: () => Promise.reject(error),
  });
  const { completed, more, counters } = await run();
  assert.deepEqual([completed, more], [false, false]); // only waiting helps
  assert.ok(reads.length <= 8, `${reads.length} reads`);
  assert.equal(counters.failed + counters.given_back, 50);
  assert.ok(inbox.ends.every((end) => end.retryAfterMs === 90_000));
  const untouched = inbox.ends.filter((end) => end.lastError === undefined);
  assert.equal(untouched.length, counters.given_back);
});

Deno.test("drain() stops asking a source that is down, and goes on with the other", async () => {
  const down = new SourceError("source_unavailable", "m");
  const { run, reads } = build([
    ...numbers(50).map((n) => due(n)),
    due(99, { source: "headout" }),
  ], {
    answer: (id) => id === "b-99" ? Promise.resolve(found(id)) : Promise.reject(down),
  });
  const { completed, counters } = await run();
  assert.deepEqual([completed, counters.succeeded], [false, 1]);
  assert.ok(reads.length <= 17, `${reads.length} reads`);
});

Deno.test("drain() is not stopped by bookings that always fail", async () => {
  const error = new SourceError("source_unavailable", "m");
  const { run } = build(numbers(100).map((n) => due(n)), {
    answer: (id) => /[1-3]$/.test(id) ? Promise.reject(error) : Promise.resolve(found(id)),
  });
  const { completed, counters } = await run();
  assert.deepEqual([completed, counters.succeeded, counters.failed], [true, 70, 30]);
});

Deno.test("drain() applies alone what has failed twice, so that it takes no other with it", async () => {
  const { run, calls, log } = build([due(1), due(2, { attempts: 3 }), due(3)], {
    verdict: ({ snapshots }) =>
      snapshots.some((each) => each.external_id === "b-2") ? new DatabaseUnavailable() : {},
  });
  const { counters } = await run();
  assert.deepEqual(
    calls.map(({ snapshots }) => snapshots.map((each) => each.external_id)).toSorted(),
    [["b-1", "b-3"], ["b-2"]],
  );
  assert.deepEqual([counters.succeeded, counters.failed], [2, 1]);
  assert.equal(log.lines[0]?.["error_code"], "inbox_unavailable");
});

Deno.test("drain() gives the deliveries back when the call that applies them fails", async () => {
  const { run, inbox } = build([due(1), due(2)], { verdict: () => new TypeError("a fault") });
  const { counters } = await run();
  assert.equal(counters.failed, 2);
  assert.deepEqual(inbox.ends.map((end) => end.lastError?.["code"]), [
    "internal_error",
    "internal_error",
  ]);
  assert.doesNotMatch(JSON.stringify(inbox.ends), /a fault/);
});

for (
  const [verdict, counter, ends] of [
    ["stale", "stale", 0],
    ["held", "held", 0],
    ["invalid", "dead", 0],
    ["lease_lost", "lost", 0],
    ["paused", "given_back", 1],
    ["unknown_organization", "dead", 1],
  ] as const
) {
  Deno.test(`drain() counts the verdict ${verdict} as ${counter}`, async () => {
    const { run, inbox } = build([due(1)], { verdict: () => ({ verdict }) });
    const { counters } = await run();
    assert.deepEqual([counters[counter], inbox.ends.length], [1, ends]);
  });
}

Deno.test("drain() leaves the deliveries of a source without a key alone", async () => {
  const { run, waiting } = build([due(1)], { deps: { sources: {} } });
  const { counters } = await run();
  assert.deepEqual([counters.claimed, waiting.length], [0, 1]);
});

Deno.test("drain() throws when the database is unreachable", async () => {
  const queue = {
    claimDeliveries: () => Promise.reject(new DatabaseUnavailable()),
    claimRefreshes: () => Promise.resolve([]),
  };
  const { run } = build([], { deps: { queue } });
  await assert.rejects(run(), DatabaseUnavailable);
});

/** A queue whose claim for one source fails, but not for the other. */
function failingFor(source: BookingSourceName, error: Error) {
  const { queue } = build([due(1), due(2, { source: "headout" })]);
  return {
    claimRefreshes: queue.claimRefreshes,
    claimDeliveries: (task: ClaimTask) =>
      task.source === source ? Promise.reject(error) : queue.claimDeliveries(task),
  };
}

const FAULT = new DatabaseError("claim_deliveries", "42883", "no such function anna@ek.se");

for (const limit of [undefined, 100]) {
  Deno.test(`drain() goes on with the other source after an unexpected error, limit ${limit}`, async () => {
    const { run, log } = build([], { deps: { queue: failingFor("eventflow", FAULT) } });
    const { completed, more, counters } = await run({ limit });
    assert.deepEqual([completed, more, counters.succeeded], [false, false, 1]);
    assert.deepEqual(log.lines, [{
      level: "error",
      message: "a source was not drained",
      source: "eventflow",
      error: "DatabaseError",
      error_code: "42883",
      rpc: "claim_deliveries",
    }]);
  });
}

Deno.test("drain() throws when every source ends with an unexpected error", async () => {
  const queue = {
    claimDeliveries: () => Promise.reject(FAULT),
    claimRefreshes: () => Promise.resolve([]),
  };
  await assert.rejects(build([], { deps: { queue } }).run(), FAULT);
  const { sources } = build([]);
  const one = { queue, sources: { headout: sources.headout! } };
  await assert.rejects(build([], { deps: one }).run(), FAULT);
});

Deno.test("drain() throws when the database is unreachable for one source", async () => {
  const queue = failingFor("headout", new DatabaseUnavailable());
  await assert.rejects(build([], { deps: { queue } }).run(), DatabaseUnavailable);
});

Deno.test("drain() applies what it has read before it gives back the rest", async () => {
  const down = new SourceError("source_unavailable", "m", { retryAfterMs: 90_000 });
  let applied = 0;
  const { run, inbox } = build(numbers(30).map((n) => due(n)), {
    answer: (id) => id === "b-12" ? Promise.reject(down) : Promise.resolve(found(id)),
    verdict: ({ snapshots }) => {
      applied += snapshots.length;
      return {};
    },
    finish: ({ status, lastError }) => {
      if (lastError === undefined) throw new DatabaseUnavailable(); // no give-back succeeds
      return finished({ status });
    },
  });
  await assert.rejects(run(), DatabaseUnavailable);
  assert.ok(applied >= 12, `${applied} of what was read`);
  const untried = inbox.ends.filter((end) => end.lastError === undefined);
  assert.equal(applied + 1 + untried.length, 30); // each of them was tried
});

Deno.test("drain() applies the other groups when one delivery cannot be finished", async () => {
  const { run, calls, inbox } = build([
    due(1),
    due(2, { attempts: 3 }),
    due(3, { organizationId: OTHER_ORGANIZATION }),
    due(4),
  ], {
    answer: (id) =>
      id === "b-1"
        ? Promise.reject(new SourceError("source_invalid", "m"))
        : Promise.resolve(found(id)),
    verdict: ({ snapshots }) => snapshots[0]?.external_id === "b-2" ? new TypeError("a fault") : {},
    finish: () => {
      throw new DatabaseUnavailable();
    },
  });
  await assert.rejects(run(), DatabaseUnavailable);
  assert.deepEqual(inbox.ends.map((end) => end.deliveryId), ["d-1", "d-2"]);
  assert.deepEqual(calls.map(({ snapshots }) => snapshots.map((each) => each.external_id)), [
    ["b-2"],
    ["b-3"],
    ["b-4"],
  ]);
});

Deno.test("drain() applies the other bookings when one answer breaks the reading itself", async () => {
  const { run, calls, log } = build([due(1), due(2), due(3, { source: "headout" })], {
    answer: (id) =>
      id === "b-1" ? Promise.reject(new TypeError("a fault")) : Promise.resolve(found(id)),
  });
  const { completed, more, counters } = await run();
  assert.deepEqual(calls.map(({ snapshots }) => snapshots.map((each) => each.external_id)), [
    ["b-2"],
    ["b-3"],
  ]);
  assert.deepEqual([completed, more, counters.succeeded, counters.lost], [false, false, 2, 1]);
  assert.deepEqual([log.lines[0]?.["source"], log.lines[0]?.["error"]], ["eventflow", "TypeError"]);
});

Deno.test("drain() does not go on for longer than its lease with a database that fails", async () => {
  let time = NOW;
  const { run, calls, inbox } = build(
    numbers(50).map((n) => due(n, { attempts: 3 })), // each is a separate group
    {
      now: () => time,
      verdict: () => new DatabaseUnavailable(),
      finish: () => {
        time += 10_000; // it hangs
        throw new DatabaseUnavailable();
      },
    },
  );
  await assert.rejects(run(), DatabaseUnavailable);
  assert.ok(time - NOW <= 70_000, `${time - NOW} ms`);
  assert.ok(calls.length > 1 && inbox.ends.length > 1);
});

Deno.test("drain() starts no more reads once its answers are large, and takes the rest later", async () => {
  const MB = 1024 * 1024;
  let reading = 0;
  let heaviest = 0;
  let held = 0;
  const { run, inbox, calls } = build(numbers(40).map((n) => due(n)), {
    answer: async (id) => {
      reading += 1;
      await new Promise((resolve) => setTimeout(resolve));
      reading -= 1;
      held += 7 * MB;
      heaviest = Math.max(heaviest, held + reading * 7 * MB);
      return { ...found(id), bytes: 7 * MB };
    },
    verdict: ({ snapshots }) => {
      held -= snapshots.length * 7 * MB;
      return {};
    },
    deps: { queue: requeueing(40) },
  });
  const { completed, counters } = await run();
  assert.ok(heaviest <= 64 * MB, `${heaviest / MB} MB at once`);
  assert.deepEqual([completed, counters.succeeded], [true, 40]);
  assert.equal(counters.claimed, counters.succeeded + counters.given_back);
  assert.ok(inbox.ends.every((end) => end.lastError === undefined)); // costs no attempt
  assert.ok(calls.every(({ snapshots }) => snapshots.length === 1));

  /** A delivery that is given back is due again at once. */
  function requeueing(count: number) {
    const done = new Set<string>();
    return {
      claimRefreshes: () => Promise.resolve([]),
      claimDeliveries({ source, maxDeliveries }: ClaimTask) {
        for (const { snapshots } of calls) for (const each of snapshots) done.add(each.external_id);
        const left = numbers(count).map((n) => due(n)).filter((each) => !done.has(each.externalId));
        return Promise.resolve(source === "eventflow" ? left.slice(0, maxDeliveries) : []);
      },
    };
  }
});

const stale = (n: number): BookingToRead => ({
  organizationId: ORGANIZATION,
  source: "eventflow",
  externalId: `s-${n}`,
});

Deno.test("drain() reads what was not read for too long, after what is due", async () => {
  const { run, reads, calls } = build([due(1), due(2)], { stale: [stale(1)] });
  const { completed, counters } = await run();
  assert.deepEqual(reads, ["b-1", "b-2", "s-1"]);
  assert.deepEqual([completed, counters.claimed, counters.succeeded, counters.refreshed], [
    true,
    2,
    2,
    1,
  ]);
  // It belongs to no delivery.
  assert.deepEqual(calls.at(-1)?.deliveries ?? [], []);
});

Deno.test("drain() comes back to what has become due between two readings", async () => {
  const { run, reads, waiting } = build([], {
    stale: numbers(9).map(stale),
    answer: (id) => {
      if (id === "s-0") waiting.push(due(1));
      return Promise.resolve(found(id));
    },
  });
  await run();
  assert.equal(reads.length, 10);
  assert.ok(reads.indexOf("b-1") < reads.indexOf("s-8"), reads.join(" "));
});

Deno.test("drain() goes on when one booking cannot be refreshed, and ends when its source is down", async () => {
  const one = build([], {
    stale: numbers(3).map(stale),
    answer: (id) =>
      id === "s-1"
        ? Promise.resolve({ kind: "absent", reason: "not_found" })
        : Promise.resolve(found(id)),
  });
  assert.equal((await one.run()).counters.refreshed, 2);
  const down = build([], {
    stale: numbers(60).map(stale),
    answer: () => Promise.reject(new SourceError("source_unavailable", "down")),
  });
  const { completed, counters } = await down.run();
  assert.deepEqual([completed, counters.refreshed], [false, 0]);
  assert.ok(down.reads.length < 60, `${down.reads.length} reads of a source that is down`);
});
