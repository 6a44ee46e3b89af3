import type { ExportContent, ExportOptions } from "./export_bookings.ts";
import { exported, isCancelled } from "./exported.ts";
import type { ListedBooking } from "./store.ts";

/** One page of the list: `page` from 1, `limit` up to 500, `since`, `start_date` and `end_date`. */
export function listAnswer(
  url: URL,
  organizationId: string | undefined,
  options: ExportOptions,
): ExportContent {
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
  const momentOf = (id: string) => options.lag.asOf(id, organizationId);
  for (const listed of options.store.visible(organizationId, momentOf)) {
    if (data.length === limit) break;
    if (since !== null && !changedSince(listed, since)) continue;
    if (!withinDays(listed, first, last)) continue;
    if (seen++ < skip) continue;
    data.push(exported(options.appearance.show(listed.load(), organizationId), organizationId));
  }
  return fault?.mode === "legacy"
    ? { body: data, fault: "legacy" }
    : { body: { data }, ...(fault === undefined ? {} : { fault: fault.mode }) };
}

/** "Modified since", which leaves out cancelled bookings, as the real one does. */
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

function positive(value: string | null, otherwise: number): number {
  const number = Number(value ?? otherwise);
  return Number.isInteger(number) && number > 0 ? number : otherwise;
}
