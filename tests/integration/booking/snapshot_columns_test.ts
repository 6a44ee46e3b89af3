import assert from "node:assert/strict";
import type { z } from "zod";
import {
  type Snapshot,
  snapshotAttachmentSchema,
  snapshotBookingSchema,
  snapshotDateSchema,
  snapshotProductSchema,
  snapshotSchema,
} from "../../../supabase/functions/_shared/booking/snapshot.ts";
import { buildPartialSnapshot } from "../../support/booking_builder.ts";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";
import { historyGaps } from "../../support/history_gaps.ts";
import { only, type Tenant } from "../../support/tenant.ts";

const test = useDatabase();

type Row = Readonly<Record<string, unknown>>;
type Shape = Readonly<Record<string, z.ZodType>>;

/** Keys that say which row it is, and stay the same. */
const keys: Row = {
  phase: "rig",
  day: "2027-06-10",
  external_id: "row",
  url_key: "https://files.example/a",
};

/** A value of a key that no other key has and that is no default; another one for another `turn`. */
function valueOf(shape: Shape, key: string, turn: 1 | 2): unknown {
  if (key in keys) return keys[key];
  const place = Object.keys(shape).indexOf(key);
  const candidates: readonly unknown[] = [
    ...key === "status" ? [["CONFIRMED", "OFFER"][turn - 1]] : [],
    ...key === "url" ? [`https://files.example/a?token=${turn}`] : [],
    turn === 1,
    `${key} ${turn}`,
    `0${turn}:00:${String(place).padStart(2, "0")}`,
    30 + place + turn / 4,
    { [key]: turn },
    [key, String(turn)],
  ];
  const found = candidates.find((candidate) => shape[key]?.safeParse(candidate).success);
  assert.notEqual(found, undefined, `no value for ${key}`);
  return found;
}

function filled(shape: Shape, turn: 1 | 2): Row {
  return Object.fromEntries(Object.keys(shape).map((key) => [key, valueOf(shape, key, turn)]));
}

/** The same with null for every key that takes it. */
function nulled(shape: Shape, turn: 1 | 2): Row {
  return Object.fromEntries(
    Object.entries(filled(shape, turn)).map(([key, value]) => [
      key,
      shape[key]?.safeParse(null).success ? null : value,
    ]),
  );
}

/** A snapshot made by one of the two above; the parent of the product row is a row beside it. */
function snapshotOf(fill: (shape: Shape) => Row, version: number, deleted = false): Snapshot {
  const parents = ["parent_external_id 1", "parent_external_id 2"].map((external_id) => ({
    external_id,
  }));
  const snapshot = buildPartialSnapshot({
    source_version: version,
    ...(deleted ? { deleted: true } : {}),
    source_updated_at: `2026-01-0${version}T00:00:00.000Z`,
    booking: fill(snapshotBookingSchema.shape),
    dates: { complete: true, items: [fill(snapshotDateSchema.shape) as never] },
    products: { complete: true, items: [...parents, fill(snapshotProductSchema.shape) as never] },
    attachments: { complete: true, items: [fill(snapshotAttachmentSchema.shape) as never] },
  });
  return snapshotSchema.parse(snapshot);
}

/** The four rows that a snapshot is about, by table. */
async function rowsOf(db: BookingDatabase, tenant: Tenant): Promise<Readonly<Record<string, Row>>> {
  const read = async (table: string, rest = "") =>
    only(
      await db.query<{ row: Row }>(
        `select to_jsonb(t) as row from public.${table} t where organization_id = $1 ${rest}`,
        [tenant.id],
      ),
    ).row;
  return {
    bookings: await read("bookings"),
    booking_dates: await read("booking_dates"),
    booking_products: await read("booking_products", "and external_id = 'row'"),
    booking_attachments: await read("booking_attachments"),
  };
}

const children: Readonly<Record<string, readonly [Shape, string]>> = {
  booking_dates: [snapshotDateSchema.shape, "rig 2027-06-10"],
  booking_products: [snapshotProductSchema.shape, "row"],
  booking_attachments: [snapshotAttachmentSchema.shape, "https://files.example/a"],
};
const shapes: Readonly<Record<string, Shape>> = {
  bookings: snapshotBookingSchema.shape,
  ...Object.fromEntries(Object.entries(children).map(([table, [shape]]) => [table, shape])),
};

/** Every key of every schema is in its column. */
async function assertLanded(
  db: BookingDatabase,
  tenant: Tenant,
  fill: (shape: Shape) => Row,
): Promise<void> {
  for (const [table, row] of Object.entries(await rowsOf(db, tenant))) {
    const said = fill(shapes[table]!);
    const found = Object.fromEntries(Object.keys(said).map((key) => [key, row[key]]));
    assert.deepEqual(found, said, table);
  }
  assert.deepEqual(await historyGaps(db, tenant.id), []);
}

/** Columns whose change is no event: a link's token. */
const silent = new Set(["bookings.map_drawing_url", "booking_attachments.url"]);

/** The newest history entry tells each key that differs, with what was before and after. */
async function assertTold(
  tenant: Tenant,
  before: (shape: Shape) => Row,
  after: (shape: Shape) => Row,
): Promise<void> {
  const [entry] = await tenant.select<{ changes: Row }>(
    "booking_history",
    "changes",
    "order by id desc limit 1",
  );
  for (const [table, shape] of Object.entries(shapes)) {
    const [old, now] = [before(shape), after(shape)];
    for (const key of Object.keys(shape)) {
      if (silent.has(`${table}.${key}`)) continue;
      if (JSON.stringify(old[key]) === JSON.stringify(now[key])) continue;
      const child = children[table]?.[1];
      const name = child === undefined ? `${table}.${key}` : `${table}[${child}].${key}`;
      assert.deepEqual(entry?.changes[name], [old[key], now[key]], name);
    }
  }
}

test("every key of a snapshot lands in its column, changes there and is cleared there", async (db) => {
  const tenant = await db.tenant();
  const [first, second] = [
    (shape: Shape) => filled(shape, 1),
    (shape: Shape) => filled(shape, 2),
  ];
  const cleared = (shape: Shape) => nulled(shape, 2);
  assert.equal((await tenant.applyOne(snapshotOf(first, 1))).verdict, "created");
  await assertLanded(db, tenant, first);

  assert.equal((await tenant.applyOne(snapshotOf(second, 2))).verdict, "updated");
  await assertLanded(db, tenant, second);
  await assertTold(tenant, first, second);

  assert.equal((await tenant.applyOne(snapshotOf(cleared, 3))).verdict, "updated");
  await assertLanded(db, tenant, cleared);
  await assertTold(tenant, second, cleared);
});

test("every key of a snapshot itself has its place beside the booking", async (db) => {
  const tenant = await db.tenant();
  await tenant.applyOne(snapshotOf((shape) => filled(shape, 1), 1));
  const snapshot = snapshotOf((shape) => filled(shape, 1), 2, true);
  await tenant.applyOne(snapshot);
  const state = only(await tenant.select<Row>("sync.source_states", "*"));
  const { bookings } = await rowsOf(db, tenant);
  const instant = (value: unknown) => new Date(String(value)).toISOString();
  const places: Readonly<Record<string, unknown>> = {
    external_id: state.external_id,
    fetched_at: instant(state.fetched_at),
    source_updated_at: instant(state.source_updated_at),
    source_version: Number(state.source_version),
    content_hash: state.content_hash,
    deleted: bookings?.source_missing_since !== null,
  };
  // Parts of the booking are looked at above; warnings are for the caller and are not stored.
  const elsewhere = ["booking", "dates", "products", "attachments", "warnings"];
  for (const key of Object.keys(snapshotSchema.shape)) {
    if (elsewhere.includes(key)) continue;
    assert.deepEqual(places[key], snapshot[key as keyof Snapshot], key);
  }
});
