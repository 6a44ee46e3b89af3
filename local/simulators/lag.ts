import { createScoped, type ScopeKey } from "./scoped.ts";

/** The longest lag that can be set, in seconds: how long older states are kept. */
export const longestLag = 900;

/** How far reads lag behind what has happened; webhooks never do. */
export interface Lag {
  /**
   * `{ seconds, booking_id? or organization_id? }`; null takes the setting away, and "frozen" shows
   * everything as it is now until then.
   */
  set(request: Record<string, unknown>): void;
  /** The moment as of which a read shows the booking, ms since 1970; undefined: now. */
  asOf(bookingId: string, organizationId?: string): number | undefined;
  reset(): void;
}

/** No lag at first; `keys` are the scopes that can be told apart when it is read. */
export function createLag(now: () => number, keys?: readonly ScopeKey[]): Lag {
  /** Milliseconds behind, or the moment at which time stands still. */
  const lags = createScoped<{ readonly behind: number } | { readonly at: number }>(undefined, keys);
  return {
    set({ seconds: wanted, ...scope }): void {
      const valid = typeof wanted === "number" && wanted >= 0 && wanted <= longestLag;
      if (wanted !== null && wanted !== "frozen" && !valid) {
        throw new TypeError(
          `Cannot set lag: seconds must be from 0 to ${longestLag}, "frozen", or null`,
        );
      }
      if (wanted === null) lags.set(scope, null);
      // What changes within the same millisecond comes after it.
      else lags.set(scope, valid ? { behind: wanted * 1000 } : { at: now() - 0.5 });
    },
    asOf(bookingId, organizationId): number | undefined {
      const lag = lags.isSet() ? lags.get(bookingId, organizationId) : undefined;
      if (lag === undefined) return undefined;
      if ("at" in lag) return lag.at;
      return lag.behind === 0 ? undefined : now() - lag.behind;
    },
    reset: lags.reset,
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
