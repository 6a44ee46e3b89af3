import { callInbox } from "../inbox/call_inbox.ts";
import type { FinishedDelivery, Inbox } from "../inbox/inbox.ts";
import type { Failure } from "./failures.ts";

/** A delivery that a worker holds. */
export interface LeasedDelivery {
  readonly deliveryId: string;
  /** Null for a call by hand: then only a delivery that nobody works on is finished. */
  readonly leaseToken: string | null;
}

/**
 * Ends or gives back the delivery of a booking that could not be imported, and returns what it is
 * now; undefined if it is not ours to finish (any more).
 */
export async function finishFailed(
  inbox: Pick<Inbox, "finishDelivery">,
  delivery: LeasedDelivery,
  failure: Failure,
  milliseconds: number,
): Promise<FinishedDelivery | undefined> {
  const { error, end, outcome } = failure;
  if (end === undefined) return undefined;
  const { code, message, status, details } = error;
  return await callInbox(milliseconds, (options) =>
    inbox.finishDelivery({
      deliveryId: delivery.deliveryId,
      leaseToken: delivery.leaseToken,
      ...end,
      lastError: end.status === "succeeded" ? null : { code, message, details },
      result: outcome === undefined ? null : { outcome, error: { code, message, status, details } },
    }, options));
}
