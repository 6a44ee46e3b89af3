import type { Page } from "../../supabase/functions/_shared/source/booking_source.ts";
import type { Snapshot } from "../../supabase/functions/_shared/booking/snapshot.ts";
import { decodeList } from "../../supabase/functions/_shared/eventflow/decode_list.ts";
import { decodeSingle } from "../../supabase/functions/_shared/eventflow/decode_single.ts";
import { EVENT_DAY, RIG_DAY, RIGDOWN_DAY } from "./booking_builder.ts";
import type { Tenant } from "./tenant.ts";

type Json = Readonly<Record<string, unknown>>;

/** A whole, confirmed booking in EventFlow's own words; a test says only what is different. */
export function eventflowBooking(fields: Json = {}): Json {
  return {
    id: "booking-1",
    booking_number: "2705-37",
    title: "Sommarfest",
    clientName: "Malmö Stad",
    status: "Bekräftad",
    rig_up_dates: [RIG_DAY],
    event_dates: [EVENT_DAY],
    rig_down_dates: [RIGDOWN_DAY],
    delivery_address: "Storgatan 1",
    internal_notes: "Ring en timme före.",
    products: [
      { id: "tent", name: "Tält 6x9", quantity: 2, unit_price: 900 },
      { id: "chair", name: "Stol", quantity: 40, unit_price: 12 },
    ],
    attachments: [{ public_url: "https://files.example/offert.pdf?token=1", name: "Offert.pdf" }],
    ...fields,
  };
}

/** The contract's answer "found" around a booking. */
export function foundAnswer(booking: Json, frame: Json = {}): Json {
  return { success: true, mode: "single", contract_version: "1.1", found: true, booking, ...frame };
}

/** The contract's answer with a tombstone, `cancelled` or `deleted`. */
export function tombstoneAnswer(
  tenant: Tenant,
  reason: "cancelled" | "deleted",
  bookingId = "booking-1",
  fields: Json = {},
): Json {
  return {
    success: true,
    mode: "single",
    contract_version: "1.1",
    found: false,
    reason,
    tombstone: {
      booking_id: bookingId,
      organization_id: tenant.id,
      source_status: reason.toUpperCase(),
      ...fields,
    },
  };
}

/** The snapshot in a single answer; throws `SourceError` where the decoder does. */
export function decodeAnswer(
  tenant: Tenant,
  body: unknown,
  externalId = "booking-1",
  fetchedAt: string = new Date().toISOString(),
): Snapshot {
  const answer = decodeSingle(body, { externalId, organizationId: tenant.id, fetchedAt });
  if (answer.kind === "absent") throw new Error(`The answer is absent: ${answer.reason}`);
  return answer.snapshot;
}

/** A page of bookings as the list answer `{ data }`. */
export function decodePage(
  tenant: Tenant,
  bookings: readonly unknown[],
  fetchedAt: string = new Date().toISOString(),
): Page {
  const question = { organizationId: tenant.id, fetchedAt, page: 1, limit: 500 };
  return decodeList({ rows: bookings, frame: {} }, question);
}
