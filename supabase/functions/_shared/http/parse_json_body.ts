import { AnswerError, type ErrorDetail, InvalidBody } from "../errors.ts";
import { escapeUnstorable, findUnstorable } from "./find_unstorable.ts";

/** The body of a request: what it says, and what the inbox can store of it. */
export interface JsonBody {
  /**
   * The parsed object; undefined if there is none. Together with an {@linkcode JsonBody.error} it
   * only helps to tell which booking is meant: then it may be the only object of a list, hold text
   * that Postgres cannot store, and have U+FFFD in place of bytes that are not UTF-8.
   */
  readonly value: Readonly<Record<string, unknown>> | undefined;
  /** Always storable as jsonb: the object verbatim, otherwise `{ text }`. */
  readonly storable: Readonly<Record<string, unknown>>;
  /** Why the body is refused: 415 or 400; undefined if it is a JSON object. */
  readonly error: AnswerError | undefined;
}

/**
 * Reads bytes as a JSON object. It never throws, since an authentic but bad body is kept too. A
 * missing content type counts as JSON; any other is 415 `unsupported_media_type`. 400
 * `invalid_json` if it is empty or not JSON, 400 `invalid_body` if it is not an object or holds
 * text that Postgres cannot store.
 */
export function parseJsonBody(bytes: Uint8Array, headers: Headers): JsonBody {
  const text = new TextDecoder().decode(bytes); // drops a byte order mark; wrong UTF-8 is U+FFFD
  const read = readObject(bytes, text);
  const error = isJson(headers) ? read.error : unsupported();
  if (read.value !== undefined && error === undefined) {
    return { value: read.value, storable: read.value, error };
  }
  return { value: read.value, storable: { text: escapeUnstorable(text) }, error };
}

function readObject(bytes: Uint8Array, text: string): Pick<JsonBody, "value" | "error"> {
  const parsed = parse(text);
  if (parsed === undefined) return { value: undefined, error: notJson(text) };
  const { value: sent } = parsed;
  const value = isObject(sent) ? sent : onlyObject(sent);
  if (!isUtf8(bytes, text)) return { value, error: notJson(text) };
  if (value !== sent || value === undefined) return { value, error: notObject() };
  const findings = findUnstorable(value);
  return { value, error: findings.length > 0 ? new InvalidBody(findings) : undefined };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function onlyObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return Array.isArray(value) && value.length === 1 && isObject(value[0]) ? value[0] : undefined;
}

/** `application/json` or any `+json`, with or without parameters, not compressed. */
function isJson(headers: Headers): boolean {
  if (!["", "identity"].includes((headers.get("content-encoding") ?? "").toLowerCase())) {
    return false;
  }
  const type = (headers.get("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
  return type === "" || type === "application/json" || /^[\w.-]+\/[\w.-]+\+json$/.test(type);
}

/** The value wrapped in an object, since `null` is a value too; undefined if it is not JSON. */
function parse(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function isUtf8(bytes: Uint8Array, text: string): boolean {
  if (!text.includes("\uFFFD")) return true;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function unsupported(): AnswerError {
  return new AnswerError(
    415,
    "unsupported_media_type",
    "Cannot accept the body: its content type is not application/json.",
    { headers: { accept: "application/json" } },
  );
}

function notJson(text: string): AnswerError {
  const detail: ErrorDetail = text.trim() === ""
    ? { field: "body", code: "empty", message: "The body is empty." }
    : { field: "body", code: "not_json", message: "The body is not JSON in UTF-8." };
  return new AnswerError(400, "invalid_json", "Cannot accept the body: it is not JSON.", {
    details: [detail],
  });
}

function notObject(): InvalidBody {
  return new InvalidBody([
    { field: "body", code: "invalid_type", message: "Expected a JSON object." },
  ]);
}
