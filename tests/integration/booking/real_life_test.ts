import assert from "node:assert/strict";
import {
  type RealLifeBooking,
  realLifeBooking,
} from "../../../local/simulators/eventflow/real_life.ts";
import { createEventFlowClient } from "../../../supabase/functions/_shared/eventflow/client.ts";
import type { Page } from "../../../supabase/functions/_shared/source/booking_source.ts";
import { dayFromNow } from "../../support/booking_builder.ts";
import { useDatabase } from "../../support/booking_database.ts";
import { fullScale } from "../../support/scale.ts";
import type { Tenant } from "../../support/tenant.ts";

const test = useDatabase();

/** `PROPERTY_SEED` repeats what a seed has found. */
const SEED = Number(Deno.env.get("PROPERTY_SEED") ?? (fullScale ? Date.now() % 1e9 : 7));
const COUNT = fullScale ? 10_000 : 500;
const PAGE = 250;
const FIRST_DAY = dayFromNow(60);

test(`property: ${COUNT} bookings of real life all land, whole and once (seed ${SEED})`, async (db) => {
  const tenant = await db.tenant({ cancel_budget: 1_000_000 });
  for (let from = 0; from < COUNT; from += PAGE) {
    const made = Array.from(
      { length: PAGE },
      (_, index) => realLifeBooking(SEED, from + index, FIRST_DAY),
    );
    const page = await read(tenant, made);
    assert.deepEqual([page.invalid, page.snapshots.length], [[], PAGE]);
    const verdicts = await tenant.apply(page.snapshots);
    for (const { external_id, verdict, error } of verdicts) {
      assert.deepEqual([verdict, error], ["created", null], String(external_id));
    }
    for (const { warnings = [] } of page.snapshots) {
      for (const { field, code, message } of warnings) {
        assert.ok(
          field !== "" && /^[a-z_]+$/.test(code) && message !== "",
          JSON.stringify(warnings),
        );
      }
    }
    const mark = await db.mark();
    const again = await tenant.apply((await read(tenant, made)).snapshots);
    assert.ok(again.every(({ verdict }) => verdict === "unchanged"));
    assert.deepEqual(await db.writtenSince(mark), {}, "applied a second time it wrote");
    await compare(tenant, made);
  }
});

/** The page as a function would read it: over HTTP, as JSON, with its files. */
function read(tenant: Tenant, made: readonly RealLifeBooking[]): Promise<Page> {
  const body = JSON.stringify({ data: made.map(({ booking }) => booking) });
  return createEventFlowClient({
    baseUrl: "https://eventflow.test",
    apiKey: "key",
    fetch: () => Promise.resolve(new Response(body)),
    files: { find: () => Promise.resolve(new Set()), put: () => Promise.resolve() },
  }).readPage({ organizationId: tenant.id });
}

async function compare(tenant: Tenant, made: readonly RealLifeBooking[]): Promise<void> {
  const ids = made.map(({ booking }) => String(booking["id"]));
  const rows = await tenant.select<Record<string, unknown>>(
    "bookings b",
    `b.*, (select coalesce(jsonb_object_agg(p.external_id, p.quantity), '{}') from public.booking_products p
       where p.booking_id = b.id and p.external_id not like '%#%') as quantities,
     (select coalesce(jsonb_agg(d.phase || ' ' || d.day order by d.phase, d.day), '[]') from public.booking_dates d
       where d.booking_id = b.id) as days,
     (select count(*)::integer from public.booking_attachments a where a.booking_id = b.id) as files`,
    `and external_id = any ('{${ids.join(",")}}')`,
  );
  const byId = new Map(rows.map((row) => [row["external_id"], row]));
  for (const { booking, columns, status, quantities, days, files } of made) {
    const row = byId.get(booking["id"])!;
    const stored = Object.fromEntries(
      Object.keys(columns).map((name) => [name, row[name] ?? null]),
    );
    const said = JSON.stringify(booking).slice(0, 3_000);
    assert.deepEqual(stored, blankAsNull(columns, stored), said);
    assert.equal(row["status"], status, said);
    assert.deepEqual(row["quantities"], Object.fromEntries(quantities), said);
    const wanted = (["rig", "event", "rigdown"] as const)
      .flatMap((phase) => [...days[phase]].sort().map((day) => `${phase} ${day}`));
    assert.deepEqual(row["days"], wanted, said);
    assert.equal(row["files"], files, said);
  }
}

/** Where no alternate holds anything the row may say null or what white space was sent. */
function blankAsNull(
  columns: Readonly<Record<string, string | null>>,
  stored: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(columns).map(([name, value]) => {
      const blank = value === null && String(stored[name] ?? "").trim() === "";
      return [name, blank ? stored[name] : value];
    }),
  );
}
