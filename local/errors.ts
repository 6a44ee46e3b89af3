/** An error that the person at the terminal can fix: shown as its message, without a stack. */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
}

/** The message of any thrown value, for a line on the terminal. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
