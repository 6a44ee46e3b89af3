import type { EventflowBooking } from "./booking.ts";
import { fileHost } from "./seed.ts";

/** As it leaves the house: with the organization, and with file URLs that are good once. */
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

/** Whether EventFlow has cancelled the booking, in any of its words. */
export function isCancelled(booking: EventflowBooking): boolean {
  return /^\s*(avbokad|cancell?ed)\W*$/i.test(String(booking.status ?? ""));
}
