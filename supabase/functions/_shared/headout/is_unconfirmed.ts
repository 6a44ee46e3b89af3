// CAL_1000: our key is bad. CAL_1405, CAL_1802: temporary. None of them is about the booking.
const NOT_ABOUT_THE_BOOKING = /CAL_(?:1000|1405|1802)\b/;

/**
 * Whether an error status on a read of one booking means "cannot be confirmed": 400, 403 and 404
 * do (domain/headout.md), unless the error's own code says that it will pass or that our key is bad,
 * since then asking again later helps.
 */
export function isUnconfirmed(status: number, body: unknown): boolean {
  if (status !== 400 && status !== 403 && status !== 404) return false;
  const text = typeof body === "string" ? body : JSON.stringify(body) ?? "";
  return !NOT_ABOUT_THE_BOOKING.test(text);
}
