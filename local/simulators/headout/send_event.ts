import type { HeadoutControlOptions } from "./control.ts";
import { deliverEvent } from "./deliver_event.ts";

/** Sends a booking's status event as the control request says, and returns the result. */
export async function sendEvent(
  id: string,
  request: Record<string, unknown>,
  options: HeadoutControlOptions,
): Promise<unknown> {
  const { status, eventTimestamp, url, organization_id, headers, scale, body } = request;
  if (!options.webhook.enabled) return { status: 0, body: { disabled: true }, attempts: [] };
  const target = new URL(typeof url === "string" ? url : options.webhook.url);
  if (typeof organization_id === "string") {
    target.searchParams.set("organization_id", organization_id);
  }
  const signal = options.signal ?? new AbortController().signal;
  const event = body ?? {
    bookingId: Number(id),
    status: status ?? options.store.get(id)?.status ?? "COMPLETED",
    eventTimestamp: eventTimestamp ?? localTime((options.now ?? Date.now)()),
  };
  return await options.outbox.send(id, () =>
    deliverEvent(target.href, event, {
      fetch: options.fetch ?? fetch,
      scale: typeof scale === "number" ? scale : options.retryScale ?? 1,
      headers: headers as Record<string, string> | undefined ?? {},
      signal,
    }));
}

/** Headout's "local time": no zone, one-second resolution. */
export function localTime(now: number): string {
  return new Date(now).toISOString().slice(0, 19);
}
