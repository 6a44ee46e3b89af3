import { jsonResponse } from "../../json_response.ts";
import { commonModes, createFaults } from "../faults.ts";
import { createLag } from "../lag.ts";
import { firstDayOfNextMonth } from "../random.ts";
import { createOutbox, webhookModes } from "../outbox.ts";
import { createRequestLog } from "../request_log.ts";
import type { Simulator, SimulatorOptions } from "../simulator.ts";
import { createAppearance } from "./appearance.ts";
import { controlEventflow } from "./control.ts";
import { eventflowModes, exportBookings } from "./export_bookings.ts";
import type { EventflowSeed } from "./seed.ts";
import { createEventflowStore } from "./store.ts";

/** Which bookings the simulator begins with, and which completeness flags it sends. */
export interface EventflowSimulatorOptions extends SimulatorOptions {
  readonly seed?: Partial<EventflowSeed>;
  /** Sent for every collection of every booking; absent: no flag, as the real one does. */
  readonly flags?: boolean;
}

/**
 * A simulated EventFlow: `GET export_bookings` as `EVENTFLOW_API_URL` serves it, webhooks to
 * receive-booking, and a control API under `_control` that changes its data and behaviour.
 */
export function createEventflowSimulator(options: EventflowSimulatorOptions): Simulator {
  const now = options.now ?? Date.now;
  const store = createEventflowStore({
    seed: 1,
    count: 25,
    firstDay: firstDayOfNextMonth(now()),
    ...options.seed,
  }, now);
  const appearance = createAppearance(options.flags);
  const lag = createLag(now);
  const modes = [...commonModes, ...eventflowModes, ...webhookModes];
  const faults = createFaults(modes);
  const log = createRequestLog();
  const outbox = createOutbox({
    faults,
    now,
    signal: options.signal ?? new AbortController().signal,
  });

  return async function eventflow(request): Promise<Response> {
    const url = new URL(request.url);
    const path = url.pathname.slice(options.mount.length).replace(/^\/+|\/+$/g, "");
    if (/^_control(\/|$)/.test(path)) {
      try {
        const control = path.slice("_control/".length);
        return await controlEventflow(request, control, {
          ...options,
          modes,
          store,
          appearance,
          faults,
          lag,
          log,
          outbox,
        });
      } catch (error) {
        return jsonResponse(
          { message: error instanceof Error ? error.message : String(error) },
          400,
        );
      }
    }
    const kind = path === "export_bookings"
      ? url.searchParams.has("booking_id") ? "single" : "list"
      : "other";
    const signal = options.signal === undefined
      ? request.signal
      : AbortSignal.any([request.signal, options.signal]);
    const { answer, fault } = kind === "other" || request.method !== "GET"
      ? { answer: jsonResponse({ success: false, error: `no ${path} here` }, 404) }
      : authorized(request, options.apiKey)
      ? await exportBookings(url, { store, appearance, faults, lag, signal })
      : { answer: jsonResponse({ success: false, error: "unauthorized" }, 401) };
    log.add({
      at: new Date(now()).toISOString(),
      kind,
      method: request.method,
      path,
      query: Object.fromEntries(url.searchParams),
      status: answer.status,
      ...(fault === undefined ? {} : { fault }),
    });
    return answer;
  };
}

/** Both headers must carry the key: the real one has refused the bearer alone. */
function authorized(request: Request, apiKey: string): boolean {
  return request.headers.get("x-api-key") === apiKey &&
    request.headers.get("authorization") === `Bearer ${apiKey}`;
}
