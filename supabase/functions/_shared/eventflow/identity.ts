/** Whether two uuids are the same: their letters' case does not count (RFC 9562 §4). */
export function isSameUuid(a: string, b: string): boolean {
  return a === b || a.trim().toLowerCase() === b.trim().toLowerCase();
}

/** Whether an id in an answer is the one asked for: as text, or as a uuid. */
export function isSameId(a: string, b: string): boolean {
  return a === b || (isUuid(a) && isUuid(b) && isSameUuid(a, b));
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text);
}
