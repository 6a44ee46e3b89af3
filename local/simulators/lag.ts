import { createScoped, type ScopeKey } from "./scoped.ts";

/** The longest lag that can be set, in seconds: how long older states are kept. */
export const longestLag = 900;

/** How far reads lag behind what has happened; webhooks never do. */
export interface Lag {
  /** `{ seconds, booking_id? or organization_id? }`; null takes the setting away. */
  set(request: Record<string, unknown>): void;
  /** The moment as of which a read shows the booking, ms since 1970; undefined: now. */
  asOf(bookingId: string, organizationId?: string): number | undefined;
  reset(): void;
}

/** No lag at first; `keys` are the scopes that can be told apart when it is read. */
export function createLag(now: () => number, keys?: readonly ScopeKey[]): Lag {
  const seconds = createScoped<number>(undefined, keys);
  return {
    set({ seconds: wanted, ...scope }): void {
      const valid = typeof wanted === "number" && wanted >= 0 && wanted <= longestLag;
      if (wanted !== null && !valid) {
        throw new TypeError(`Cannot set lag: seconds must be from 0 to ${longestLag}, or null`);
      }
      seconds.set(scope, wanted as number | null);
    },
    asOf(bookingId, organizationId): number | undefined {
      if (!seconds.isSet()) return undefined;
      const lag = seconds.get(bookingId, organizationId) ?? 0;
      return lag === 0 ? undefined : now() - lag * 1000;
    },
    reset: seconds.reset,
  };
}

/** What bookings were before they changed. */
export interface History<T> {
  /** Keeps the state that ends now; undefined: there was no such booking. */
  supersede(id: string, before: T | undefined): void;
  /** The state at a moment (ms since 1970) within the longest lag; `current` if it still holds. */
  stateAt(id: string, moment: number, current: T | undefined): T | undefined;
  reset(): void;
}

/** An empty history that forgets what is older than the longest lag. */
export function createHistory<T>(now: () => number): History<T> {
  const ended = new Map<
    string,
    readonly { readonly at: number; readonly state: T | undefined }[]
  >();
  return {
    supersede(id, before): void {
      const at = now();
      const kept = (ended.get(id) ?? []).filter((each) => each.at >= at - longestLag * 1000);
      ended.set(id, [...kept, { at, state: before }]);
    },
    stateAt(id, moment, current): T | undefined {
      const then = ended.get(id)?.find(({ at }) => at > moment);
      return then === undefined ? current : then.state;
    },
    reset: () => ended.clear(),
  };
}
