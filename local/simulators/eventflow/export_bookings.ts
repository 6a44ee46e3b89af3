import { jsonResponse } from "../../json_response.ts";
import { type Faults, spoil } from "../faults.ts";
import type { EventflowBooking } from "./booking.ts";
import { fileHost } from "./seed.ts";
import type { EventflowStore, ListedBooking } from "./store.ts";

/** What the export endpoint needs. */
export interface ExportOptions {
  readonly store: EventflowStore;
  readonly faults: Faults;
  readonly signal: AbortSignal;
}

const wholeAnswer = ["status", "html", "rate_limit", "hang", "truncated", "drip"];

/** The faults that only EventFlow has. */
export const eventflowModes = [
  "empty",
  "other_booking",
  "other_organization",
  "absent",
  "contract_version",
  "legacy",
  "ignore_page",
] as const;

/** `GET export_bookings`: one booking in contract 1.1, or a page of the list. */
export async function exportBookings(
  url: URL,
  options: ExportOptions,
): Promise<{ readonly answer: Response; readonly fault?: string }> {
  const bookingId = url.searchParams.get("booking_id") ?? undefined;
  const organizationId = url.searchParams.get("organization_id") ?? undefined;
  const content = bookingId === undefined
    ? listAnswer(url, organizationId, options)
    : singleAnswer(bookingId, organizationId, options);
  const answer = jsonResponse(content.body, content.status ?? 200);
  const fault = options.faults.take(wholeAnswer, bookingId);
  const used = fault?.mode ?? content.fault;
  return {
    answer: fault === undefined ? answer : await spoil(fault, answer, options.signal),
    ...(used === undefined ? {} : { fault: used }),
  };
}

interface Content {
  readonly body: unknown;
  readonly status?: number;
  readonly fault?: string;
}

function singleAnswer(
  bookingId: string,
  organizationId: string | undefined,
  options: ExportOptions,
): Content {
  const { store } = options;
  const fault = options.faults.take(eventflowModes, bookingId);
  if (fault?.mode === "empty") return { body: { data: [] }, fault: "empty" };
  const stored = store.get(bookingId);
  const frame = {
    success: true,
    mode: "single",
    contract_version: fault?.mode === "contract_version" ? fault.version ?? "1.7" : "1.1",
  };
  const named = fault === undefined ? {} : { fault: fault.mode };
  if (fault?.mode === "absent") {
    return { body: { ...frame, found: false, reason: fault.reason ?? "not_exportable" }, ...named };
  }
  const owner = stored?.booking.organization_id;
  if (stored === undefined || (owner !== undefined && owner !== organizationId)) {
    const reason = stored === undefined ? "not_found" : "organization_mismatch";
    return { body: { ...frame, found: false, reason }, ...named };
  }
  const organization = fault?.mode === "other_organization"
    ? "00000000-0000-4000-8000-00000000dead"
    : organizationId;
  if (stored.state === "deleted" || isCancelled(stored.booking)) {
    const deleted = stored.state === "deleted";
    return {
      body: {
        ...frame,
        found: false,
        reason: deleted ? "deleted" : "cancelled",
        tombstone: {
          booking_id: fault?.mode === "other_booking" ? crypto.randomUUID() : bookingId,
          organization_id: organization,
          source_status: deleted ? "DELETED" : "CANCELLED",
          source_updated_at: stored.booking.updated_at,
          source_version: stored.booking.version,
        },
      },
      ...named,
    };
  }
  const sent = exported(stored.booking, organization);
  const booking = fault?.mode === "other_booking" ? { ...sent, id: crypto.randomUUID() } : sent;
  if (fault?.mode === "legacy") return { body: { data: [booking] }, ...named };
  return {
    body: {
      ...frame,
      found: true,
      booking_id: booking.id,
      organization_id: organization,
      source_status: booking.status,
      source_updated_at: booking.updated_at,
      booking,
    },
    ...named,
  };
}

function listAnswer(
  url: URL,
  organizationId: string | undefined,
  options: ExportOptions,
): Content {
  const fault = options.faults.take(["empty", "legacy", "ignore_page"], undefined);
  if (fault?.mode === "empty") return { body: { data: [] }, fault: "empty" };
  const limit = Math.min(500, positive(url.searchParams.get("limit"), 500));
  const page = fault?.mode === "ignore_page" ? 1 : positive(url.searchParams.get("page"), 1);
  const since = url.searchParams.get("since");
  const first = url.searchParams.get("start_date");
  const last = url.searchParams.get("end_date");
  const skip = (page - 1) * limit;
  const data: unknown[] = [];
  let seen = 0;
  for (const listed of options.store.visible(organizationId)) {
    if (data.length === limit) break;
    if (since !== null && !changedSince(listed, since)) continue;
    if (!withinDays(listed, first, last)) continue;
    if (seen++ < skip) continue;
    data.push(exported(listed.load(), organizationId));
  }
  return fault?.mode === "legacy"
    ? { body: data, fault: "legacy" }
    : { body: { data }, ...(fault === undefined ? {} : { fault: fault.mode }) };
}

/** As it leaves the house: with the organization, and with file URLs that are good once. */
function exported(
  booking: EventflowBooking,
  organizationId: string | undefined,
): EventflowBooking {
  const token = crypto.randomUUID();
  const text = JSON.stringify({ ...booking, organization_id: organizationId });
  return JSON.parse(text.replaceAll(
    new RegExp(`("${fileHost.replaceAll(".", "\\.")}[^"?#]*)"`, "g"),
    `$1?token=${token}"`,
  )) as EventflowBooking;
}

/** "Modified since", and known to leave out cancelled bookings. */
function changedSince(listed: ListedBooking, since: string): boolean {
  const changed = Date.parse(String(listed.updatedAt));
  return !(changed < Date.parse(since)) && !isCancelled(listed.load());
}

function withinDays(listed: ListedBooking, first: string | null, last: string | null): boolean {
  if (first === null && last === null) return true;
  const booking = listed.load();
  const days = Array.isArray(booking.event_dates) ? booking.event_dates.map(String) : [];
  return days.some((day) => (first === null || day >= first) && (last === null || day <= last));
}

function isCancelled(booking: EventflowBooking): boolean {
  return /^\s*(avbokad|cancell?ed)\W*$/i.test(String(booking.status ?? ""));
}

function positive(value: string | null, otherwise: number): number {
  const number = Number(value ?? otherwise);
  return Number.isInteger(number) && number > 0 ? number : otherwise;
}
