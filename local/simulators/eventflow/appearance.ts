import { createScoped } from "../scoped.ts";
import type { EventflowBooking } from "./booking.ts";
import {
  type Collection,
  daysOf,
  emptied,
  onlyDay,
  type Phase,
  readCollection,
  readPhase,
} from "./collections.ts";

/** How reads show a booking other than it is. */
export interface Appearance {
  /** `{ flags, booking_id? or organization_id? }`: the completeness flags sent; null: none. */
  setFlags(request: Record<string, unknown>): void;
  /** `{ phase, reads? }`: only the first day of the phase, for that many reads or until 0. */
  flicker(bookingId: string, request: Record<string, unknown>): void;
  /** `{ collection, reads? }`: an empty list, for that many reads or until 0. */
  empty(bookingId: string, request: Record<string, unknown>): void;
  /** The booking as the next read of it shows it. */
  show(booking: EventflowBooking, organizationId: string | undefined): EventflowBooking;
  reset(): void;
}

interface Alteration {
  readonly change: (booking: EventflowBooking) => EventflowBooking;
  left: number;
}

/** Bookings as they are; `flags` is what is sent for all of them, if anything. */
export function createAppearance(flags?: boolean): Appearance {
  const sent = createScoped<boolean>(flags);
  const altered = new Map<string, Map<Collection, Alteration>>();

  function alter(
    bookingId: string,
    collection: Collection,
    reads: unknown,
    change: Alteration["change"],
  ): void {
    const left = reads === undefined || reads === null ? Infinity : reads;
    if (typeof left !== "number" || !(left >= 0)) {
      throw new TypeError("Cannot alter the booking: reads must be a number, 0 or more");
    }
    const alterations = altered.get(bookingId) ?? new Map<Collection, Alteration>();
    if (left === 0) alterations.delete(collection);
    else alterations.set(collection, { change, left });
    altered.set(bookingId, alterations);
  }

  return {
    setFlags({ flags, ...scope }): void {
      if (flags !== null && typeof flags !== "boolean") {
        throw new TypeError("Cannot set flags: it must be true, false or null");
      }
      sent.set(scope, flags);
    },
    flicker(bookingId, { phase: name, reads }): void {
      const phase: Phase = readPhase(name);
      alter(bookingId, phase, reads, (booking) => {
        const [first] = daysOf(booking, phase);
        return first === undefined ? booking : onlyDay(booking, phase, first);
      });
    },
    empty(bookingId, { collection: name, reads }): void {
      const collection = readCollection(name);
      alter(bookingId, collection, reads, (booking) => emptied(booking, collection));
    },
    show(booking, organizationId): EventflowBooking {
      let shown = booking;
      for (const [collection, alteration] of altered.get(booking.id) ?? []) {
        shown = alteration.change(shown);
        alteration.left -= 1;
        if (alteration.left <= 0) altered.get(booking.id)?.delete(collection);
      }
      const flag = sent.get(booking.id, organizationId);
      if (flag === undefined) return shown;
      return {
        ...shown,
        dates_complete: flag,
        products_complete: flag,
        attachments_complete: flag,
      };
    },
    reset(): void {
      sent.reset();
      altered.clear();
    },
  };
}
