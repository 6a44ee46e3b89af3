const INSTANT =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i;

/**
 * An ISO date-time as an instant in UTC with up to microseconds; without an offset it is UTC, like
 * EventFlow's revisions. Equal instants give equal text. `undefined` for anything else and for
 * years outside 1900 to 2200.
 *
 * @example
 * ```ts
 * parseInstant("2026-08-04T19:11:00.5+02:00"); // "2026-08-04T17:11:00.5Z"
 * ```
 */
export function parseInstant(text: string): string | undefined {
  const match = INSTANT.exec(text.trim());
  if (match === null) return undefined;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", zone = "Z"] =
    match;
  const wall = Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
  );
  const written = new Date(wall);
  if (
    written.getUTCMonth() !== Number(month) - 1 || written.getUTCDate() !== Number(day) ||
    Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59
  ) return undefined;
  const offset = offsetMinutes(zone);
  if (Math.abs(offset) > 14 * 60) return undefined;
  const instant = new Date(wall - offset * 60_000);
  if (instant.getUTCFullYear() < 1900 || instant.getUTCFullYear() > 2200) return undefined;
  const digits = fraction.slice(0, 6).replace(/0+$/, "");
  return instant.toISOString().slice(0, 19) + (digits === "" ? "Z" : `.${digits}Z`);
}

function offsetMinutes(zone: string): number {
  if (zone.toUpperCase() === "Z") return 0;
  const digits = zone.slice(1).replace(":", "").padEnd(4, "0");
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2));
  return zone.startsWith("-") ? -minutes : minutes;
}
