import assert from "node:assert/strict";
import type { Sql } from "../../local/database/database.ts";
import { eventually } from "./answers.ts";
import type { Answer, TestStack } from "./stack.ts";

/** The counters of a drain's answer. */
export interface DrainCounters {
  readonly claimed: number;
  readonly succeeded: number;
  readonly stale: number;
  readonly held: number;
  readonly failed: number;
  readonly dead: number;
  readonly given_back: number;
  readonly lost: number;
  readonly source_reads: number;
  readonly applied_calls: number;
  readonly refreshed: number;
}

/** One drain, which must answer 200. */
export async function drain(
  stack: Pick<TestStack, "postImport">,
  limit?: number,
): Promise<DrainCounters & { readonly completed: boolean }> {
  const answer = await stack.postImport({ syncMode: "drain", ...(limit ? { limit } : {}) });
  return readDrain(answer);
}

/** The counters of a drain's answer, which must be a 200. */
export function readDrain(answer: Answer): DrainCounters & { readonly completed: boolean } {
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const { success, completed, run_id, counters, next } = answer.body;
  assert.deepEqual([success, run_id], [true, null]);
  if (completed) assert.equal(next, null);
  return { ...counters, completed };
}

/** Bookings of an organization in the simulated EventFlow; returns their ids. */
export async function createBookings(
  stack: Pick<TestStack, "eventflow">,
  organizationId: string,
  count: number,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const booking = await stack.eventflow.create<{ id: string }>({
      organization_id: organizationId,
      title: `Bokning ${n}`,
      clientName: "Malmö Stad",
      status: "Bekräftad",
      rig_up_dates: ["2027-06-18"],
      event_dates: ["2027-06-19"],
      rig_down_dates: ["2027-06-20"],
      products: [{ id: `tent-${n}`, name: "Tält 6x9", quantity: 2, unit_price: 900 }],
      ...fields,
    });
    ids.push(booking.id);
  }
  return ids;
}

/** Stores a webhook for each booking as a burst does, without claiming it. */
export async function queueDeliveries(
  sql: Sql,
  organizationId: string,
  bookingIds: readonly string[],
): Promise<void> {
  await sql.query(
    `select count(r.delivery_id) from unnest($2::text[]) as b (id)
     cross join lateral public.receive_delivery(function => 'receive-booking',
       source => 'eventflow', organization_id => $1::uuid, external_id => b.id,
       event_type => 'updated', claim => false) r`,
    [organizationId, `{${bookingIds.map((id) => `"${id}"`).join(",")}}`],
  );
}

/**
 * Lets time pass for whatever waits: leases have ended, and every backoff is over. Confirming reads
 * keep their time.
 */
export async function letTimePass(sql: Sql): Promise<void> {
  await sql.exec(
    `update sync.deliveries set leased_until = now() - interval '1 second'
     where status = 'processing' and leased_until > now();
     update sync.deliveries set next_attempt_at = now()
     where status = 'pending' and next_attempt_at > now() and function <> 'confirm'`,
  );
}

/**
 * An organization for tests that count every read: an `updated` that finds nothing new is read again
 * in an hour, not in ten seconds.
 */
export async function patientOrganization(stack: TestStack): Promise<string> {
  const id = await stack.organization();
  await stack.database.query(
    "update sync.connections set agreement_waits = '{1 hour}' where organization_id = $1",
    [id],
  );
  return id;
}

/** Lets the waits of doubts and of senders' words pass, so that every confirming read is due. */
export async function letWaitsPass(sql: Sql): Promise<void> {
  await sql.exec(
    `update sync.doubts set first_seen_at = first_seen_at - interval '15 minutes',
       last_read_at = last_read_at - interval '15 minutes';
     update sync.disagreements set due_at = now() where ended_at is null;
     update sync.source_states set last_event_at = last_event_at - interval '15 minutes',
       contradicted_at = contradicted_at - interval '15 minutes' where last_event_at is not null;
     update sync.deliveries set next_attempt_at = now() where status = 'pending' and function = 'confirm'`,
  );
}

/** Waits until so many reads have met a `hold`: their answers say what was true until then. */
export async function untilHeld(
  { eventflow }: Pick<TestStack, "eventflow">,
  count: number,
): Promise<void> {
  await eventually(`${count} reads are held`, async () => await eventflow.held() === count);
}

/** How many deliveries of an organization are in each state, beside the confirming reads. */
export async function countByStatus(
  sql: Sql,
  organizationId: string,
): Promise<Readonly<Record<string, number>>> {
  const rows = await sql.query<{ status: string; count: number }>(
    `select d.status, count(*)::integer as count from sync.deliveries d
     join sync.connections c on c.id = d.connection_id
     where c.organization_id = $1 and d.function <> 'confirm' group by d.status`,
    [organizationId],
  );
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}
