/** Something the person at the terminal can put right: shown as its message alone, without a stack. */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
}

/** The words of any thrown value, for a line on the terminal. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
