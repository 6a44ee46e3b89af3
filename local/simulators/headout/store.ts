import { createHistory } from "../lag.ts";
import {
  type HeadoutBooking,
  type HeadoutSeed,
  headoutSeedId,
  seedHeadoutBooking,
} from "./seed.ts";

/** The bookings of the simulated Headout: the seed and the changes to it. */
export interface HeadoutStore {
  /** The booking as it is, or as it was at a moment (ms since 1970) within the longest lag. */
  get(id: string, moment?: number): HeadoutBooking | undefined;
  /** The ids of the bookings that there are, or were, each at its moment. */
  all(momentOf?: (id: string) => number | undefined): readonly string[];
  put(booking: HeadoutBooking): void;
  delete(id: string): void;
  reset(): void;
}

/** Holds only what differs from the seed; the order is the seed's, then that of creation. */
export function createHeadoutStore(
  seed: HeadoutSeed,
  now: () => number = Date.now,
): HeadoutStore {
  const history = createHistory<HeadoutBooking>(now);
  const changed = new Map<string, HeadoutBooking | undefined>();
  const seeded = new Map<string, number>();
  for (let index = 0; index < seed.count; index++) seeded.set(headoutSeedId(index), index);

  function current(id: string): HeadoutBooking | undefined {
    if (changed.has(id)) return changed.get(id);
    const index = seeded.get(id);
    return index === undefined ? undefined : seedHeadoutBooking(seed, index);
  }
  function get(id: string, moment?: number): HeadoutBooking | undefined {
    return moment === undefined ? current(id) : history.stateAt(id, moment, current(id));
  }
  function change(id: string, booking: HeadoutBooking | undefined): void {
    history.supersede(id, current(id));
    changed.set(id, booking);
  }
  return {
    get,
    all(momentOf = () => undefined): readonly string[] {
      const added = [...changed.keys()].filter((id) => !seeded.has(id));
      return [...seeded.keys(), ...added].filter((id) =>
        !changed.has(id) || get(id, momentOf(id)) !== undefined
      );
    },
    put: (booking) => change(booking.bookingId, booking),
    delete: (id) => change(id, undefined),
    reset(): void {
      changed.clear();
      history.reset();
    },
  };
}
