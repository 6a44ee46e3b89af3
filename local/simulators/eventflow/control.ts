import { jsonResponse } from "../../json_response.ts";
import { burst, type CommonControl, commonControl, controlHelp, done } from "../control_common.ts";
import { readControlBody, sendWebhook, type SimulatorOptions } from "../simulator.ts";
import { addDays } from "../random.ts";
import type { Appearance } from "./appearance.ts";
import type { EventflowBooking } from "./booking.ts";
import {
  daysOf,
  movedDays,
  phases,
  readPhase,
  withoutDay,
  withoutFile,
  withoutProduct,
} from "./collections.ts";
import type { EventflowStore } from "./store.ts";

/** What the control API can change. */
export interface EventflowControlOptions extends SimulatorOptions, CommonControl {
  readonly store: EventflowStore;
  readonly appearance: Appearance;
  readonly modes: readonly string[];
}

/** The control API under `_control`: changes EventFlow's data and behaviour. */
export async function controlEventflow(
  request: Request,
  path: string,
  options: EventflowControlOptions,
): Promise<Response> {
  const { store, appearance, now = Date.now } = options;
  const common = await commonControl(request, path, {
    ...options,
    store: { reset: () => [store, appearance].forEach((part) => part.reset()) },
  });
  if (common !== undefined) return common;
  const url = new URL(request.url);
  const [collection, rawId, action] = path.split("/");
  const { method } = request;
  const notFound = () =>
    controlHelp(path, options.modes, [
      "PATCH …?bump=false leaves the revision, ?remove=a,b drops keys",
      "POST bookings/:id/move {phase?, days|to}",
      "POST bookings/:id/shrink {phase, day?}|{product}|{file}",
      "POST bookings/:id/flicker {phase, reads?}",
      "POST bookings/:id/empty {collection, reads?}",
      "POST flags {flags, booking_id?, organization_id?}",
    ]);
  if (path === "flags" && method === "POST") {
    const body = await readControlBody(request);
    return done(() => appearance.setFlags(body));
  }
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
    return revise(merged as EventflowBooking);
  }
  if (method !== "POST") return notFound();
  const body = await readControlBody(request);
  switch (action) {
    case "cancel":
      return revise({ ...stored.booking, status: "Avbokad" });
    case "move":
      return revise(moved(stored.booking, body));
    case "shrink":
      return revise(shrunk(stored.booking, body));
    case "flicker":
      return done(() => appearance.flicker(id, body));
    case "empty":
      return done(() => appearance.empty(id, body));
    default:
      return notFound();
  }

  /** Stores the booking with the next revision, unless the request says `bump=false`. */
  function revise(changed: EventflowBooking): Response {
    const booking = url.searchParams.get("bump") === "false"
      ? changed
      : bump(changed, stored?.booking, instant());
    store.put(booking);
    return jsonResponse(booking);
  }
}

/** `{ phase?, days }` or `{ phase?, to }`: so many days later, or so that the first day is `to`. */
function moved(booking: EventflowBooking, body: Record<string, unknown>): EventflowBooking {
  const concerned = body.phase === undefined ? phases : [readPhase(body.phase)];
  const first = concerned.flatMap((phase) => daysOf(booking, phase)).sort()[0];
  if (first === undefined) throw new TypeError("Cannot move the booking: it has no such day");
  const count = typeof body.to === "string"
    ? (Date.parse(addDays(body.to, 0)) - Date.parse(first)) / 86_400_000
    : body.days;
  if (!Number.isInteger(count)) {
    throw new TypeError("Cannot move the booking: say days, a whole number, or to, a day");
  }
  return movedDays(booking, concerned, count as number);
}

/** Without `{ phase, day? }` (its last day), `{ product }` (an id) or `{ file }` (URL or name). */
function shrunk(booking: EventflowBooking, body: Record<string, unknown>): EventflowBooking {
  const { phase, day, product, file } = body;
  if (product !== undefined) return withoutProduct(booking, String(product));
  if (file !== undefined) return withoutFile(booking, String(file));
  return withoutDay(booking, readPhase(phase), day === undefined ? undefined : String(day));
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
