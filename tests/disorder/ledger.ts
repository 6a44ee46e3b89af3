import type { Sql } from "../../local/database/database.ts";
import type { TestStack } from "../support/stack.ts";
import type { World } from "./world.ts";

/** What the senders were promised. */
export interface Ledger {
  /** Takes note of the answers since the last time; to be called before they are forgotten. */
  collect(): Promise<void>;
  /** Delivery ids that were answered with a 2xx. */
  accepted(): ReadonlySet<string>;
  /** Webhooks that were sent, and of those the ones that were not accepted. */
  totals(): { readonly sent: number; readonly refused: number };
}

/** Keeps what both simulators were answered, and notes with each booking when we were last told. */
export function createLedger(stack: TestStack, world: World): Ledger {
  const bookings = new Map(world.bookings.map((booking) => [booking.id, booking]));
  const accepted = new Set<string>();
  const seen = { eventflow: 0, headout: 0 };
  let sent = 0;
  let refused = 0;
  return {
    async collect(): Promise<void> {
      for (const source of ["eventflow", "headout"] as const) {
        const { webhooks } = await stack[source].webhooks(seen[source]);
        for (const { number, at, booking_id, status, delivery_id } of webhooks) {
          seen[source] = Math.max(seen[source], number);
          sent += 1;
          if (status !== 200 && status !== 202) {
            refused += 1;
            continue;
          }
          accepted.add(delivery_id ?? "");
          const booking = bookings.get(booking_id);
          if (booking) booking.toldAt = Math.max(booking.toldAt, Date.parse(at));
        }
      }
    },
    accepted: () => accepted,
    totals: () => ({ sent, refused }),
  };
}

/** Accepted deliveries that are not there, and deliveries that never came to an end. */
export async function findLost(
  sql: Sql,
  accepted: ReadonlySet<string>,
): Promise<readonly string[]> {
  const rows = await sql.query<{ id: string; status: string; ended: boolean }>(
    `select d.id, d.status, d.finished_at is not null and (d.status <> 'dead' or exists (
       select from sync.deliveries r
       where r.replay_of = d.id and r.status in ('succeeded', 'stale', 'held'))) as ended
     from sync.deliveries d`,
  );
  const kept = new Set(rows.map(({ id }) => id));
  return [
    ...[...accepted].filter((id) => !kept.has(id)).map((id) =>
      `${id || "a 2xx without an id"}: gone`
    ),
    ...rows.filter(({ ended }) => !ended).map(({ id, status }) => `${id}: ${status}`),
  ];
}

/** Changes that were written twice, or that took a booking back to an older content. */
export async function findDoubles(sql: Sql): Promise<readonly string[]> {
  const rows = await sql.query<{ external_id: string; at: string; before: number; after: number }>(
    `select * from (
       select b.external_id, h.at, c.revision as after,
         lag(c.revision) over (partition by h.booking_id order by h.id) as before
       from public.booking_history h
       join public.bookings b on b.id = h.booking_id
       cross join lateral (
         select substring(coalesce(h.changes #>> '{bookings.source_notes,1}',
           h.changes #>> '{bookings.partner_reference,1}') from '^rev (\\d+)$')::integer as revision
       ) c
       where c.revision is not null
     ) r where r.after <= r.before`,
  );
  const twice = await sql.query<{ delivery_id: string }>(
    `select h.delivery_id from public.booking_history h
     where h.delivery_id is not null and h.verdict in ('created', 'updated')
     group by h.delivery_id, h.booking_id having count(*) > 1`,
  );
  return [
    ...rows.map(({ external_id, at, before, after }) =>
      `${external_id}: ${after} after ${before} at ${at}`
    ),
    ...twice.map(({ delivery_id }) => `delivery ${delivery_id} was applied twice`),
  ];
}
