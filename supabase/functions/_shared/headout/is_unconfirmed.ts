import { parseRetryAfter } from "../booking/source_response.ts";
import { readReason } from "./read_reason.ts";

// CAL_1000: our key is bad. CAL_1405, CAL_1802: temporary. None of them is about the booking.
const NOT_ABOUT_THE_BOOKING = /CAL_(?:1000|1405|1802)\b/;

/**
 * Whether the answer to a read of one booking means "cannot be confirmed": 400, 403 and 404 do
 * (domain/headout.md), unless they ask us to come again later, or the error's own code says that it
 * will pass or that our key is bad, or the reason can't be read, since then asking again later
 * helps. Reads the body of such an answer and of no other.
 */
export async function isUnconfirmed(response: Response, now: number): Promise<boolean> {
  const { status, headers } = response;
  if (status !== 400 && status !== 403 && status !== 404) return false;
  if (parseRetryAfter(headers.get("retry-after"), now) !== undefined) return false;
  const reason = await readReason(response);
  return reason !== undefined && !NOT_ABOUT_THE_BOOKING.test(reason);
}
