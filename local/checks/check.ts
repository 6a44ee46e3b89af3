/** What a check found: nothing, something, or that it could not look. */
export type CheckResult =
  | { readonly result: "passed"; readonly note?: string }
  | { readonly result: "failed"; readonly findings: readonly string[] }
  | { readonly result: "skipped"; readonly reason: string };

/** The check passed; the note says what was looked at. */
export function passed(note?: string): CheckResult {
  return note === undefined ? { result: "passed" } : { result: "passed", note };
}

/** Passed without findings, else failed with them. */
export function judged(findings: readonly string[], note?: string): CheckResult {
  return findings.length === 0 ? passed(note) : { result: "failed", findings };
}

/** A count with its noun: `1 migration`, `2 migrations`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
