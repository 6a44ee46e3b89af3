import assert from "node:assert/strict";
import { type BookingDatabase, useDatabase } from "../../support/booking_database.ts";
import { decodeAnswer, eventflowBooking, foundAnswer } from "../../support/eventflow_answer.ts";
import type { Tenant } from "../../support/tenant.ts";

interface Words {
  readonly cases: readonly {
    readonly name: string;
    readonly booking: Readonly<Record<string, unknown>>;
    /** By `table.column`, `table[key].column`, `packing` or `warning`. */
    readonly expect: Readonly<Record<string, unknown>>;
  }[];
}

const test = useDatabase();
const file = new URL("../../fixtures/words/eventflow.json", import.meta.url);
const { cases }: Words = JSON.parse(Deno.readTextFileSync(file));

const base = {
  rig_up_dates: ["2027-09-01"],
  event_dates: ["2027-09-02"],
  rig_down_dates: ["2027-09-03"],
  rig_start_time: "08:00",
  rig_end_time: "12:00",
  delivery_contact_name: "Åsa Öberg",
  delivery_contact_phone: "0700",
};

for (const { name, booking, expect } of cases) {
  test(`rule: every word of the source is read: ${name}`, async (db) => {
    const tenant = await db.tenant();
    const before = decodeAnswer(tenant, foundAnswer(eventflowBooking(base)));
    await tenant.applyOne(before);
    const snapshot = decodeAnswer(
      tenant,
      foundAnswer(eventflowBooking({ ...base, ...expanded(booking) })),
    );
    const { verdict } = await tenant.applyOne(snapshot);
    assert.ok(verdict === "updated" || verdict === "unchanged", verdict);
    for (const [path, value] of Object.entries(expect)) {
      if (path === "warning") {
        const fields = (snapshot.warnings ?? []).map(({ field }) => field);
        assert.ok(fields.includes(String(value)), `${value} is not in ${fields}`);
      } else assert.deepEqual(await stored(db, tenant, path), value, path);
    }
    const mark = await db.mark();
    await tenant.applyOne({ ...snapshot, fetched_at: new Date().toISOString() });
    assert.deepEqual(
      Object.keys(await db.writtenSince(mark)).filter((table) => table.startsWith("public.")),
      [],
      "applied twice it writes rows",
    );
  });
}

/** `{ repeat, times }` stands for a text that would make the file long. */
function expanded(booking: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(booking).map(([key, value]) => {
      const long = Object(value) as { readonly repeat?: string; readonly times?: number };
      const isLong = typeof value === "object" && typeof long.repeat === "string";
      return [key, isLong ? long.repeat?.repeat(long.times ?? 1) : value];
    }),
  );
}

/** The value at a path such as `booking_dates[rig].start_time`; instants as local wall clock. */
async function stored(db: BookingDatabase, tenant: Tenant, path: string): Promise<unknown> {
  if (path === "packing") {
    const items = await db.query<{ item: string }>(
      `select p.external_id || ' ' || trim_scale(i.quantity_to_pack) as item from public.packing_items i
       join public.booking_products p on p.id = i.booking_product_id
       where i.organization_id = $1 and i.active and p.source_missing_since is null
         and p.source_doubted_since is null order by 1`,
      [tenant.id],
    );
    return items.map(({ item }) => item);
  }
  const [, table = "", key, column = ""] = /^(\w+)(?:\[(\w+)\])?\.(\w+)$/.exec(path) ?? [];
  const by = { booking_dates: "phase", calendar_events: "event_type" }[table] ?? "external_id";
  const [row] = await tenant.select<Record<string, unknown>>(
    table,
    column.endsWith("s_at")
      ? `to_char(${column} at time zone 'Europe/Stockholm', 'YYYY-MM-DD HH24:MI') as value`
      : `to_jsonb(${column}) as value`,
    key === undefined ? "" : `and ${by}::text = '${key}'`,
  );
  return row?.["value"] ?? null;
}
