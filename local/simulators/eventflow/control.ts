import { jsonResponse } from "../../json_response.ts";
import { burst, type CommonControl, commonControl, controlHelp, done } from "../control_common.ts";
import { readControlBody, sendWebhook, type SimulatorOptions } from "../simulator.ts";
import type { EventflowBooking } from "./booking.ts";
import type { EventflowStore } from "./store.ts";

/** What the control API can change. */
export interface EventflowControlOptions extends SimulatorOptions, CommonControl {
  readonly store: EventflowStore;
  readonly modes: readonly string[];
}

/** The control API under `_control`: changes EventFlow's data and behaviour. */
export async function controlEventflow(
  request: Request,
  path: string,
  options: EventflowControlOptions,
): Promise<Response> {
  const common = await commonControl(request, path, options);
  if (common !== undefined) return common;
  const { store, now = Date.now } = options;
  const url = new URL(request.url);
  const [collection, rawId, action] = path.split("/");
  const { method } = request;
  const notFound = () =>
    controlHelp(path, options.modes, [
      "PATCH …?bump=false leaves the revision, ?remove=a,b drops keys",
    ]);
  if (path === "burst" && method === "POST") {
    return await burst(request, {
      bookingIds: () => [...store.visible(undefined)].map((listed) => listed.load().id),
      send: (id, body) => webhook(id, body, options),
      signal: options.signal,
    });
  }
  if (collection !== "bookings") return notFound();

  const instant = () => new Date(now()).toISOString();
  if (rawId === undefined || rawId === "") {
    if (method === "GET") return listBookings(url, store);
    if (method !== "POST") return notFound();
    const fields = await readControlBody(request);
    const booking = { id: crypto.randomUUID(), version: 1, updated_at: instant(), ...fields };
    store.put(booking);
    return jsonResponse(booking, 201);
  }
  const id = decodeURIComponent(rawId);
  const stored = store.get(id);
  if (method === "PUT" && action === undefined) {
    const booking = bump({ ...await readControlBody(request), id }, stored?.booking, instant());
    store.put(booking);
    return jsonResponse(booking);
  }
  if (action === "send-webhook" && method === "POST") {
    return jsonResponse(await webhook(id, await readControlBody(request), options));
  }
  if (stored === undefined) return notFound();
  if (action === undefined && method === "GET") return jsonResponse(stored.booking);
  if (action === undefined && method === "DELETE") {
    store.put(bump(stored.booking, stored.booking, instant()));
    return done(() => store.delete(id));
  }
  if (action === undefined && method === "PATCH") {
    const merged: Record<string, unknown> = {
      ...stored.booking,
      ...await readControlBody(request),
      id,
    };
    for (const key of url.searchParams.get("remove")?.split(",") ?? []) delete merged[key];
    const booking = url.searchParams.get("bump") === "false"
      ? merged as EventflowBooking
      : bump(merged as EventflowBooking, stored.booking, instant());
    store.put(booking);
    return jsonResponse(booking);
  }
  if (action === "cancel" && method === "POST") {
    const booking = bump({ ...stored.booking, status: "Avbokad" }, stored.booking, instant());
    store.put(booking);
    return jsonResponse(booking);
  }
  return notFound();
}

/** The next revision: one version up, changed now. What the caller has set stays. */
function bump(
  booking: EventflowBooking,
  before: EventflowBooking | undefined,
  instant: string,
): EventflowBooking {
  const revised: Record<string, unknown> = { ...booking };
  if (booking.updated_at === before?.updated_at) revised.updated_at = instant;
  if (booking.version === before?.version && (before === undefined || "version" in before)) {
    revised.version = Number(before?.version ?? 0) + 1;
  }
  return revised as EventflowBooking;
}

function webhook(
  id: string,
  body: Record<string, unknown>,
  options: EventflowControlOptions,
): Promise<unknown> {
  const { headers, url, key, ...fields } = body;
  return options.outbox.send(id, () =>
    sendWebhook(
      options.fetch ?? fetch,
      typeof url === "string" ? url : options.webhookUrl,
      {
        "x-api-key": typeof key === "string" ? key : options.webhookKey,
        ...(headers as Record<string, string> | undefined),
      },
      { booking_id: id, event_type: "updated", ...fields },
      options.signal,
    ));
}

function listBookings(url: URL, store: EventflowStore): Response {
  const limit = Number(url.searchParams.get("limit") ?? 100);
  const bookings: EventflowBooking[] = [];
  for (const listed of store.visible(url.searchParams.get("organization_id") ?? undefined)) {
    if (bookings.length >= limit) break;
    bookings.push(listed.load());
  }
  return jsonResponse(bookings);
}
