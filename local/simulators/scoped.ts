/** Whom a setting is for: one booking, the reads of one organization, or all if neither is named. */
export interface Scope {
  readonly booking_id?: unknown;
  readonly organization_id?: unknown;
}

/** A member of a scope. */
export type ScopeKey = keyof Scope;

/** One setting that can differ by booking and by organization. */
export interface Scoped<T> {
  /** Sets it for a scope; null takes it away again. Throws a `TypeError` for another scope. */
  set(scope: Scope, value: T | null): void;
  /** The booking's own value, else its organization's, else that of all. */
  get(bookingId: string, organizationId: string | undefined): T | undefined;
  /** Whether it is set for anybody. */
  isSet(): boolean;
  reset(): void;
}

/** A setting that is `initial` for all, or not set, and whom it can be set for. */
export function createScoped<T>(
  initial?: T,
  keys: readonly ScopeKey[] = ["booking_id", "organization_id"],
): Scoped<T> {
  const values = new Map<string, T>();
  function reset(): void {
    values.clear();
    if (initial !== undefined) values.set("all", initial);
  }
  reset();
  return {
    set(scope, value): void {
      const named = Object.keys(scope);
      const [name] = named;
      if (named.length > 1 || (name !== undefined && !keys.includes(name as ScopeKey))) {
        throw new TypeError(`Cannot set this for ${named.join(" and ")}: use ${keys.join(" or ")}`);
      }
      const key = name === undefined ? "all" : `${name} ${scope[name as ScopeKey]}`;
      if (value === null) values.delete(key);
      else values.set(key, value);
    },
    get: (bookingId, organizationId) =>
      values.get(`booking_id ${bookingId}`) ?? values.get(`organization_id ${organizationId}`) ??
        values.get("all"),
    isSet: () => values.size > 0,
    reset,
  };
}
