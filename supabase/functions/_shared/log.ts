import {
  configureSync,
  getJsonLinesFormatter,
  getLogger,
  type LogLevel,
  type LogRecord,
  type Sink,
} from "@logtape/logtape";
import {
  DEFAULT_REDACT_FIELDS,
  EMAIL_ADDRESS_PATTERN,
  JWT_PATTERN,
  redactByField,
  redactByPattern,
} from "@logtape/redaction";
import { monotonicNow } from "./clock.ts";

/** What a log line carries beside its message; plain JSON values only. */
export type LogProperties = Readonly<Record<string, unknown>>;

/** The port for logging. Messages are constants; facts go into properties. */
export interface Log {
  readonly debug: (message: string, properties?: LogProperties) => void;
  readonly info: (message: string, properties?: LogProperties) => void;
  readonly warn: (message: string, properties?: LogProperties) => void;
  readonly error: (message: string, properties?: LogProperties) => void;
}

/** What a log line says of a fault: its kind and code. Messages may quote data, so they stay out. */
export function describeFault(error: unknown): LogProperties {
  const { name, code } = Object(error) as { readonly name?: unknown; readonly code?: unknown };
  return { error: name, error_code: code };
}

/** How {@linkcode createLog} writes. */
export interface LogOptions {
  readonly level?: LogLevel;
  /** Takes one JSON line without its line feed. Default `console.log`. */
  readonly write?: (line: string) => void;
  /** Milliseconds. For the limit on lines. Default `monotonicNow`. */
  readonly now?: () => number;
}

/**
 * The platform accepts 100 log events in 10 s. Each kind of line has its own limit, so that strangers,
 * who can cause any number of refusals, keep no other line out of the log. Errors have no limit.
 */
const WINDOW_MS = 10_000;
const LINES_PER_WINDOW = { refusal: 15, warning: 15, other: 60 };

/** Fields with personal data at both sources, in addition to the library's list. */
const PERSONAL_FIELDS = [
  /^(contact|client|customer)/i,
  /cookie/i,
  /^(url|body|headers)$/i,
  /^(first|last|full|client)_?name$/i,
];

/** Credentials in free text, such as the message of a failed request. */
const SECRET_PATTERNS = [
  JWT_PATTERN,
  EMAIL_ADDRESS_PATTERN,
  { pattern: /\b(sb_secret|whsec|pk|tk)_[\w+/=-]+/g, replacement: "[REDACTED]" },
  { pattern: /([?&](?:key|token|apikey)=)[^&\s"]+/gi, replacement: "$1[REDACTED]" },
];

/**
 * Configures the log of the process and returns it: JSON lines, redacted by field and by pattern,
 * within the limits of {@linkcode LINES_PER_WINDOW}. The next line that is written says how many were
 * suppressed.
 */
export function createLog(name: string, options: LogOptions = {}): Log {
  const { level = "info", write = console.log, now = monotonicNow } = options;
  const format = redactByPattern(
    getJsonLinesFormatter({ properties: "flatten", message: "template" }),
    SECRET_PATTERNS,
  );
  const sink: Sink = (record) => write(format(record).trimEnd());
  const redacted = redactByField(sink, {
    fieldPatterns: [...DEFAULT_REDACT_FIELDS, ...PERSONAL_FIELDS],
    action: () => "[REDACTED]",
  });
  configureSync({
    reset: true,
    sinks: { lines: limitEvents(redacted, now) },
    loggers: [
      { category: [name], sinks: ["lines"], lowestLevel: level },
      { category: ["logtape", "meta"], sinks: ["lines"], lowestLevel: "error" },
    ],
  });
  const logger = getLogger([name]);
  return {
    debug: (message, properties) => logger.debug(message, properties ?? {}),
    info: (message, properties) => logger.info(message, properties ?? {}),
    warn: (message, properties) => logger.warn(message, properties ?? {}),
    error: (message, properties) => logger.error(message, properties ?? {}),
  };
}

function limitEvents(sink: Sink, now: () => number): Sink {
  let windowStart = now();
  let left = { ...LINES_PER_WINDOW };
  let suppressed = 0;
  return (record: LogRecord) => {
    if (now() - windowStart >= WINDOW_MS) {
      windowStart = now();
      left = { ...LINES_PER_WINDOW };
    }
    const kind = kindOf(record);
    if (kind !== "error" && left[kind]-- <= 0) {
      suppressed += 1;
      return;
    }
    const properties = suppressed > 0 ? { ...record.properties, suppressed } : record.properties;
    suppressed = 0;
    sink({ ...record, properties });
  };
}

/** A refusal is a request answered 4xx of a caller who proved nothing. */
function kindOf({ level, properties }: LogRecord): keyof typeof LINES_PER_WINDOW | "error" {
  if (level === "error" || level === "fatal") return "error";
  const { status, caller } = properties;
  if (typeof status === "number" && status >= 400 && caller !== "right") return "refusal";
  return level === "warning" ? "warning" : "other";
}
