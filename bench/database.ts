import postgres from "postgres";
import { createBookingDatabase } from "../tests/support/booking_database.ts";
import { only } from "../tests/support/tenant.ts";
import { benchPage } from "./bench_page.ts";
import type { Benchmark, BenchmarkContext } from "./benchmark.ts";
import { withFreshDatabase } from "./fresh_database.ts";
import { median } from "./statistics.ts";

/** Blocks of a round. A value is the median of a block's calls. */
const BLOCKS = 10;
/** Calls of each function in a block. */
const CALLS = 20;
/** Bookings that are stored before: each call has one that no call has touched. */
const STORED = 500;

const functions = [
  "receive_delivery",
  "apply_snapshots of one booking",
  "claim_deliveries + finish_delivery",
  "apply_headout_event",
  "explain_booking",
] as const;

/**
 * The functions behind one webhook, one call a transaction, in one session. Their unit is a bare
 * insert of one small row, timed in turn with them: machine and disk are in both.
 */
export const databaseBenchmark: Benchmark = {
  name: "database",
  description: "one call of each hot function, in units of a bare insert",
  quick: false,
  defaultRounds: 3,
  figures: [
    { name: "bare insert", unit: "ms", better: "lower" },
    ...functions.map((name) => ({ name, unit: "inserts", better: "lower" }) as const),
  ],
  run: (context) =>
    withFreshDatabase(context, async (database, url) => {
      const db = createBookingDatabase(database);
      const tenant = await db.tenant();
      await tenant.apply(benchPage(0, STORED, "first"));
      await db.exec(`
        create table public.bench_inserts (
          id bigint generated always as identity primary key, external_id text not null, body jsonb
        );
        grant insert on public.bench_inserts to service_role;
        analyze;`);
      // One session with prepared statements, as PostgREST has them.
      const client = postgres(url, { max: 1, prepare: true, onnotice: () => {} });
      try {
        await client.unsafe("set role service_role");
        return await time(client, tenant.id, context);
      } finally {
        await client.end();
      }
    }),
};

type Row = Readonly<Record<string, string>>;

async function time(
  client: postgres.Sql,
  organizationId: string,
  { signal, turn }: BenchmarkContext,
): Promise<Record<string, readonly number[]>> {
  /** Milliseconds of the present block's calls. */
  const times = new Map<string, number[]>();
  const pages = { first: benchPage(0, STORED, "first"), changed: benchPage(0, STORED, "changed") };

  async function one(sql: string, parameters: readonly (string | null)[]): Promise<Row> {
    return only(await client.unsafe(sql, [...parameters], { prepare: true })) as Row;
  }
  async function timed(name: string, call: () => Promise<Row>): Promise<Row> {
    const began = performance.now();
    const row = await call();
    const ms = performance.now() - began;
    const known = times.get(name);
    if (known === undefined) times.set(name, [ms]);
    else known.push(ms);
    return row;
  }
  const receive = (externalId: string, claim: boolean) =>
    one(
      `select delivery_id::text, outcome, lease_token::text from public.receive_delivery(
         function => 'receive-booking', source => 'eventflow', organization_id => $1,
         external_id => $2, event_type => 'updated', body => $3::text::jsonb, claim => $4::text::boolean)`,
      [organizationId, externalId, bodyOf(externalId), String(claim)],
    );
  const finish = (deliveryId: string | undefined, lease: string | undefined) =>
    one(
      `select finished::text as outcome from public.finish_delivery(
         delivery_id => $1, status => 'succeeded', lease_token => $2)`,
      [deliveryId ?? null, lease ?? null],
    );
  const event = (externalId: string, type: string, at: string) =>
    one(
      `select delivery_id::text, outcome, lease_token::text from public.apply_headout_event(
         external_id => $1, event_type => $2, event_timestamp => $3, organization_id => $4,
         body => $5::text::jsonb)`,
      [externalId, type, at, organizationId, bodyOf(externalId)],
    );

  async function callEach(call: number): Promise<void> {
    const externalId = pages.first[call]?.external_id ?? "";

    await timed("bare insert", () =>
      one(
        `insert into public.bench_inserts (external_id, body) values ($1, $2::text::jsonb)
         returning external_id as outcome`,
        [externalId, bodyOf(externalId)],
      ));

    // A webhook of a stored booking, and what was read then, which ends the delivery.
    const delivery = await timed("receive_delivery", () => receive(externalId, true));
    expect("receive_delivery", delivery, "claimed");
    const applied = await timed("apply_snapshots of one booking", () =>
      one(
        `select verdict as outcome, booking_id::text from public.apply_snapshots(
           organization_id => $1, source => 'eventflow', snapshots => $2::text::jsonb,
           delivery_id => $3, lease_token => $4)`,
        [
          organizationId,
          JSON.stringify([pages.changed[call]]),
          delivery.delivery_id ?? null,
          delivery.lease_token ?? null,
        ],
      ));
    expect("apply_snapshots", applied, "updated");

    // One that waits for a drain.
    expect("receive_delivery", await receive(externalId, false), "deferred");
    const finished = await timed("claim_deliveries + finish_delivery", async () => {
      const claimed = await one(
        `select delivery_id::text, lease_token::text from public.claim_deliveries(1, 'eventflow')`,
        [],
      );
      return await finish(claimed.delivery_id, claimed.lease_token);
    });
    expect("finish_delivery", finished, "true");

    // A Headout booking that is known, and the event that confirms it.
    const headoutId = String(10_000_000 + call);
    const stub = await event(headoutId, "PENDING", "2026-08-04T10:00:00");
    expect("apply_headout_event", stub, "stub_created");
    await finish(stub.delivery_id, stub.lease_token);
    const confirmed = await timed(
      "apply_headout_event",
      () => event(headoutId, "COMPLETED", "2026-08-04T10:00:05"),
    );
    expect("apply_headout_event", confirmed, "applied");
    await finish(confirmed.delivery_id, confirmed.lease_token);

    await timed("explain_booking", async () => {
      const rows = await client.unsafe(
        "select * from public.explain_booking(booking_id => $1)",
        [applied.booking_id ?? null],
        { prepare: true },
      );
      if (rows.length === 0) throw new Error("explain_booking: expected rows, got none");
      return {};
    });
  }

  const blocks: Record<string, number[]> = {};
  // The first block counts for nothing: plans are made, functions compiled.
  for (let block = 0; block <= BLOCKS; block++) {
    signal.throwIfAborted();
    times.clear();
    await turn(async () => {
      for (let call = 0; call < CALLS; call++) await callEach(block * CALLS + call);
    });
    if (block === 0) continue;
    const insert = median(times.get("bare insert") ?? []);
    (blocks["bare insert"] ??= []).push(insert);
    for (const name of functions) {
      (blocks[name] ??= []).push(median(times.get(name) ?? []) / insert);
    }
  }
  return blocks;
}

function bodyOf(externalId: string): string {
  return JSON.stringify({ booking_id: externalId, event_type: "updated" });
}

function expect(name: string, { outcome }: Row, wanted: string): void {
  if (outcome !== wanted) throw new Error(`${name}: expected "${wanted}", got "${outcome}"`);
}
