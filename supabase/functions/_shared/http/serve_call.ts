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
   * Adds facts to the request's one log line; never secrets, never personal data. The fact `quiet`
   * is not written: if true, the line is for debugging only, unless the call is answered an error.
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
 * Wraps a function's answer in what all of them share: request id taken or made and always
 * returned, CORS, 405 before anything is read, one funnel for errors, one log line per request. The
 * body that a refusal leaves unread is closed, so that a slow sender holds nothing of ours.
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
    if (call.request.method === "OPTIONS") return new Response(null, { status: 204 });
    if (call.request.method !== "POST") throw methodNotAllowed();
    return await answer(call);
  } catch (error) {
    call.request.body?.cancel().catch(() => {}); // what was read of has been closed already
    call.note(describe(error));
    return respondError(error, call.requestId);
  }
}

/** A refused credential or organization is worth a look; other 4xx are the sender's own affair. */
function severityOf(status: number): "error" | "warn" | "info" {
  if (status >= 500) return "error";
  return status === 401 || status === 403 ? "warn" : "info";
}

function methodNotAllowed(): AnswerError {
  return new AnswerError(405, "method_not_allowed", "Cannot answer this method: POST only.", {
    headers: { allow: "POST, OPTIONS" },
  });
}

/** What the log may know of an error: never a value out of somebody's body. */
function describe(error: unknown): LogProperties {
  if (error instanceof AnswerError) {
    return { code: error.code, ...(error.cause ? { cause: name(error.cause) } : {}) };
  }
  if (!(error instanceof Error)) return { code: "internal_error" };
  const at = error.stack?.split("\n").slice(1, 6).map((line) => line.trim());
  return { code: "internal_error", ...name(error), why: error.message, at };
}

/** The error by name and by its own code, and for the database which call it was. */
function name(error: unknown): LogProperties {
  if (!(error instanceof Error)) return {};
  const { code } = error as { readonly code?: unknown };
  if (error instanceof DatabaseError) {
    return { error: error.name, rpc: error.rpc, database_code: error.code };
  }
  return { error: error.name, ...(typeof code === "string" ? { error_code: code } : {}) };
}

/** The characters and the length that an inbound request id may have. */
const WELL_FORMED = /^[A-Za-z0-9._-]{1,128}$/;

/** The caller's `x-request-id` if it is well formed, else a new one. */
function takeRequestId(headers: Headers, make = () => crypto.randomUUID() as string): string {
  const given = headers.get("x-request-id");
  return given !== null && WELL_FORMED.test(given) ? given : make();
}
