import type { Random } from "../../local/simulators/random.ts";
import type { TestStack } from "../support/stack.ts";

/** A booking in one of the simulators, and what the test knows of it. */
export interface WorldBooking {
  readonly source: "eventflow" | "headout";
  readonly id: string;
  readonly organizationId: string;
  /** Whether its organization's brake holds nearly every cancellation. */
  readonly braked: boolean;
  /** Counts its changes; part of its content, so that going back shows. */
  revision: number;
  /** When it last changed, and when the last accepted webhook was sent; milliseconds. */
  changedAt: number;
  toldAt: number;
  /** Its source has said once that it cannot be had, which is believed and changes nothing. */
  denied: boolean;
  /** Its reads have shown less than there is, or what was: what we were told is then not all of it. */
  blurred: boolean;
  state: "unborn" | "present" | "cancelled" | "deleted" | "final";
}

/** The bookings of one disorder run, and their organizations. */
export interface World {
  readonly bookings: readonly WorldBooking[];
  readonly organizations: readonly WorldOrganization[];
}

/** One organization, whose bookings are of one source. */
export interface WorldOrganization {
  readonly id: string;
  readonly source: WorldBooking["source"];
  /** Departures from CONFIRMED that it may make in an hour. */
  readonly budget: number;
  /** Whether EventFlow says that its lists are whole; one organization of four. */
  readonly flagged: boolean;
}

/** One in this many changes happens at Headout. */
const HEADOUT_SHARE = 6;

/**
 * Two EventFlow organizations whose brake never holds, one of them with completeness flags, one whose
 * brake nearly always holds, and one with Headout; each booking changes about twelve times.
 */
export async function createWorld(
  stack: TestStack,
  random: Random,
  events: number,
): Promise<World> {
  const organizations: WorldOrganization[] = [];
  for (
    const [source, budget, flagged] of [
      ["eventflow", 1_000_000, true],
      ["eventflow", 1_000_000, false],
      ["eventflow", 2, false],
      ["headout", 1_000_000, false],
    ] as const
  ) {
    const id = await stack.organization();
    await stack.database.query(
      `update sync.connections set cancel_budget = $2, absence_budget = 1000000,
         enabled = source = $3::public.booking_source
       where organization_id = $1`,
      [id, budget, source],
    );
    if (flagged) await stack.eventflow.flags(true, { organization_id: id });
    organizations.push({ id, source, budget, flagged });
  }
  const count = Math.min(Math.max(Math.round(events / 12), 20), 4_000);
  const bookings = Array.from({ length: count }, (_, index): WorldBooking => {
    const headout = index % HEADOUT_SHARE === 0;
    const owners = organizations.filter(({ source }) => (source === "headout") === headout);
    const owner = random.pick(owners);
    return {
      source: headout ? "headout" : "eventflow",
      id: headout ? String(700_000_000 + index) : uuid(random),
      organizationId: owner.id,
      braked: owner.budget < 100,
      revision: 0,
      changedAt: 0,
      toldAt: 0,
      denied: false,
      blurred: false,
      state: "unborn",
    };
  });
  return { bookings, organizations };
}

function uuid(random: Random): string {
  const hex = (length: number) =>
    Array.from({ length }, () => random.integer(0, 15).toString(16)).join("");
  return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`;
}
