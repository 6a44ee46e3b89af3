import { createHistory } from "../lag.ts";
import type { EventflowBooking } from "./booking.ts";
import { type EventflowSeed, seedBooking, seedId, seedIndex, seedUpdatedAt } from "./seed.ts";

/** What EventFlow knows of a booking: it exists, or it was deleted. */
export type StoredBooking =
  | { readonly state: "present"; readonly booking: EventflowBooking }
  | { readonly state: "deleted"; readonly booking: EventflowBooking };

/** A booking in a list. Its members are computed on demand, so that skipping one is cheap. */
export interface ListedBooking {
  readonly updatedAt: unknown;
  load(): EventflowBooking;
}

/** The bookings of the simulated EventFlow: the seed and the changes to it. */
export interface EventflowStore {
  /** The booking as it is, or as it was at a moment (ms since 1970) within the longest lag. */
  get(id: string, moment?: number): StoredBooking | undefined;
  /**
   * The bookings that an organization sees, one after the other and always in the same order, each
   * as it was at its moment.
   */
  visible(
    organizationId: string | undefined,
    momentOf?: (id: string) => number | undefined,
  ): Generator<ListedBooking>;
  put(booking: EventflowBooking): void;
  delete(id: string): void;
  reset(): void;
}

/**
 * Holds only what differs from the seed, so that a hundred thousand bookings cost nothing. If a
 * booking was made with an `organization_id`, only that organization sees it, and it sees nothing of
 * the seed, so that tests do not share bookings.
 */
export function createEventflowStore(
  seed: EventflowSeed,
  now: () => number = Date.now,
): EventflowStore {
  const history = createHistory<StoredBooking>(now);
  const changed = new Map<string, StoredBooking>();
  const added = new Set<string>();

  function get(id: string, moment?: number): StoredBooking | undefined {
    const index = seedIndex(id);
    const current = changed.get(id) ??
      (index !== undefined && index < seed.count
        ? { state: "present", booking: seedBooking(seed, index) } as const
        : undefined);
    return moment === undefined ? current : history.stateAt(id, moment, current);
  }
  return {
    get,
    *visible(organizationId, momentOf = () => undefined): Generator<ListedBooking> {
      const own = [...added].filter((id) =>
        organizationId !== undefined && changed.get(id)?.booking.organization_id === organizationId
      );
      const seeded = own.length > 0 ? 0 : seed.count;
      for (let index = 0; index < seeded; index++) {
        if (changed.size > 0 && changed.has(seedId(index))) {
          const stored = get(seedId(index), momentOf(seedId(index)));
          if (stored?.state === "present") yield listed(stored.booking);
          continue;
        }
        yield {
          get updatedAt() {
            return seedUpdatedAt(seed, index);
          },
          load: () => seedBooking(seed, index),
        };
      }
      for (const id of own.length > 0 ? own : added) {
        const stored = get(id, momentOf(id));
        if (stored?.state !== "present") continue;
        if (own.length > 0 || stored.booking.organization_id === undefined) {
          yield listed(stored.booking);
        }
      }
    },
    put(booking): void {
      const index = seedIndex(booking.id);
      if (index === undefined || index >= seed.count) added.add(booking.id);
      history.supersede(booking.id, get(booking.id));
      changed.set(booking.id, { state: "present", booking });
    },
    delete(id): void {
      const stored = get(id);
      if (stored === undefined) return;
      history.supersede(id, stored);
      changed.set(id, { state: "deleted", booking: stored.booking });
    },
    reset(): void {
      changed.clear();
      added.clear();
      history.reset();
    },
  };
}

function listed(booking: EventflowBooking): ListedBooking {
  return { updatedAt: booking.updated_at, load: () => booking };
}
