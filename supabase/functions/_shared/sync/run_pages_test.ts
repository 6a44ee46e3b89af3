import assert from "node:assert/strict";
import type { Page } from "../source/booking_source.ts";
import { SourceError } from "../source/source_error.ts";
import { NOW, ORGANIZATION } from "../testing.ts";
import { NO_CHECKPOINT, passPage, type RunCheckpoint } from "./run_checkpoint.ts";
import { createPageReader } from "./run_pages.ts";
import { eventflowLike, snapshotOf } from "./testing_source.ts";

const ROWS = Array.from({ length: 10 }, (_, index) => `b${index}`);

Deno.test("createPageReader() reads every page once and looks past the end", async () => {
  const { source, asked } = eventflowLike(() => ROWS, 3);
  assert.deepEqual(await readAll(source), ROWS);
  assert.deepEqual(asked, [1, 2, 3, 4, 5]);
});

Deno.test("createPageReader() believes a short first page of an incremental run at once", async () => {
  const { source, asked } = eventflowLike(() => ["b0"], 3);
  assert.deepEqual(await readAll(source, { mode: "incremental" }), ["b0"]);
  assert.deepEqual(asked, [1]);
});

Deno.test("createPageReader() fails for good when the source only sends its first page", async () => {
  const { source, asked } = eventflowLike(() => ROWS, 3, (page) => ({ page: Math.min(page, 1) }));
  await assert.rejects(readAll(source), (error: unknown) => {
    assert.ok(error instanceof SourceError);
    assert.deepEqual([error.code, error.retryable], ["source_invalid", false]);
    return error.details[0]?.code === "page_ignored";
  });
  assert.ok(asked.length < 10, `${asked.length} reads`);
});

Deno.test("createPageReader() knows a repeated page again after a new start", async () => {
  const { source } = eventflowLike(() => ROWS, 3, (page) => ({ page: Math.min(page, 1) }));
  const first = await reader(source)(NO_CHECKPOINT);
  const again = reader(source); // another process, which has seen nothing
  await assert.rejects(again(passPage(NO_CHECKPOINT, first)), { code: "source_invalid" });
});

Deno.test("createPageReader() takes a list that ignores page and limit for the whole", async () => {
  const { source } = eventflowLike(() => ROWS, 3, () => ({ page: 1, size: 20 }));
  assert.deepEqual(await readAll(source), ROWS);
});

Deno.test("createPageReader() ends where a source repeats its last page for ever", async () => {
  const rows = ROWS.slice(0, 9);
  const { source } = eventflowLike(() => rows, 3, (page) => ({ page: Math.min(page, 3) }));
  assert.deepEqual(await readAll(source), rows);
});

for (
  const [what, wrong] of [
    ["repeats the page before", { page: 2 }],
    ["is empty", { page: 99 }],
    ["is short", { page: 3, size: 3, cut: 2 }],
  ] as const
) {
  Deno.test(`createPageReader() reads a page again that ${what} for a moment`, async () => {
    let faults = 1;
    const { source } = eventflowLike(
      () => ROWS,
      3,
      (page) => page === 3 && faults-- > 0 ? wrong : {},
    );
    assert.deepEqual(await readAll(source), ROWS);
  });

  Deno.test(`createPageReader() reads the last page again that ${what} for a moment`, async () => {
    let faults = 1;
    const { source } = eventflowLike(
      () => ROWS.slice(0, 8),
      3,
      (page) => page === 3 && faults-- > 0 && what !== "is short" ? wrong : {},
    );
    assert.deepEqual(await readAll(source), ROWS.slice(0, 8));
  });
}

Deno.test("createPageReader() believes an empty page at last, also as the first", async () => {
  const { source, asked } = eventflowLike(() => ROWS.slice(0, 3), 3);
  assert.deepEqual(await readAll(source), ROWS.slice(0, 3));
  assert.deepEqual(asked, [1, 2, 3, 2, 3, 2, 3]);
  assert.deepEqual(await readAll(eventflowLike(() => [], 3).source), []);
});

Deno.test("createPageReader() fails for now when a page is withheld and others follow", async () => {
  const { source } = eventflowLike(() => ROWS, 3, (page) => page === 3 ? { page: 99 } : {});
  await assert.rejects(readAll(source), (error: unknown) => {
    assert.ok(error instanceof SourceError);
    return error.retryable && error.details[0]?.code === "page_withheld";
  });
});

Deno.test("createPageReader() goes on after a page that is always short", async () => {
  const { source } = eventflowLike(() => ROWS, 3, (page) => page === 2 ? { cut: 1 } : {});
  assert.deepEqual(await readAll(source), ROWS.filter((id) => id !== "b3"));
});

for (const [gone, why] of [[1, "by one"], [2, "by the overlap"], [5, "by more than it"]] as const) {
  Deno.test(`createPageReader() loses nothing when rows move up ${why}`, async () => {
    let rows: readonly string[] = ROWS;
    const { source } = eventflowLike(() => rows, 3, (page) => {
      if (page === 2) rows = ROWS.slice(gone);
      return {};
    }, 2);
    const found = await readAll(source);
    assert.deepEqual(ROWS.slice(Math.max(gone, 3)).filter((id) => !found.includes(id)), []);
  });
}

Deno.test("createPageReader() applies rows once that move down", async () => {
  let rows: readonly string[] = ROWS;
  const { source } = eventflowLike(() => rows, 3, (page) => {
    if (page === 2) rows = ["new", ...ROWS];
    return {};
  }, 2);
  assert.deepEqual(await readAll(source), ROWS);
});

Deno.test("createPageReader() waits as long as the source asks, within the time", async () => {
  let limited = 2;
  const { source } = eventflowLike(() => ROWS, 20, () => {
    if (limited-- > 0) throw tooMany(60_000);
    return {};
  });
  const waits: number[] = [];
  let clock = NOW;
  const sleep = (ms: number): Promise<void> => {
    waits.push(ms);
    clock += ms;
    return Promise.resolve();
  };
  assert.deepEqual(
    await readAll(source, { sleep, now: () => clock, deadline: NOW + 130_000 }),
    ROWS,
  );
  assert.deepEqual(waits, [60_000, 60_000]);
});

Deno.test("createPageReader() gives up when the source asks for longer than there is", async () => {
  const { source, asked } = eventflowLike(() => ROWS, 20, () => {
    throw tooMany(60_000);
  });
  await assert.rejects(readAll(source, { deadline: NOW + 59_000 }), { retryAfterMs: 60_000 });
  assert.equal(asked.length, 1);
});

type Source = ReturnType<typeof eventflowLike>["source"];

function reader(source: Source, options: Partial<Parameters<typeof createPageReader>[0]> = {}) {
  return createPageReader({
    source,
    connection: { organizationId: ORGANIZATION, source: "eventflow" },
    mode: "full",
    parameters: {},
    deadline: NOW + 100_000,
    now: () => NOW,
    sleep: () => Promise.resolve(),
    signal: new AbortController().signal,
    ...options,
  });
}

/** The ids in the order in which they would be applied. */
async function readAll(
  source: Source,
  options: Partial<Parameters<typeof createPageReader>[0]> = {},
): Promise<readonly string[]> {
  const read = reader(source, options);
  const found: string[] = [];
  let checkpoint: RunCheckpoint = NO_CHECKPOINT;
  for (let turns = 0; !checkpoint.done; turns++) {
    assert.ok(turns < 100, "an endless loop");
    const turn = await read(checkpoint);
    found.push(...turn.page.snapshots.map((snapshot) => snapshot.external_id));
    checkpoint = passPage(checkpoint, turn);
  }
  return found;
}

function tooMany(retryAfterMs: number): SourceError {
  return new SourceError("source_unavailable", "429", { retryAfterMs });
}

Deno.test("eventflowLike() behaves as these tests assume", async () => {
  const { source } = eventflowLike(() => ROWS, 3, undefined, 2);
  const page: Page = await source.readPage({ organizationId: ORGANIZATION, cursor: 4 });
  assert.deepEqual([page.ids, page.overlap, page.last, page.probe], [
    ["b9"],
    ["b7", "b8"],
    true,
    5,
  ]);
  assert.deepEqual(page.snapshots.map((each) => each.external_id), ["b7", "b8", "b9"]);
  assert.equal(snapshotOf("b9").external_id, "b9");
});
