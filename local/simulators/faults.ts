import { jsonResponse } from "../json_response.ts";

/** One fault, for the next `count` requests that match it. */
export interface Fault {
  readonly mode: string;
  /** Only requests for this booking; any, if absent. */
  readonly booking_id?: string;
  readonly status?: number;
  readonly seconds?: number;
  readonly retry_after?: number;
  readonly version?: string;
  readonly reason?: string;
  /** How many requests; null for all of them until the faults are reset. */
  readonly count: number | null;
  /** Of a `hold` that a request has met: resolves when the faults are reset. */
  readonly released?: Promise<void>;
}

/** The faults that are set now. */
export interface Faults {
  add(input: unknown): Fault;
  /** Uses the first fault among `modes` that matches the booking, once. */
  take(modes: readonly string[], bookingId: string | undefined): Fault | undefined;
  list(): readonly Fault[];
  /** How many requests have met a `hold` since the last reset. */
  held(): number;
  reset(): void;
}

/** Faults of any HTTP server; each simulator adds its own. */
export const commonModes = [
  "status",
  "html",
  "truncated",
  "hang",
  "hold",
  "rate_limit",
  "drip",
] as const;

/** An empty set of faults of these modes; adding another mode throws a `TypeError`. */
export function createFaults(modes: readonly string[]): Faults {
  let faults: { readonly fault: Fault; left: number }[] = [];
  let release = Promise.withResolvers<void>();
  let held = 0;
  return {
    add(input): Fault {
      const fault = { count: 1, ...(input as Partial<Fault>) } as Fault;
      if (!modes.includes(fault.mode)) {
        throw new TypeError(`Cannot set fault ${fault.mode}: modes are ${modes.join(", ")}`);
      }
      faults.push({ fault, left: fault.count ?? Infinity });
      return fault;
    },
    take(wanted, bookingId): Fault | undefined {
      const found = faults.find(({ fault, left }) =>
        left > 0 && wanted.includes(fault.mode) &&
        (fault.booking_id === undefined || fault.booking_id === bookingId)
      );
      if (found === undefined) return undefined;
      found.left--;
      faults = faults.filter(({ left }) => left > 0);
      if (found.fault.mode !== "hold") return found.fault;
      held++;
      return { ...found.fault, released: release.promise };
    },
    list: () =>
      faults.map(({ fault, left }) => ({ ...fault, count: left === Infinity ? null : left })),
    held: () => held,
    reset(): void {
      faults = [];
      held = 0;
      release.resolve();
      release = Promise.withResolvers();
    },
  };
}

/** Applies a common fault to an answer. `signal` aborts when the caller disconnects. */
export async function spoil(
  fault: Fault,
  answer: Response,
  signal: AbortSignal,
): Promise<Response> {
  switch (fault.mode) {
    case "status":
      return jsonResponse({ success: false, error: "simulated fault" }, fault.status ?? 500);
    case "html":
      return new Response("<!doctype html><title>Logga in</title><h1>Logga in</h1>", {
        status: fault.status ?? 200,
        headers: { "content-type": "text/html; charset=utf-8" },
      });
    case "rate_limit":
      return jsonResponse({ success: false, error: "too many requests" }, 429, {
        "retry-after": String(fault.retry_after ?? 1),
      });
    case "truncated": {
      const text = await answer.text();
      return new Response(text.slice(0, Math.floor(text.length / 2)), answer);
    }
    case "hang":
      await pause((fault.seconds ?? 30) * 1000, signal);
      return answer;
    case "hold":
      await Promise.race([fault.released, untilAborted(signal)]);
      return answer;
    case "drip":
      return new Response(drip(await answer.text(), fault.seconds ?? 5, signal), answer);
    default:
      return answer;
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Waits, but no longer than until the signal; never rejects. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}

function drip(text: string, seconds: number, signal: AbortSignal): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  const pieces = 10;
  const size = Math.max(1, Math.ceil(bytes.length / pieces));
  let sent = 0;
  return new ReadableStream({
    async pull(controller): Promise<void> {
      await pause((seconds * 1000) / pieces, signal);
      if (signal.aborted) return controller.error(new Error("the caller has gone"));
      controller.enqueue(bytes.slice(sent, sent + size));
      sent += size;
      if (sent >= bytes.length) controller.close();
    },
  });
}
