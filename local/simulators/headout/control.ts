import { jsonResponse } from "../../json_response.ts";
import { burst, type CommonControl, commonControl, controlHelp, done } from "../control_common.ts";
import { readControlBody, type SimulatorOptions } from "../simulator.ts";
import type { WebhookConfiguration } from "./partner_api.ts";
import type { HeadoutBooking } from "./seed.ts";
import { localTime, sendEvent } from "./send_event.ts";
import type { HeadoutStore } from "./store.ts";

/** What the control API can change. */
export interface HeadoutControlOptions extends SimulatorOptions, CommonControl {
  readonly store: HeadoutStore;
  readonly modes: readonly string[];
  readonly webhook: WebhookConfiguration;
  /** Factor on Headout's retry pauses of 5, 10, 20 and 20 s. */
  readonly retryScale?: number;
}

/** The control API under `_control`: changes Headout's data and behaviour. */
export async function controlHeadout(
  request: Request,
  path: string,
  options: HeadoutControlOptions,
): Promise<Response> {
  const common = await commonControl(request, path, options);
  if (common !== undefined) return common;
  const { store } = options;
  const { method } = request;
  const [collection, rawId, action] = path.split("/");
  const notFound = () =>
    controlHelp(path, options.modes, ["POST bookings/:id/reschedule {startDateTime}"]);
  if (path === "burst" && method === "POST") {
    return await burst(request, {
      bookingIds: store.all,
      send: (id, body) => sendEvent(id, body, options),
      signal: options.signal,
    });
  }
  if (collection !== "bookings") return notFound();
  if (rawId === undefined || rawId === "") {
    if (method === "GET") return jsonResponse(store.all().map((id) => store.get(id)));
    if (method !== "POST") return notFound();
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
  if (booking === undefined) return notFound();
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
  return notFound();

  function save(saved: HeadoutBooking, status = 200): Response {
    store.put(saved);
    return jsonResponse(saved, status);
  }
}

/** A new start, announced as Headout does it: CANCELLED, PENDING, COMPLETED with the same id. */
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
