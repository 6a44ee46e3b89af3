import { pause } from "../faults.ts";
import { sendWebhook, type WebhookAnswer } from "../simulator.ts";

/** The result of an event: the last answer, and the status of each attempt (0 is no answer). */
export interface EventDelivery extends WebhookAnswer {
  readonly attempts: readonly number[];
  /** Whether Headout gave up: after a 4xx at once, otherwise after the fourth retry. */
  readonly lost: boolean;
}

/** Headout's pauses before its retries, in seconds. */
export const retryPauses = [5, 10, 20, 20] as const;

/**
 * Sends an event as Headout does: a 2xx is the end, a 4xx other than 408 and 429 is permanent,
 * anything else is tried again after 5, 10, 20 and 20 s (times `scale`) and then given up.
 */
export async function deliverEvent(
  url: string,
  body: unknown,
  options: {
    readonly fetch: typeof fetch;
    readonly scale: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly signal: AbortSignal;
  },
): Promise<EventDelivery> {
  const attempts: number[] = [];
  for (let retry = 0;; retry++) {
    const answer = await sendWebhook(options.fetch, url, options.headers, body, options.signal);
    attempts.push(answer.status);
    if (answer.status >= 200 && answer.status < 300) return { ...answer, attempts, lost: false };
    const permanent = answer.status >= 400 && answer.status < 500 &&
      answer.status !== 408 && answer.status !== 429;
    const wait = retryPauses[retry];
    if (permanent || wait === undefined || options.signal.aborted) {
      return { ...answer, attempts, lost: true };
    }
    await pause(wait * 1000 * options.scale, options.signal);
  }
}
