import { SourceError } from "../booking/source_error.ts";

/** The permanent error for an answer that contradicts itself or the question. */
export function contradiction(code: string, field: string, message: string): SourceError {
  return new SourceError("source_contradiction", `EventFlow contradicts itself: ${message}`, {
    details: [{ code, field, message }],
  });
}
