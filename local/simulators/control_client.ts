import type { BurstReport } from "./burst.ts";
import type { Outbox } from "./outbox.ts";
import type { Scope } from "./scoped.ts";
import type { Simulator } from "./simulator.ts";

/** Controls a simulator from the same process, through its control API. */
export interface ControlClient {
  /** Sends a control request and returns its JSON. Throws for an error status. */
  request<T = unknown>(method: string, path: string, body?: unknown): Promise<T>;
  list<T = Record<string, unknown>>(query?: string): Promise<readonly T[]>;
  get<T = Record<string, unknown>>(id: string): Promise<T>;
  create<T = Record<string, unknown>>(booking: Record<string, unknown>): Promise<T>;
  /** Merges fields and raises the revision, unless `bump` is false; `remove` deletes keys. */
  patch<T = Record<string, unknown>>(
    id: string,
    fields: Record<string, unknown>,
    options?: { readonly bump?: boolean; readonly remove?: readonly string[] },
  ): Promise<T>;
  put<T = Record<string, unknown>>(id: string, booking: Record<string, unknown>): Promise<T>;
  cancel(id: string): Promise<unknown>;
  delete(id: string): Promise<unknown>;
  /** Makes the simulator send its webhook and returns the receiver's answer. */
  sendWebhook(
    id: string,
    options?: Record<string, unknown>,
  ): Promise<{ readonly status: number; readonly body: unknown }>;
  /** Sends many webhooks within some seconds: `{ webhooks?, seconds?, booking_ids? }`. */
  burst(options: Record<string, unknown>): Promise<BurstReport>;
  /** What was sent after webhook number `after`, and how many are still to come. */
  webhooks(after?: number): Promise<ReturnType<Outbox["report"]>>;
  /** Sends what `reorder` holds back. */
  flush(): Promise<unknown>;
  setFault(fault: Record<string, unknown>): Promise<unknown>;
  /** Reads show bookings as of that many seconds ago; webhooks are sent at once. */
  lag(seconds: number | "frozen" | null, scope?: Scope): Promise<unknown>;
  /** EventFlow: the completeness flags that are sent; null: none. */
  flags(flags: boolean | null, scope?: Scope): Promise<unknown>;
  /** EventFlow: `{ phase, reads? }`, only the first day of a phase; `reads` 0 ends it. */
  flicker(id: string, options: Record<string, unknown>): Promise<unknown>;
  /** EventFlow: `{ collection, reads? }`, an empty list; `reads` 0 ends it. */
  empty(id: string, options: Record<string, unknown>): Promise<unknown>;
  /** EventFlow: removes `{ phase, day? }`, `{ product }` or `{ file }` for good. */
  shrink<T = Record<string, unknown>>(id: string, what: Record<string, unknown>): Promise<T>;
  /** EventFlow: `{ phase?, days }` or `{ phase?, to }`, moves the days of a phase, or of all. */
  move<T = Record<string, unknown>>(id: string, how: Record<string, unknown>): Promise<T>;
  /** Ends all faults; what a `hold` stopped is answered now. */
  clearFaults(): Promise<unknown>;
  /** How many requests have met a `hold` since the faults were last cleared. */
  held(): Promise<number>;
  requests(): Promise<{
    readonly total: number;
    readonly counts: Readonly<Record<string, number>>;
    readonly requests: readonly {
      readonly kind: string;
      readonly status: number;
      readonly query: Readonly<Record<string, string>>;
    }[];
  }>;
  /** Back to the seed: no changes, faults or log. */
  reset(): Promise<unknown>;
}

/** A client of the control API at `mount`. */
export function createControlClient(simulator: Simulator, mount: string): ControlClient {
  async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await simulator(
      new Request(`http://simulator.invalid${mount}/_control${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} _control${path}: ${answer.status} ${text}`);
    return JSON.parse(text) as T;
  }
  const booking = (id: string) => `/bookings/${encodeURIComponent(id)}`;
  return {
    request,
    list: (query = "") => request("GET", `/bookings${query}`),
    get: (id) => request("GET", booking(id)),
    create: (fields) => request("POST", "/bookings", fields),
    patch: (id, fields, options = {}) => {
      const query = new URLSearchParams();
      if (options.bump === false) query.set("bump", "false");
      if (options.remove !== undefined) query.set("remove", options.remove.join(","));
      return request("PATCH", `${booking(id)}?${query}`, fields);
    },
    put: (id, fields) => request("PUT", booking(id), fields),
    cancel: (id) => request("POST", `${booking(id)}/cancel`),
    delete: (id) => request("DELETE", booking(id)),
    sendWebhook: (id, options = {}) => request("POST", `${booking(id)}/send-webhook`, options),
    burst: (options) => request("POST", "/burst", options),
    webhooks: (after = 0) => request("GET", `/webhooks?after=${after}`),
    flush: () => request("POST", "/flush"),
    setFault: (fault) => request("POST", "/faults", fault),
    lag: (seconds, scope = {}) => request("POST", "/lag", { ...scope, seconds }),
    flags: (flags, scope = {}) => request("POST", "/flags", { ...scope, flags }),
    flicker: (id, options) => request("POST", `${booking(id)}/flicker`, options),
    empty: (id, options) => request("POST", `${booking(id)}/empty`, options),
    shrink: (id, what) => request("POST", `${booking(id)}/shrink`, what),
    move: (id, how) => request("POST", `${booking(id)}/move`, how),
    clearFaults: () => request("DELETE", "/faults"),
    held: async () => (await request<{ held: number }>("GET", "/held")).held,
    requests: () => request("GET", "/requests"),
    reset: () => request("POST", "/reset"),
  };
}
