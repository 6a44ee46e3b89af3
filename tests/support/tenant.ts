import type { Sql } from "../../local/database/database.ts";
import type { Snapshot } from "../../supabase/functions/_shared/booking/snapshot.ts";
import { buildSnapshot } from "./booking_builder.ts";
import type { BookingDatabase } from "./booking_database.ts";

/** What may be special about a test's organization. */
export interface TenantOptions {
  readonly time_zone?: string;
  /** Departures from CONFIRMED per hour; default 20, as in production. */
  readonly cancel_budget?: number;
}

/** One row of `apply_snapshots`. */
export interface Verdict {
  readonly external_id: string | null;
  readonly verdict: string;
  readonly booking_id: number | null;
  // deno-lint-ignore no-explicit-any -- an object of counts, or a list of changes in a dry run
  readonly changes: any;
  readonly error: Readonly<Record<string, unknown>> | null;
}

/** The row of `apply_headout_event`. */
export interface EventAnswer {
  readonly delivery_id: string;
  readonly outcome: string;
  readonly booking_id: number | null;
  readonly old_status: string | null;
  readonly new_status: string | null;
  readonly lease_token: string | null;
}

/** What `receive_delivery` answers. */
export interface DeliveryAnswer {
  readonly delivery_id: string;
  readonly outcome: string;
  readonly lease_token: string | null;
  readonly reason: string | null;
  readonly duplicate_of: string | null;
  readonly status: string;
  readonly result: Readonly<Record<string, unknown>> | null;
}

/** Arguments of `apply_snapshots` beside the snapshots. */
export interface ApplyOptions {
  readonly source?: "eventflow" | "headout";
  readonly delivery_id?: string;
  readonly lease_token?: string | null;
  readonly run_id?: string;
  readonly force?: boolean;
  readonly dry_run?: boolean;
}

type Row = Record<string, unknown>;

/** An organization of its own, seen through the API: the import's side and its planner's. */
export interface Tenant {
  readonly id: string;
  readonly userId: string;
  readonly timeZone: string;
  /** Applies snapshots in one call and returns a verdict for each. */
  apply(snapshots: readonly unknown[], options?: ApplyOptions): Promise<readonly Verdict[]>;
  /** Applies one snapshot. */
  applyOne(snapshot: Snapshot, options?: ApplyOptions): Promise<Verdict>;
  /** Applies one status event of Headout's; `at` is its local time. */
  event(externalId: string, type: string, at: string): Promise<EventAnswer>;
  /** A booking of Headout's that an event has confirmed and a read has shown: no stub any more. */
  partnerBooking(externalId: string, at: string): Promise<EventAnswer>;
  /** Stores an EventFlow webhook. */
  receive(externalId: string, fields?: Readonly<Row>): Promise<DeliveryAnswer>;
  /** Rows of a table of this organization; `rest` is any further SQL. */
  select<T = Row>(table: string, columns: string, rest?: string): Promise<readonly T[]>;
  /** Runs SQL as this organization's signed-in planner, with row level security. */
  asPlanner<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
}

/** Makes an organization with a planner in it. */
export async function createTenant(
  db: BookingDatabase,
  options: TenantOptions = {},
): Promise<Tenant> {
  const timeZone = options.time_zone ?? "Europe/Stockholm";
  const [row] = await db.query<{ id: string }>(
    `insert into public.organizations (name, time_zone) values ($1, $2) returning id`,
    [`Test ${crypto.randomUUID()}`, timeZone],
  );
  if (row === undefined) throw new Error("Cannot make an organization: no row came back");
  const { id } = row;
  const userId = crypto.randomUUID();
  await db.query(
    `insert into public.organization_members (organization_id, user_id, role)
     values ($1, $2, 'planner')`,
    [id, userId],
  );
  if (options.cancel_budget !== undefined) {
    await db.query("update sync.connections set cancel_budget = $2 where organization_id = $1", [
      id,
      options.cancel_budget,
    ]);
  }

  const apply: Tenant["apply"] = (snapshots, { source = "eventflow", ...rest } = {}) =>
    db.rpc<Verdict>("apply_snapshots", { organization_id: id, source, snapshots, ...rest });
  const event: Tenant["event"] = async (externalId, type, at) =>
    only(
      await db.rpc<EventAnswer>("apply_headout_event", {
        external_id: externalId,
        event_type: type,
        event_timestamp: at,
        organization_id: id,
        body: { bookingId: externalId, status: type, eventTimestamp: at },
      }),
    );
  return {
    id,
    userId,
    timeZone,
    apply,
    applyOne: async (snapshot, applyOptions) => only(await apply([snapshot], applyOptions)),
    event,
    async partnerBooking(externalId, at) {
      const answer = await event(externalId, "COMPLETED", at);
      await apply([buildSnapshot({ external_id: externalId })], { source: "headout" });
      return answer;
    },
    receive: async (externalId, fields = {}) =>
      only(
        await db.rpc<DeliveryAnswer>("receive_delivery", {
          function: "receive-booking",
          source: "eventflow",
          organization_id: id,
          external_id: externalId,
          event_type: "updated",
          body: { booking_id: externalId },
          ...fields,
        }),
      ),
    select: <T>(table: string, columns: string, rest = "") =>
      db.query<T>(
        `select ${columns} from ${table.includes(".") ? table : `public.${table}`}
         where organization_id = $1 ${rest}`,
        [id],
      ),
    asPlanner: (work) => asUser(db, userId, work),
  };
}

/** Runs SQL as a signed-in user, as the API does for `authenticated`. */
export function asUser<T>(
  db: BookingDatabase,
  userId: string,
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  return db.database.transaction(async (sql) => {
    const claims = JSON.stringify({ sub: userId, role: "authenticated" });
    await sql.query("select set_config('request.jwt.claims', $1, true)", [claims]);
    await sql.query("set local role authenticated");
    return await work(sql);
  });
}

/** The only element of a list; anything else is a failed test. */
export function only<T>(rows: readonly T[]): T {
  const [first] = rows;
  if (first === undefined || rows.length !== 1) {
    throw new Error(`Expected one row, got ${rows.length}: ${JSON.stringify(rows).slice(0, 500)}`);
  }
  return first;
}
