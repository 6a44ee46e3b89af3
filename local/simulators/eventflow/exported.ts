import type { EventflowBooking } from "./booking.ts";
import { fileHost } from "./seed_words.ts";

/** A booking as it is sent: with the organization, and with a new token in every file URL. */
export function exported(
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

/** Whether EventFlow has cancelled the booking, whichever word it uses. */
export function isCancelled(booking: EventflowBooking): boolean {
  return /^\s*(avbokad|cancell?ed)\W*$/i.test(String(booking.status ?? ""));
}
