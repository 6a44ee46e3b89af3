import assert from "node:assert/strict";
import fc from "fast-check";
import type { Snapshot } from "../../../supabase/functions/_shared/booking/snapshot.ts";
import { type BookingDatabase, pgArray, useDatabase } from "../../support/booking_database.ts";
import { historyGaps } from "../../support/history_gaps.ts";
import { liveRows } from "../../support/live_rows.ts";
import { editAsPlanner, lostEdits, type Written } from "../../support/planner_edits.ts";
import {
  checkBatches,
  fullStatement,
  sequence,
  stated,
  type Statement,
  type Step,
} from "../../support/random_bookings.ts";
import { fullScale } from "../../support/scale.ts";
import type { Tenant, Verdict } from "../../support/tenant.ts";

const test = useDatabase();

test("property: applied twice nothing is written, and nothing of a planner's is ever lost", async (db) => {
  await checkBatches(sequence, (batch) => replay(db, batch), fullScale ? 500 : 80);
});

/** Plays all sequences side by side: moment by moment, each on a booking of its own. */
async function replay(db: BookingDatabase, batch: readonly (readonly Step[])[]): Promise<void> {
  const tenant = await db.tenant({ cancel_budget: 1_000_000 });
  const written: Written = new Map();
  const moments = Math.max(...batch.map((steps) => steps.length));
  for (let moment = 0; moment < moments; moment++) {
    const now = new Date().toISOString();
    const snapshots: Snapshot[] = [];
    const edits = batch.flatMap((steps, index) => {
      const step = steps[moment];
      if (step === undefined) return [];
      if (!("says" in step)) return [{ ...step, external_id: `booking-${index}` }];
      snapshots.push(stated(`booking-${index}`, step.says, now));
      return [];
    });
    const foreseen = await tenant.apply(snapshots, { dry_run: true });
    const verdicts = await tenant.apply(snapshots);
    assert.deepEqual(foreseen.map(countChanges), verdicts.map(countChanges), "the dry run differs");
    const bad = verdicts.filter(({ verdict }) => verdict === "invalid" || verdict === "held");
    assert.deepEqual(bad, []);

    const mark = await db.mark();
    await tenant.apply(snapshots);
    assert.deepEqual(await project(db, tenant), [], "a second projection differs from the first");
    assert.deepEqual(await db.writtenSince(mark), {}, "applied a second time it wrote");
    // Not by the hash: compared with the rows it must come to the same.
    const landed = snapshots.filter((_, index) =>
      ["created", "updated"].includes(verdicts[index]?.verdict ?? "")
    );
    const forced = await tenant.apply(landed, { force: true });
    const changed = forced.filter(({ verdict }) => verdict !== "unchanged");
    assert.deepEqual(changed, [], "compared with the rows it is not the same");
    const rows = landed.length === 0 ? {} : { "sync.source_states": landed.length };
    assert.deepEqual(await db.writtenSince(mark), rows);

    await tenant.asPlanner((sql) => editAsPlanner(sql, edits, written));
  }
  assert.deepEqual(await project(db, tenant), [], "planners' edits call for a projection");
  assert.deepEqual(await lostEdits(db, written), [], "a planner's work was lost");
  assert.deepEqual(await historyGaps(db, tenant.id), [], "history does not add up");
}

/** Verdict and counts; a dry run lists its changes one by one and knows no ids of new rows. */
function countChanges({ external_id, verdict, changes }: Verdict): unknown {
  if (!Array.isArray(changes)) return [external_id, verdict, changes];
  const counts: Record<string, Record<string, number>> = {};
  for (const { table, operation } of changes) {
    counts[table] ??= { created: 0, updated: 0, marked_missing: 0 };
    counts[table][operation] = (counts[table][operation] ?? 0) + 1;
  }
  return [external_id, verdict, counts];
}

async function project(db: BookingDatabase, tenant: Tenant): Promise<readonly unknown[]> {
  const rows = await tenant.select<{ id: number }>("bookings", "id");
  return await db.rpc("project_bookings", {
    booking_ids: pgArray(rows.map(({ id }) => id)),
    detailed: true,
  });
}

const revisions = fc.record({
  statements: fc.array(fullStatement, { minLength: 2, maxLength: 4 }),
  order: fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
  byVersion: fc.boolean(),
});

interface Revisions {
  readonly statements: readonly Statement[];
  readonly order: readonly number[];
  /** Ordered by the source's version, else by when they were read. */
  readonly byVersion: boolean;
}

test("property: the same whole revisions in any order end in the same rows", async (db) => {
  await checkBatches(revisions, (batch) => compareOrders(db, batch), fullScale ? 500 : 80);
});

async function compareOrders(db: BookingDatabase, batch: readonly Revisions[]): Promise<void> {
  const ends: ReadonlyMap<string, unknown>[] = [];
  const began = Date.now();
  for (const shuffled of [false, true]) {
    const tenant = await db.tenant({ cancel_budget: 1_000_000 });
    for (let turn = 0; turn < 4; turn++) {
      await tenant.apply(batch.flatMap((each, index) => {
        const order = shuffled ? shuffle(each) : each.statements.map((_, place) => place);
        const place = order[turn];
        const statement = place === undefined ? undefined : each.statements[place];
        if (place === undefined || statement === undefined) return [];
        const read = new Date(began - 60_000 + (each.byVersion ? 0 : place * 1000)).toISOString();
        const revision = each.byVersion ? { source_version: place + 1 } : {};
        return [stated(`booking-${index}`, { ...statement, ...revision }, read)];
      }));
    }
    ends.push(await liveRows(db, tenant));
  }
  const [straight, other] = ends;
  for (let index = 0; index < batch.length; index++) {
    const id = `booking-${index}`;
    assert.deepEqual(other?.get(id), straight?.get(id), `${id} depends on the order`);
  }
}

/** The places of the statements, in the order that the random numbers give. */
function shuffle({ statements, order }: Revisions): readonly number[] {
  return statements
    .map((_, place) => ({ place, rank: order[place] ?? 0 }))
    .sort((a, b) => a.rank - b.rank || b.place - a.place)
    .map(({ place }) => place);
}
