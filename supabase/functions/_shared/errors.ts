/** One problem with one part of a request or answer, as callers see it in `error.details`. */
export interface ErrorDetail {
  /** Path of the field, such as `organization_id`; `body` for the whole body. */
  readonly field?: string;
  /** Stable snake_case. */
  readonly code: string;
  /** One sentence without values that the caller did not send. */
  readonly message: string;
  readonly [more: string]: unknown;
}

/** What an {@linkcode AnswerError} carries beside its code and message. */
export interface AnswerErrorOptions extends ErrorOptions {
  readonly details?: readonly ErrorDetail[];
  /** Seconds for the `Retry-After` header. */
  readonly retryAfterSeconds?: number | undefined;
  /** Further response headers, such as `Allow`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the answer beside `error`, such as `delivery`. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/**
 * An error that the caller may read word for word. `http/respond.ts` turns it into `{ success:
 * false, error: { code, message, status, details }, request_id }`.
 */
export class AnswerError extends Error {
  override readonly name: string = "AnswerError";
  readonly code: string;
  readonly status: number;
  readonly details: readonly ErrorDetail[];
  readonly retryAfterSeconds: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly members: Readonly<Record<string, unknown>>;

  constructor(status: number, code: string, message: string, options: AnswerErrorOptions = {}) {
    super(message, options);
    this.status = status;
    this.code = code;
    this.details = options.details ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.headers = options.headers ?? {};
    this.members = options.members ?? {};
  }
}

/** The body can be read but breaks the contract; both webhooks keep such a delivery. */
export class InvalidBody extends AnswerError {
  override readonly name = "InvalidBody";

  constructor(details: readonly ErrorDetail[], options: { code?: string; status?: number } = {}) {
    const code = options.code ?? "invalid_body";
    super(options.status ?? 400, code, "Cannot accept the body: see details.", { details });
  }
}

/**
 * The database could not be reached or did not answer in time: 503 with `Retry-After`, never a 2xx
 * (rule: stored before acknowledged).
 */
export class DatabaseUnavailable extends AnswerError {
  override readonly name = "DatabaseUnavailable";

  constructor(options: ErrorOptions & { readonly retryAfterSeconds?: number } = {}) {
    super(503, "inbox_unavailable", "Cannot answer now: the database is unreachable.", {
      retryAfterSeconds: 5,
      ...options,
    });
  }
}

/** The database answered with an error or a shape that must be a fault of ours: 500. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
  readonly rpc: string;
  /** SQLSTATE or PostgREST code; empty if it gave none. */
  readonly code: string;

  constructor(rpc: string, code: string, message: string, options?: ErrorOptions) {
    super(`Cannot call ${rpc}: ${message}`, options);
    this.rpc = rpc;
    this.code = code;
  }
}

/** Every variable that is missing or malformed; the function must not start. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "config_invalid";
  readonly variables: readonly string[];

  constructor(message: string, variables: readonly string[]) {
    super(message);
    this.variables = variables;
  }
}
