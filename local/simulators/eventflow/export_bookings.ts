import { jsonResponse } from "../../json_response.ts";
import { type Faults, spoil } from "../faults.ts";
import type { Lag } from "../lag.ts";
import type { Appearance } from "./appearance.ts";
import { exported, isCancelled } from "./exported.ts";
import { listAnswer } from "./list_bookings.ts";
import type { EventflowStore } from "./store.ts";

/** What the export endpoint needs. */
export interface ExportOptions {
  readonly store: EventflowStore;
  readonly faults: Faults;
  readonly lag: Lag;
  readonly appearance: Appearance;
  readonly signal: AbortSignal;
}

const wholeAnswer = ["status", "html", "rate_limit", "hang", "hold", "truncated", "drip"];

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

/** The answer before the common faults change it. */
export interface ExportContent {
  readonly body: unknown;
  readonly status?: number;
  readonly fault?: string;
}

function singleAnswer(
  bookingId: string,
  organizationId: string | undefined,
  options: ExportOptions,
): ExportContent {
  const { store } = options;
  const fault = options.faults.take(eventflowModes, bookingId);
  if (fault?.mode === "empty") return { body: { data: [] }, fault: "empty" };
  const stored = store.get(bookingId, options.lag.asOf(bookingId, organizationId));
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
  const sent = exported(options.appearance.show(stored.booking, organizationId), organization);
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
