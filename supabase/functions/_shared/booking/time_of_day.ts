const CLOCK = String.raw`(\d{1,2})(?:[:.](\d{2})(?::(\d{2})(?:[.,]\d+)?)?)?`;
/** What people write before and after a time: `kl 8`, `ca 08:00`, `08:00h`, `7:30 PM`. */
const TIME = new RegExp(
  String.raw`^(?:(?:kl|klockan|ca|cirka|c:a)\b\.?\s*)*${CLOCK}\s*(?:h|([ap])\.?m\.?)?$`,
  "i",
);
const DIGITS = /^(?:(?:kl|klockan|ca|cirka|c:a)\b\.?\s*)*(\d{2})(\d{2})\s*h?$/i;
const INSTANT = new RegExp(
  String.raw`^\d{4}-\d{2}-\d{2}[T ]${CLOCK}(?:Z|[+-]\d{2}(?::?\d{2})?)?$`,
  "i",
);
const RANGE = /^(.+?)\s*(?:[-–—]+|\btill\b)\s*(.+)$/i;
// Two date-times are separated by spaces or a long dash, since they contain hyphens themselves.
const INSTANT_RANGE = /^(.+?)(?:\s+-+\s+|\s*[–—]+\s*)(.+)$/;

/**
 * A local wall-clock time as `HH:MM:SS`: from `8`, `08:00`, `8.30`, `0800`, `kl 8`, `ca 08:00`,
 * `08:00h`, `7:30 PM` or an ISO date-time, whose offset is ignored: the time is as written (incident:
 * times shifted through UTC). `24:00` is the end of the day and stays so; `undefined` for anything
 * else.
 */
export function parseTime(text: string): string | undefined {
  const trimmed = text.trim();
  const match = DIGITS.exec(trimmed) ?? TIME.exec(trimmed) ?? INSTANT.exec(trimmed);
  if (match === null) return undefined;
  const [, hours = "", minute = "00", second = "00", half] = match;
  const hour = half === undefined ? Number(hours) : inHalf(Number(hours), half);
  if (hour === undefined) return undefined;
  const time = `${String(hour).padStart(2, "0")}:${minute}:${second}`;
  if (time === "24:00:00") return time;
  return hour < 24 && Number(minute) < 60 && Number(second) < 60 ? time : undefined;
}

/** An hour of the twelve-hour clock: 12 AM is midnight, 12 PM noon. */
function inHalf(hour: number, half: string): number | undefined {
  if (hour < 1 || hour > 12) return undefined;
  return hour % 12 + (half.toLowerCase() === "p" ? 12 : 0);
}

/**
 * Start and end of a range such as `08:00 - 12:00` or `kl 8–12`, with `-`, `–`, `—` or `till`; a
 * single time is a start without an end. Of `7 - 9 PM` both are in the evening. `undefined` for
 * anything else.
 */
export function parseTimeRange(text: string): { start: string; end?: string } | undefined {
  const whole = parseTime(text);
  if (whole !== undefined) return { start: whole };
  const parts = (/\d{4}-\d{2}-\d{2}/.test(text) ? INSTANT_RANGE : RANGE).exec(text.trim());
  if (parts?.[1] === undefined || parts[2] === undefined) return undefined;
  const half = /[ap]\.?m\.?$/i.exec(parts[2])?.[0];
  const first = half === undefined || /[ap]\.?m\.?$/i.test(parts[1]) ? parts[1] : parts[1] + half;
  const start = parseTime(first);
  const end = parseTime(parts[2]);
  return start === undefined || end === undefined ? undefined : { start, end };
}
