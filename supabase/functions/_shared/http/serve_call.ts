import { AnswerError, DatabaseError } from "../errors.ts";
import type { Log, LogProperties } from "../log.ts";
import { monotonicNow } from "../clock.ts";
import { CORS_HEADERS, respondError } from "./respond.ts";

/** One request on its way through a handler. */
export interface Call {
  readonly request: Request;
  readonly requestId: string;
  /** When it arrived, in milliseconds of `now()`. */
  readonly startedAt: number;
  /**
   * Adds facts to the log line of the request; never secrets, never personal data. The fact `quiet`
   * is not logged: if true, the line has level debug unless the answer is an error.
   */
  readonly note: (facts: LogProperties) => void;
}

/** What {@linkcode serveCall} needs. */
export interface ServeCallOptions {
  readonly log: Log;
  /** Milliseconds. Default `monotonicNow`. */
  readonly now?: () => number;
  readonly makeRequestId?: () => string;
}

/**
 * Adds what all functions share: a request id that is always returned, CORS, 405 before anything is
 * read, one way from error to response, and one log line per request. A body that a refusal leaves
 * unread is closed, so that a slow sender holds no resources.
 */
export function serveCall(
  answer: (call: Call) => Promise<Response>,
  options: ServeCallOptions,
): (request: Request) => Promise<Response> {
  const { log, now = monotonicNow, makeRequestId } = options;
  return async (request) => {
    const startedAt = now();
    const requestId = takeRequestId(request.headers, makeRequestId);
    const facts: Record<string, unknown> = {};
    const note = (more: LogProperties): void => void Object.assign(facts, more);
    const response = await answerAnyway(answer, { request, requestId, startedAt, note });
    response.headers.set("x-request-id", requestId);
    for (const [name, value] of Object.entries(CORS_HEADERS)) response.headers.set(name, value);
    if (request.method !== "OPTIONS") {
      const { quiet, ...noted } = facts;
      const severity = severityOf(response.status);
      log[quiet === true && response.ok ? "debug" : severity]("request", {
        request_id: requestId,
        method: request.method,
        status: response.status,
        duration_ms: Math.round(now() - startedAt),
        ...noted,
      });
    }
    return response;
  };
}

async function answerAnyway(
  answer: (call: Call) => Promise<Response>,
  call: Call,
): Promise<Response> {
  try {
    // The URL is made of the Host header, which a stranger writes.
    if (URL.parse(call.request.url) === null) {
      throw new AnswerError(400, "invalid_host", "Cannot answer: the Host header is malformed.");
    }
    if (call.request.method === "OPTIONS") return new Response(null, { status: 204 });
    if (call.request.method !== "POST") throw methodNotAllowed();
    return await answer(call);
  } catch (error) {
    call.request.body?.cancel().catch(() => {}); // already closed if it was read
    call.note(describe(error));
    return respondError(error, call.requestId);
  }
}

/** A refused credential or organization is worth a look; other 4xx are the sender's business. */
function severityOf(status: number): "error" | "warn" | "info" {
  if (status >= 500) return "error";
  return status === 401 || status === 403 ? "warn" : "info";
}

function methodNotAllowed(): AnswerError {
  return new AnswerError(405, "method_not_allowed", "Cannot answer this method: POST only.", {
    headers: { allow: "POST, OPTIONS" },
  });
}

/** What may be logged of an error: never a value from a body. */
function describe(error: unknown): LogProperties {
  if (error instanceof AnswerError) {
    return { code: error.code, ...(error.cause ? { cause: name(error.cause) } : {}) };
  }
  if (!(error instanceof Error)) return { code: "internal_error" };
  const at = error.stack?.split("\n").slice(1, 6).map((line) => line.trim());
  return { code: "internal_error", ...name(error), why: error.message, at };
}

/** The name and code of an error, and for the database the function that was called. */
function name(error: unknown): LogProperties {
  if (!(error instanceof Error)) return {};
  const { code } = error as { readonly code?: unknown };
  if (error instanceof DatabaseError) {
    return { error: error.name, rpc: error.rpc, database_code: error.code };
  }
  return { error: error.name, ...(typeof code === "string" ? { error_code: code } : {}) };
}

/** Characters and length that are accepted in a request id. */
const WELL_FORMED = /^[A-Za-z0-9._-]{1,128}$/;

/** The caller's `x-request-id` if it is well formed, else a new one. */
function takeRequestId(headers: Headers, make = () => crypto.randomUUID() as string): string {
  const given = headers.get("x-request-id");
  return given !== null && WELL_FORMED.test(given) ? given : make();
}
