import { readText } from "../read_stream.ts";
import { parseRetryAfter } from "../source/source_response.ts";
import { within } from "../within.ts";

// CAL_1000: our key is bad. CAL_1405, CAL_1802: temporary. None of them says anything about the
// booking.
const NOT_ABOUT_THE_BOOKING = /CAL_(?:1000|1405|1802)\b/;
/** A reason is a few hundred bytes; anything larger is not from Headout's API. */
const MAX_BYTES = 65_536;
const TIMEOUT_MS = 1_000;

/**
 * Whether the answer to a read of one booking means "cannot be confirmed". 400, 403 and 404 do,
 * unless asking again later can help: they send a `Retry-After`, their error code says that the
 * fault passes or that our key is bad, or their reason cannot be read. Reads the body of such an
 * answer and of no other.
 */
export async function isUnconfirmed(response: Response, now: number): Promise<boolean> {
  const { status, headers } = response;
  if (status !== 400 && status !== 403 && status !== 404) return false;
  if (parseRetryAfter(headers.get("retry-after"), now) !== undefined) return false;
  const reason = await readReason(response);
  return reason !== undefined && !NOT_ABOUT_THE_BOOKING.test(reason);
}

/**
 * The text of a refusal, at most 64 KiB, within a second. Undefined if it is not whole by then: half
 * a reason may lack the one word that counts.
 */
async function readReason({ body }: Response): Promise<string | undefined> {
  try {
    const read = (signal: AbortSignal) => readText(body, { maxBytes: MAX_BYTES, signal });
    return (await within(TIMEOUT_MS, read)).text;
  } catch {
    return undefined;
  }
}
