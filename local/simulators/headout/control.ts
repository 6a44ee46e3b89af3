import { jsonResponse } from "../../json_response.ts";
import { type Faults, pause } from "../faults.ts";
import type { RequestLog } from "../request_log.ts";
import { readControlBody, type SimulatorOptions } from "../simulator.ts";
import { deliverEvent } from "./deliver_event.ts";
import type { WebhookConfiguration } from "./partner_api.ts";
import type { HeadoutBooking } from "./seed.ts";
import type { HeadoutStore } from "./store.ts";

/** What the control API steers. */
export interface HeadoutControlOptions extends SimulatorOptions {
  readonly store: HeadoutStore;
  readonly faults: Faults;
  readonly log: RequestLog;
  readonly webhook: WebhookConfiguration;
  /** Factor on Headout's retry pauses of 5, 10, 20 and 20 s. */
  readonly retryScale?: number;
}

/** Faults of the webhooks: lost, sent twice, sent late. */
export const headoutWebhookModes = ["drop", "duplicate", "delay"] as const;

/** The control API under `_control`: changes Headout's data and its manners. */
export async function controlHeadout(
  request: Request,
  path: string,
  options: HeadoutControlOptions,
): Promise<Response> {
  const { store, faults, log } = options;
  const { method } = request;
  const [collection, rawId, action] = path.split("/");
  if (collection === "requests" && method === "GET") return jsonResponse(log.report());
  if (collection === "requests" && method === "DELETE") return done(() => log.reset());
  if (collection === "faults" && method === "GET") return jsonResponse(faults.list());
  if (collection === "faults" && method === "DELETE") return done(() => faults.reset());
  if (collection === "faults" && method === "POST") {
    return jsonResponse(faults.add(await readControlBody(request)), 201);
  }
  if (collection === "reset" && method === "POST") {
    return done(() => [store, faults, log].forEach((part) => part.reset()));
  }
  if (collection !== "bookings") return notFound(path);
  if (rawId === undefined || rawId === "") {
    if (method === "GET") return jsonResponse(store.all().map((id) => store.get(id)));
    if (method !== "POST") return notFound(path);
    return save(newBooking(await readControlBody(request)), 201);
  }
  const id = decodeURIComponent(rawId);
  if (method === "PUT") {
    return save(newBooking({ ...await readControlBody(request), bookingId: id }));
  }
  if (action === "send-webhook" && method === "POST") {
    return jsonResponse(await sendEvent(id, await readControlBody(request), options));
  }
  const booking = store.get(id);
  if (booking === undefined) return notFound(path);
  if (action === undefined && method === "GET") return jsonResponse(booking);
  if (action === undefined && method === "DELETE") return done(() => store.delete(id));
  if (action === undefined && method === "PATCH") {
    const merged: Record<string, unknown> = { ...booking, ...await readControlBody(request) };
    const remove = new URL(request.url).searchParams.get("remove");
    for (const key of remove?.split(",") ?? []) delete merged[key];
    return save({ ...merged, bookingId: id } as HeadoutBooking);
  }
  if (action === "cancel" && method === "POST") return save({ ...booking, status: "CANCELLED" });
  if (action === "reschedule" && method === "POST") {
    return await reschedule(booking, await readControlBody(request), options);
  }
  return notFound(path);

  function save(saved: HeadoutBooking, status = 200): Response {
    store.put(saved);
    return jsonResponse(saved, status);
  }
}

/** A new start, told as Headout tells it: CANCELLED, PENDING, COMPLETED on the same id. */
async function reschedule(
  booking: HeadoutBooking,
  body: Record<string, unknown>,
  options: HeadoutControlOptions,
): Promise<Response> {
  const { startDateTime, ...webhook } = body;
  options.store.put({
    ...booking,
    status: "COMPLETED",
    ...(typeof startDateTime === "string" ? { startDateTime } : {}),
  });
  const events: unknown[] = [];
  const now = (options.now ?? Date.now)();
  for (const [second, status] of ["CANCELLED", "PENDING", "COMPLETED"].entries()) {
    const eventTimestamp = localTime(now + second * 1000);
    events.push(
      await sendEvent(booking.bookingId, { status, eventTimestamp, ...webhook }, options),
    );
  }
  return jsonResponse({ booking: options.store.get(booking.bookingId), events });
}

async function sendEvent(
  id: string,
  request: Record<string, unknown>,
  options: HeadoutControlOptions,
): Promise<unknown> {
  const { status, eventTimestamp, url, organization_id, headers, scale, body } = request;
  if (!options.webhook.enabled) return { status: 0, body: { disabled: true }, attempts: [] };
  const fault = options.faults.take(headoutWebhookModes, id);
  if (fault?.mode === "drop") return { status: 0, body: { dropped: true }, attempts: [] };
  const target = new URL(typeof url === "string" ? url : options.webhook.url);
  if (typeof organization_id === "string") {
    target.searchParams.set("organization_id", organization_id);
  }
  const signal = options.signal ?? new AbortController().signal;
  const event = body ?? {
    bookingId: Number(id),
    status: status ?? options.store.get(id)?.status ?? "COMPLETED",
    eventTimestamp: eventTimestamp ?? localTime((options.now ?? Date.now)()),
  };
  const send = () =>
    deliverEvent(target.href, event, {
      fetch: options.fetch ?? fetch,
      scale: typeof scale === "number" ? scale : options.retryScale ?? 1,
      headers: headers as Record<string, string> | undefined ?? {},
      signal,
    });
  if (fault?.mode === "delay") {
    void pause((fault.seconds ?? 1) * 1000, signal).then(() => signal.aborted ? null : send());
    return { status: 0, body: { delayed: true }, attempts: [] };
  }
  const delivery = await send();
  return fault?.mode === "duplicate" ? { ...await send(), first: delivery } : delivery;
}

function newBooking(fields: Record<string, unknown>): HeadoutBooking {
  const bookingId = String(fields.bookingId ?? 300_000_000 + Math.floor(Math.random() * 1e8));
  return {
    status: "PENDING",
    startDateTime: "2026-06-01T10:00:00",
    product: { id: "1", name: "Test experience", variant: { id: "2", name: "Standard" } },
    variantId: "2",
    customersDetails: { count: 0, customers: [] },
    ...fields,
    bookingId,
  };
}

/** Headout's "local time": no zone, one-second resolution. */
function localTime(now: number): string {
  return new Date(now).toISOString().slice(0, 19);
}

function done(work: () => void): Response {
  work();
  return jsonResponse({ ok: true });
}

function notFound(path: string): Response {
  return jsonResponse({ message: `There is no _control/${path}` }, 404);
}
