const LOCAL =
  /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:Z|[+-]\d\d:?\d\d)?$/i;

/**
 * Headout's `eventTimestamp` as local text whose order is the order in time: without a zone, with
 * seconds, the fraction without trailing zeros. Undefined unless it is an ISO 8601 local date-time
 * that exists.
 *
 * @example
 * ```ts
 * normalizeEventTimestamp("2024-01-15T10:30:00.500Z"); // "2024-01-15T10:30:00.5"
 * normalizeEventTimestamp("2024-02-30T10:30:00"); // undefined
 * ```
 */
export function normalizeEventTimestamp(text: string): string | undefined {
  const [, day, minute, second = "00", fraction = ""] = LOCAL.exec(text.trim()) ?? [];
  if (day === undefined || minute === undefined) return undefined;
  const local = `${day}T${minute}:${second}`;
  const instant = new Date(`${local}Z`);
  // Date turns 30 February or 24:00 into the day after instead of failing.
  if (Number.isNaN(instant.getTime()) || instant.toISOString().slice(0, 19) !== local) {
    return undefined;
  }
  const digits = fraction.replace(/0+$/, "");
  return digits === "" ? local : `${local}.${digits}`;
}
