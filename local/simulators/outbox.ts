import { type Faults, pause } from "./faults.ts";
import type { WebhookAnswer } from "./simulator.ts";

/** What can go wrong with a webhook: lost, sent twice, sent late, sent after the next one. */
export const webhookModes = ["drop", "duplicate", "delay", "reorder"] as const;

/** One webhook that was sent, and the receiver's answer. */
export interface SentWebhook {
  /** Counts from 1. */
  readonly number: number;
  /** When it was sent, ISO. */
  readonly at: string;
  readonly booking_id: string;
  /** 0: no answer. */
  readonly status: number;
  /** From the receiver's answer; null if it has none. */
  readonly delivery_id: string | null;
}

/** Where a simulator sends its webhooks. */
export interface Outbox {
  /** Sends a webhook, or applies a fault to it; returns the answer of the control request. */
  send(bookingId: string, deliver: () => Promise<WebhookAnswer>): Promise<unknown>;
  /** Sends what `reorder` holds back. */
  flush(): Promise<void>;
  /** What was sent after webhook number `after`, and how many are still under way or held back. */
  report(after: number): { readonly pending: number; readonly webhooks: readonly SentWebhook[] };
  reset(): void;
}

/** How many sent webhooks are remembered. */
const remembered = 10_000;

/** An empty outbox that applies the faults to its webhooks. */
export function createOutbox(
  options: { readonly faults: Faults; readonly signal: AbortSignal; readonly now: () => number },
): Outbox {
  const { faults, signal, now } = options;
  let sent: SentWebhook[] = [];
  let number = 0;
  let pending = 0;
  let heldBack: (() => Promise<unknown>)[] = [];

  async function flush(): Promise<void> {
    for (const send of heldBack.splice(0)) await send();
  }

  async function send(bookingId: string, deliver: () => Promise<WebhookAnswer>): Promise<unknown> {
    async function recorded(): Promise<WebhookAnswer> {
      pending += 1;
      const at = new Date(now()).toISOString();
      const answer = await deliver().finally(() => pending -= 1);
      const { delivery_id, deliveryId } = Object(answer.body) as Record<string, unknown>;
      const id = delivery_id ?? deliveryId;
      sent.push({
        number: ++number,
        at,
        booking_id: bookingId,
        status: answer.status,
        delivery_id: typeof id === "string" ? id : null,
      });
      if (sent.length > 2 * remembered) sent = sent.slice(-remembered);
      return answer;
    }
    const fault = faults.take(webhookModes, bookingId);
    switch (fault?.mode) {
      case "drop":
        return { status: 0, body: { dropped: true } };
      case "delay":
        pending += 1;
        void pause((fault.seconds ?? 1) * 1000, signal)
          .then(() => signal.aborted ? undefined : recorded())
          .finally(() => pending -= 1);
        return { status: 0, body: { delayed: true } };
      case "reorder":
        heldBack.push(recorded);
        return { status: 0, body: { held_back: true } };
    }
    const first = await recorded();
    const answer = fault?.mode === "duplicate" ? { ...await recorded(), first } : first;
    await flush();
    return answer;
  }

  return {
    send,
    flush,
    report: (after) => ({
      pending: pending + heldBack.length,
      webhooks: sent.filter((each) => each.number > after),
    }),
    reset(): void {
      sent = [];
      heldBack = [];
      number = 0;
    },
  };
}
