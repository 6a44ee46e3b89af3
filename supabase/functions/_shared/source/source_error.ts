/** One problem with a source's answer; safe to show to an operator. */
export interface SourceErrorDetail {
  readonly code: string;
  readonly message: string;
  readonly field?: string;
}

/**
 * Stable codes of a failed read. `source_unavailable`: a temporary fault. `source_invalid`: an
 * answer that we cannot use. `source_contradiction`: an answer that contradicts itself or the
 * question.
 */
export type SourceErrorCode = "source_unavailable" | "source_invalid" | "source_contradiction";

/** What a `SourceError` may carry beside its code and message. */
export interface SourceErrorOptions {
  /** Overrides the default: only `source_unavailable` is worth asking again. */
  readonly retryable?: boolean;
  /** Milliseconds that the source asked us to wait. */
  readonly retryAfterMs?: number;
  readonly details?: readonly SourceErrorDetail[];
  readonly cause?: unknown;
}

/**
 * A read that gave no statement. It never means cancelled, deleted or absent (rule: absence is not
 * a statement). `retryable` says whether asking again can help. Message and details contain no
 * secret and nothing from the answer.
 */
export class SourceError extends Error {
  readonly code: SourceErrorCode;
  readonly retryable: boolean;
  /** Milliseconds; absent if the source named no time. */
  readonly retryAfterMs?: number;
  readonly details: readonly SourceErrorDetail[];

  constructor(code: SourceErrorCode, message: string, options: SourceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "SourceError";
    this.code = code;
    this.retryable = options.retryable ?? code === "source_unavailable";
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
    this.details = options.details ?? [];
  }
}

/** An answer that passes a limit of size. A part of it may not. */
export class AnswerTooLarge extends SourceError {
  /** The JSON that the answer begins with. */
  readonly beginning: string;

  constructor(source: string, why: string, beginning: string) {
    const message = `${source} answered with more than we can take: ${why}`;
    super("source_invalid", message, { details: [{ code: "answer_too_large", message: why }] });
    this.beginning = beginning;
  }
}
