import {
  type HeadoutBooking,
  type HeadoutSeed,
  headoutSeedId,
  seedHeadoutBooking,
} from "./seed.ts";

/** The bookings of the simulated Headout: the seed and the changes to it. */
export interface HeadoutStore {
  get(id: string): HeadoutBooking | undefined;
  all(): readonly string[];
  put(booking: HeadoutBooking): void;
  delete(id: string): void;
  reset(): void;
}

/** Holds only what differs from the seed; the order is the seed's, then that of creation. */
export function createHeadoutStore(seed: HeadoutSeed): HeadoutStore {
  const changed = new Map<string, HeadoutBooking | undefined>();
  const seeded = new Map<string, number>();
  for (let index = 0; index < seed.count; index++) seeded.set(headoutSeedId(index), index);

  return {
    get(id): HeadoutBooking | undefined {
      if (changed.has(id)) return changed.get(id);
      const index = seeded.get(id);
      return index === undefined ? undefined : seedHeadoutBooking(seed, index);
    },
    all(): readonly string[] {
      const added = [...changed.keys()].filter((id) => !seeded.has(id));
      return [...seeded.keys(), ...added].filter((id) =>
        !changed.has(id) || changed.get(id) !== undefined
      );
    },
    put(booking): void {
      changed.set(booking.bookingId, booking);
    },
    delete(id): void {
      changed.set(id, undefined);
    },
    reset(): void {
      changed.clear();
    },
  };
}
