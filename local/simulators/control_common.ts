import { jsonResponse } from "../json_response.ts";
import { type BurstReport, sendBurst } from "./burst.ts";
import type { Faults } from "./faults.ts";
import type { Lag } from "./lag.ts";
import type { Outbox } from "./outbox.ts";
import type { RequestLog } from "./request_log.ts";
import { readControlBody } from "./simulator.ts";

/** What every control API can change. */
export interface CommonControl {
  readonly faults: Faults;
  readonly lag: Lag;
  readonly log: RequestLog;
  readonly outbox: Outbox;
  readonly store: { reset(): void };
}

/** Answers the control requests that all simulators share; undefined for any other. */
export async function commonControl(
  request: Request,
  path: string,
  control: CommonControl,
): Promise<Response | undefined> {
  const { faults, lag, log, outbox, store } = control;
  switch (`${request.method} ${path}`) {
    case "GET requests":
      return jsonResponse(log.report());
    case "DELETE requests":
      return done(() => log.reset());
    case "GET faults":
      return jsonResponse(faults.list());
    case "POST faults":
      return jsonResponse(faults.add(await readControlBody(request)), 201);
    case "GET held":
      return jsonResponse({ held: faults.held() });
    case "DELETE faults":
      return done(() => faults.reset());
    case "POST lag": {
      const body = await readControlBody(request);
      return done(() => lag.set(body));
    }
    case "GET webhooks": {
      const after = Number(new URL(request.url).searchParams.get("after") ?? 0);
      return jsonResponse(outbox.report(after));
    }
    case "POST flush":
      await outbox.flush();
      return done(() => {});
    case "POST reset":
      return done(() => [store, faults, lag, log, outbox].forEach((part) => part.reset()));
    default:
      return undefined;
  }
}

/** `POST burst`: `{ webhooks?, seconds?, at_once?, booking_ids? }` and each webhook's fields. */
export async function burst(
  request: Request,
  options: {
    readonly bookingIds: () => readonly string[];
    readonly send: (id: string, body: Record<string, unknown>) => Promise<unknown>;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Response> {
  const { webhooks, seconds, at_once, booking_ids, ...body } = await readControlBody(request);
  const report: BurstReport = await sendBurst({ webhooks, seconds, at_once, booking_ids }, {
    bookingIds: options.bookingIds,
    send: (id) => options.send(id, body),
    signal: options.signal ?? new AbortController().signal,
  });
  return jsonResponse(report);
}

/** Runs the work and answers `{ ok: true }`. */
export function done(work: () => void): Response {
  work();
  return jsonResponse({ ok: true });
}

/** The requests of the control API; an unknown one gets this with 404. */
export function controlHelp(
  path: string,
  modes: readonly string[],
  more: readonly string[],
): Response {
  return jsonResponse({
    ...(path === "" ? {} : { message: `There is no _control/${path}` }),
    requests: [
      "GET bookings",
      "POST bookings {fields}",
      "GET|PUT|PATCH|DELETE bookings/:id",
      "POST bookings/:id/cancel",
      "POST bookings/:id/send-webhook",
      ...more,
      "GET|POST|DELETE faults {mode, count?, booking_id?, status?, seconds?, retry_after?}",
      "POST lag {seconds, booking_id?, organization_id?}",
      "GET held",
      "POST burst {webhooks?, seconds?, at_once?, booking_ids?}",
      "GET webhooks?after=0",
      "POST flush",
      "GET|DELETE requests",
      "POST reset",
    ],
    modes,
  }, path === "" ? 200 : 404);
}
