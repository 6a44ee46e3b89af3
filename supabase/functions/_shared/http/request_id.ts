/** 1–128 of `A–Z a–z 0–9 . _ -` (design §9). */
const WELL_FORMED = /^[A-Za-z0-9._-]{1,128}$/;

/** The caller's `x-request-id` if it is well formed, else a new one. */
export function takeRequestId(
  headers: Headers,
  make: () => string = () => crypto.randomUUID(),
): string {
  const given = headers.get("x-request-id");
  return given !== null && WELL_FORMED.test(given) ? given : make();
}
