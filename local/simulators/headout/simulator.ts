import { jsonResponse } from "../../json_response.ts";
import { commonModes, createFaults, spoil } from "../faults.ts";
import { createLag } from "../lag.ts";
import { firstDayOfNextMonth } from "../random.ts";
import { createOutbox, webhookModes } from "../outbox.ts";
import { createRequestLog } from "../request_log.ts";
import type { Simulator, SimulatorOptions } from "../simulator.ts";
import { controlHeadout } from "./control.ts";
import { failure, partnerApi, type WebhookConfiguration } from "./partner_api.ts";
import type { HeadoutSeed } from "./seed.ts";
import { createHeadoutStore } from "./store.ts";

/** Which bookings the simulator begins with, and how long its webhooks wait before a retry. */
export interface HeadoutSimulatorOptions extends SimulatorOptions {
  readonly seed?: Partial<HeadoutSeed>;
  /** Factor on the retry pauses of 5, 10, 20 and 20 s. */
  readonly retryScale?: number;
}

/**
 * A simulated Headout: the partner API v2 as `HEADOUT_API_URL` serves it (bookings, webhook
 * configuration), status events to headout-webhook with the key in the URL, and a control API
 * under `_control`.
 */
export function createHeadoutSimulator(options: HeadoutSimulatorOptions): Simulator {
  const now = options.now ?? Date.now;
  const store = createHeadoutStore({
    seed: 1,
    count: 24,
    firstDay: firstDayOfNextMonth(now()),
    ...options.seed,
  }, now);
  const lag = createLag(now, ["booking_id"]);
  const reads = {
    get: (id: string) => store.get(id, lag.asOf(id)),
    all: () => store.all(lag.asOf),
  };
  const modes = [...commonModes, "other_booking", ...webhookModes];
  const faults = createFaults(modes);
  const log = createRequestLog();
  const outbox = createOutbox({
    faults,
    now,
    signal: options.signal ?? new AbortController().signal,
  });
  const webhook: WebhookConfiguration = {
    url: `${options.webhookUrl}?key=${encodeURIComponent(options.webhookKey)}`,
    enabled: true,
  };

  return async function headout(request): Promise<Response> {
    const url = new URL(request.url);
    const path = url.pathname.slice(options.mount.length).replace(/^\/+|\/+$/g, "");
    if (/^_control(\/|$)/.test(path)) {
      try {
        const control = path.slice("_control/".length);
        return await controlHeadout(request, control, {
          ...options,
          modes,
          store,
          faults,
          lag,
          log,
          outbox,
          webhook,
        });
      } catch (error) {
        return jsonResponse(
          { message: error instanceof Error ? error.message : String(error) },
          400,
        );
      }
    }
    const [, resource = ""] = /^api\/public\/v2\/(.*)$/.exec(path) ?? [];
    const bookingId = /^bookings\/([^/]+)$/.exec(resource)?.[1];
    const kind = resource === "bookings" ? "list" : bookingId !== undefined ? "single" : "other";
    const fault = kind === "other"
      ? undefined
      : faults.take([...commonModes, "other_booking"], bookingId);
    const signal = options.signal === undefined
      ? request.signal
      : AbortSignal.any([request.signal, options.signal]);
    const plain = resource === ""
      ? failure(404, "CAL_1401", "Not found")
      : request.headers.get("headout-auth") !== options.apiKey
      ? failure(403, "CAL_1000", "Invalid API key")
      : await partnerApi(request, resource, reads, webhook, fault);
    const answer = fault === undefined ? plain : await spoil(fault, plain, signal);
    log.add({
      at: new Date(now()).toISOString(),
      kind,
      method: request.method,
      path,
      query: Object.fromEntries(url.searchParams),
      status: answer.status,
      ...(fault === undefined ? {} : { fault: fault.mode }),
    });
    return answer;
  };
}
