import assert from "node:assert/strict";
import type { Database } from "../database/database.ts";

/** One thing that must hold after the demo. */
export interface Expectation {
  readonly text: string;
  readonly holds: boolean;
  /** What was found instead. */
  readonly found?: string;
}

/** What the simulators say, to compare the rows with. */
export interface Statement {
  readonly organizationId: string;
  readonly eventflow: Readonly<Record<string, unknown>>;
  readonly headoutId: string;
}

/** Compares the rows with what the sources say. */
export async function checkRows(
  database: Database,
  statement: Statement,
): Promise<readonly Expectation[]> {
  const { eventflow: stated, organizationId } = statement;
  const products = list(stated.products);
  const components = products.flatMap((product) => list(product.package_components));
  const days = [...list(stated.rig_up_dates), ...list(stated.event_dates)];
  days.push(...list(stated.rig_down_dates));
  const files = [stated.attachments, stated.files_metadata, stated.tent_images].flatMap(list);

  async function rows(sql: string): Promise<readonly Record<string, unknown>[]> {
    return await database.query(sql, [organizationId]);
  }
  const ofSource = (table: string, source: string) =>
    `from public.${table} r join public.bookings b on b.id = r.booking_id
     where b.organization_id = $1 and b.source = '${source}'`;
  return [
    compare(
      "each source's booking is stored once, with its own identity",
      await rows(`select source, external_id, status from public.bookings
                  where organization_id = $1 order by source`),
      [
        { source: "eventflow", external_id: stated.id, status: "CONFIRMED" },
        { source: "headout", external_id: statement.headoutId, status: "CONFIRMED" },
      ],
    ),
    compare(
      "the EventFlow booking has EventFlow's values",
      await rows(`select booking_number, title, client_name, delivery_city, source_notes
                  from public.bookings where organization_id = $1 and source = 'eventflow'`),
      [{
        booking_number: stated.booking_number,
        title: stated.title,
        client_name: stated.clientName,
        delivery_city: stated.delivery_city,
        source_notes: stated.internal_notes,
      }],
    ),
    compare(
      "the Headout booking was filled in from Headout's API after the event",
      await rows(`select is_stub from public.bookings
                  where organization_id = $1 and source = 'headout'`),
      [{ is_stub: false }],
    ),
    compare(
      "every day of every phase is there",
      await rows(`select count(*)::int as days ${ofSource("booking_dates", "eventflow")}`),
      [{ days: days.length }],
    ),
    compare(
      "every product row and every package component is there",
      await rows(`select count(*)::int as products ${ofSource("booking_products", "eventflow")}`),
      [{ products: products.length + components.length }],
    ),
    compare(
      "every file is there, known by its URL without the token",
      await rows(`select count(*)::int as files,
                    count(*) filter (where r.url_key ~ '[?#]')::int as with_token
                  ${ofSource("booking_attachments", "eventflow")}`),
      [{ files: files.length, with_token: 0 }],
    ),
    compare(
      "every delivery is done",
      await rows(`select count(*)::int as undone
                  from sync.deliveries d join sync.connections c on c.id = d.connection_id
                  where c.organization_id = $1 and d.status not in ('succeeded', 'duplicate')`),
      [{ undone: 0 }],
    ),
    compare(
      "the history says where each booking comes from",
      await rows(`select count(distinct h.booking_id)::int as bookings
                  from public.booking_history h join public.bookings b on b.id = h.booking_id
                  where b.organization_id = $1`),
      [{ bookings: 2 }],
    ),
  ];
}

/** An expectation that holds if both are deeply equal. */
export function compare(text: string, actual: unknown, expected: unknown): Expectation {
  try {
    assert.deepStrictEqual(actual, expected);
    return { text, holds: true };
  } catch {
    const found = `expected ${JSON.stringify(expected)}, found ${JSON.stringify(actual)}`;
    return { text, holds: false, found };
  }
}

// deno-lint-ignore no-explicit-any -- the simulator's bookings have no fixed shape
function list(value: unknown): any[] {
  return Array.isArray(value) ? value : [];
}
