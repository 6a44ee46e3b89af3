import { pause } from "./faults.ts";

/** The answers to a burst of webhooks. */
export interface BurstReport {
  readonly webhooks: number;
  readonly seconds: number;
  /** How many answers by status; 0 means no answer. */
  readonly statuses: Readonly<Record<string, number>>;
}

/**
 * Sends `webhooks` webhooks evenly within `seconds`, going round the bookings, and returns when all
 * have been answered. At most `at_once` (500) are unanswered at a time.
 */
export async function sendBurst(
  request: Record<string, unknown>,
  options: {
    readonly bookingIds: () => readonly string[];
    readonly send: (bookingId: string) => Promise<unknown>;
    readonly signal: AbortSignal;
  },
): Promise<BurstReport> {
  const ids = Array.isArray(request.booking_ids)
    ? request.booking_ids.map(String)
    : options.bookingIds();
  const count = Number(request.webhooks ?? ids.length);
  const seconds = Number(request.seconds ?? 1);
  if (ids.length === 0) throw new TypeError("Cannot send a burst: there are no bookings");
  const began = performance.now();
  const statuses: Record<string, number> = {};
  const atOnce = Number(request.at_once ?? 500);
  const unanswered = new Set<Promise<void>>();
  for (let index = 0; index < count; index++) {
    const wait = (index / count) * seconds * 1000 - (performance.now() - began);
    if (wait > 1) await pause(wait, options.signal);
    while (unanswered.size >= atOnce) await Promise.race(unanswered);
    const sent = options.send(ids[index % ids.length] as string).then((answer) => {
      const { status } = answer as { readonly status: number };
      statuses[status] = (statuses[status] ?? 0) + 1;
      unanswered.delete(sent);
    });
    unanswered.add(sent);
  }
  await Promise.all(unanswered);
  return { webhooks: count, seconds: (performance.now() - began) / 1000, statuses };
}
