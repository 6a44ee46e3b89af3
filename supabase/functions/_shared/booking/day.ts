const DAY = /^(\d{4})-(\d{2})-(\d{2})(?:[T ]\d{2}:\d{2}.*)?$/;

/**
 * The calendar day of an ISO date or date-time as it is written: an offset does not move it
 * (incident: times shifted through UTC). `undefined` for anything else, for days that do not exist
 * and for years outside 1900 to 2200.
 *
 * @example
 * ```ts
 * parseDay("2026-08-04T23:30:00-05:00"); // "2026-08-04"
 * ```
 */
export function parseDay(text: string): string | undefined {
  const match = DAY.exec(text.trim());
  if (match === null) return undefined;
  const year = Number(match[1]);
  const month = Number(match[2]);
  const day = Number(match[3]);
  if (year < 1900 || year > 2200) return undefined;
  const date = new Date(Date.UTC(year, month - 1, day));
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return `${match[1]}-${match[2]}-${match[3]}`;
}
