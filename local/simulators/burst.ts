import { pause } from "./faults.ts";

/** What a burst of webhooks was answered. */
export interface BurstReport {
  readonly webhooks: number;
  readonly seconds: number;
  /** Answers by status; 0 is none. */
  readonly statuses: Readonly<Record<string, number>>;
}

/**
 * Sends `webhooks` webhooks evenly within `seconds`, one booking after the other and from the front
 * again, without waiting for answers; returns when all have been answered.
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
  const answers: Promise<void>[] = [];
  for (let index = 0; index < count; index++) {
    const wait = (index / count) * seconds * 1000 - (performance.now() - began);
    if (wait > 1) await pause(wait, options.signal);
    const id = ids[index % ids.length] as string;
    answers.push(
      options.send(id).then((answer) => {
        const { status } = answer as { readonly status: number };
        statuses[status] = (statuses[status] ?? 0) + 1;
      }),
    );
  }
  await Promise.all(answers);
  return { webhooks: count, seconds: (performance.now() - began) / 1000, statuses };
}
