import assert from "node:assert/strict";
import { type JsonObject, snapshotSchema } from "../booking/snapshot.ts";
import { SourceError } from "./source_error.ts";
import type { BookingSource, Page, SingleAnswer } from "./booking_source.ts";

/** A recorded payload and what it must become; see `tests/fixtures/`. */
export interface Fixture {
  readonly about: string;
  readonly incident?: number;
  readonly request: {
    readonly read: "single" | "page";
    readonly external_id?: string;
    readonly organization_id: string;
    readonly cursor?: number;
    readonly page_limit?: number;
  };
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly response: unknown;
  readonly expect: Expected;
}

interface Expected {
  readonly kind?: string;
  readonly reason?: string;
  /** Members that the snapshot has, each in full. */
  readonly snapshot?: JsonObject;
  /** Members that the snapshot must not have. */
  readonly without?: readonly string[];
  /** `[field, code]` of every warning, in order. */
  readonly warnings?: readonly (readonly string[])[];
  readonly error?: JsonObject;
  readonly page?: JsonObject;
}

/** The moment at which every fixture is read, milliseconds since the epoch. */
export const FIXTURE_NOW = Date.parse("2026-11-21T12:00:00Z");

/**
 * One test per file of `tests/fixtures/{folder}/`: the source that `createSource` makes reads the
 * fixture's answer through its client, with the network replaced by `fetch`.
 */
export function testFixtures(
  folder: string,
  createSource: (fetch: typeof globalThis.fetch, fixture: Fixture) => BookingSource,
): void {
  const directory = new URL(`../../../../tests/fixtures/${folder}/`, import.meta.url);
  for (const file of [...Deno.readDirSync(directory)].map(({ name }) => name).sort()) {
    const fixture: Fixture = JSON.parse(Deno.readTextFileSync(new URL(file, directory)));
    const source = createSource(() => Promise.resolve(respond(fixture)), fixture);
    Deno.test(`${source.name} client ${fixture.about} (${file})`, () => check(fixture, source));
  }
}

async function check(fixture: Fixture, source: BookingSource): Promise<void> {
  const { expect } = fixture;
  if (expect.error !== undefined) return await assertFails(fixture, source, expect.error);
  const answer = await read(fixture, source);
  if ("kind" in answer) assertAnswer(answer, expect);
  else assertPage(answer, expect.page ?? {});
}

function respond({ status = 200, headers = {}, response }: Fixture): Response {
  const body = typeof response === "string" ? response : JSON.stringify(response);
  return new Response(body, { status, headers });
}

function read({ request }: Fixture, source: BookingSource): Promise<SingleAnswer | Page> {
  const { organization_id: organizationId, external_id: externalId = "", cursor } = request;
  return request.read === "single"
    ? source.readSingle({ externalId, organizationId })
    : source.readPage({ organizationId, ...(cursor !== undefined && { cursor }) });
}

function assertAnswer(answer: SingleAnswer, expect: Expected): void {
  // The snapshot tells found, cancelled and deleted apart.
  assert.equal(answer.kind, expect.kind === "absent" ? "absent" : "stated");
  if (answer.kind === "absent") return assert.equal(answer.reason, expect.reason);
  assertSnapshot(answer.snapshot, expect.snapshot ?? {});
  for (const key of expect.without ?? []) {
    assert.equal(Object.hasOwn(answer.snapshot, key), false, `has ${key}`);
  }
  const warned = (answer.snapshot.warnings ?? []).map(({ field, code }) => [field, code]);
  assert.deepEqual(warned, expect.warnings ?? []);
}

function assertSnapshot(snapshot: object, expected: JsonObject): void {
  snapshotSchema.parse(snapshot);
  for (const [key, value] of Object.entries(expected)) {
    // What a key holds after JSON is what reaches the database.
    assert.deepEqual(asJson((snapshot as JsonObject)[key]), value, key);
  }
}

function assertPage(page: Page, expected: JsonObject): void {
  const { snapshots, invalid, ...rest } = expected;
  const wanted = snapshots as readonly JsonObject[];
  assert.equal(page.snapshots.length, wanted.length);
  page.snapshots.forEach((snapshot, index) => assertSnapshot(snapshot, wanted[index] ?? {}));
  assert.deepEqual(
    page.invalid.map(({ external_id, code, field }) => [external_id ?? null, code, field]),
    invalid,
  );
  const { ids, last, next } = page;
  assert.deepEqual({ ids, last, ...(next !== undefined && { next }) }, rest);
}

async function assertFails(
  fixture: Fixture,
  source: BookingSource,
  expected: JsonObject,
): Promise<void> {
  const { code, retryable, detail, field, retry_after_ms: wait } = expected;
  await assert.rejects(read(fixture, source), (error: unknown) => {
    assert.ok(error instanceof SourceError, String(error));
    const [first] = error.details;
    assert.deepEqual([error.code, error.retryable, first?.code], [code, retryable, detail]);
    assert.equal(error.retryAfterMs, wait);
    if (field !== undefined) assert.equal(first?.field, field);
    return true;
  });
}

function asJson(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
