const CLOCK = String.raw`(\d{1,2})[:.](\d{2})(?::(\d{2})(?:[.,]\d+)?)?`;
const TIME = new RegExp(`^${CLOCK}$`);
const INSTANT = new RegExp(
  String.raw`^\d{4}-\d{2}-\d{2}[T ]${CLOCK}(?:Z|[+-]\d{2}(?::?\d{2})?)?$`,
  "i",
);
const RANGE = /^(.+?)\s*[-–—]+\s*(.+)$/;
// Two date-times are separated by spaces or a long dash, since they contain hyphens themselves.
const INSTANT_RANGE = /^(.+?)(?:\s+-+\s+|\s*[–—]+\s*)(.+)$/;

/**
 * A local wall-clock time as `HH:MM:SS`, from `HH:MM[:SS]` or an ISO date-time, whose offset is
 * ignored: the time is as written (incident: times shifted through UTC). `24:00` becomes
 * `00:00:00`; `undefined` for anything else.
 */
export function parseTime(text: string): string | undefined {
  const match = TIME.exec(text.trim()) ?? INSTANT.exec(text.trim());
  if (match === null) return undefined;
  const [, hour = "", minute = "", second = "00"] = match;
  const time = `${hour.padStart(2, "0")}:${minute}:${second}`;
  if (time === "24:00:00") return "00:00:00";
  return Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60 ? time : undefined;
}

/**
 * Start and end of a range such as `08:00 - 12:00`, with `-`, `–` or `—`; a single time is a start
 * without an end. `undefined` for anything else.
 */
export function parseTimeRange(text: string): { start: string; end?: string } | undefined {
  const whole = parseTime(text);
  if (whole !== undefined) return { start: whole };
  const parts = (/\d{4}-\d{2}-\d{2}/.test(text) ? INSTANT_RANGE : RANGE).exec(text.trim());
  const start = parts?.[1] === undefined ? undefined : parseTime(parts[1]);
  const end = parts?.[2] === undefined ? undefined : parseTime(parts[2]);
  return start === undefined || end === undefined ? undefined : { start, end };
}
