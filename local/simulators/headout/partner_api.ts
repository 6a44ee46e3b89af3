import { jsonResponse } from "../../json_response.ts";
import type { Fault } from "../faults.ts";
import type { HeadoutBooking } from "./seed.ts";

/** The webhook configuration of a partner key; Headout lets one set these two and nothing else. */
export interface WebhookConfiguration {
  url: string;
  enabled: boolean;
}

/** The bookings as reads show them. */
export interface HeadoutReads {
  get(id: string): HeadoutBooking | undefined;
  all(): readonly string[];
}

const pageSize = 20;

/** The partner API v2 under `/api/public/v2/`, for a caller with the right key. */
export async function partnerApi(
  request: Request,
  path: string,
  store: HeadoutReads,
  webhook: WebhookConfiguration,
  fault: Fault | undefined,
): Promise<Response> {
  const url = new URL(request.url);
  const [collection, id] = path.split("/");
  if (collection === "webhooks" && id === undefined) return await configure(request, webhook);
  if (collection !== "bookings" || request.method !== "GET") {
    return failure(404, "CAL_1401", "Not found");
  }
  if (id === undefined) return listPage(url, store);
  const booking = store.get(id);
  if (booking === undefined) return failure(404, "CAL_1401", "Booking not found");
  return jsonResponse(
    fault?.mode === "other_booking" ? { ...booking, bookingId: "1" } : booking,
  );
}

/** An error in Headout's form. */
export function failure(status: number, code: string, message: string): Response {
  return jsonResponse({ code, message, success: false }, status);
}

function listPage(url: URL, store: HeadoutReads): Response {
  const offset = whole(url.searchParams.get("offset"), 0);
  const limit = Math.min(pageSize, Math.max(1, whole(url.searchParams.get("limit"), pageSize)));
  const ids = store.all();
  const next = offset + limit < ids.length ? offset + limit : null;
  const link = (from: number) => `/api/public/v2/bookings/?offset=${from}&limit=${limit}`;
  return jsonResponse({
    items: ids.slice(offset, offset + limit).map((id) => store.get(id)),
    nextUrl: next === null ? null : link(next),
    prevUrl: offset === 0 ? null : link(Math.max(0, offset - limit)),
    total: ids.length,
    nextOffset: next,
  });
}

async function configure(request: Request, webhook: WebhookConfiguration): Promise<Response> {
  if (request.method === "GET") return jsonResponse(webhook);
  if (request.method !== "POST" && request.method !== "PUT") {
    return failure(405, "CAL_1400", "Method not allowed");
  }
  const body = await request.json().catch(() => ({})) as Partial<WebhookConfiguration>;
  const url = body.url ?? webhook.url;
  // Headout accepts https only. The local stack has none, so its address is accepted too.
  const allowed = /^https:\/\/|^http:\/\/(127\.0\.0\.1|localhost)[:/]/.test(url);
  if (!allowed || url.length > 2048) {
    return failure(400, "CAL_1400", "url must be https and at most 2048 characters");
  }
  webhook.url = url;
  webhook.enabled = body.enabled ?? webhook.enabled;
  return jsonResponse(webhook);
}

function whole(value: string | null, otherwise: number): number {
  const number = Number(value ?? otherwise);
  return Number.isInteger(number) && number >= 0 ? number : otherwise;
}
