import { SourceError } from "../source/source_error.ts";
import { AnswerError } from "../errors.ts";
import { TimeUp } from "../within.ts";
import { sourceFailed, sourceTooSlow } from "./failures.ts";

/** Why a run could not continue. */
export interface RunFault {
  /** Whether it can continue later. */
  readonly passing: boolean;
  /** Milliseconds that the source asked us to wait. */
  readonly retryAfterMs?: number;
  /** What is stored in `sync.runs.error`. */
  readonly note: Readonly<Record<string, unknown>>;
  readonly error: AnswerError;
}

/** The fault behind an error of a source; undefined for an error of ours. */
export function readFault(error: unknown): RunFault | undefined {
  if (error instanceof SourceError) {
    const { retryable, retryAfterMs } = error;
    const answer = sourceFailed(error).error;
    return {
      passing: retryable,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      note: noteOf(answer),
      error: answer,
    };
  }
  if (!(error instanceof TimeUp)) return undefined;
  const { error: answer } = sourceTooSlow(error);
  return { passing: true, note: noteOf(answer), error: answer };
}

function noteOf({ code, message, details }: AnswerError): Readonly<Record<string, unknown>> {
  return { code, message, details };
}
