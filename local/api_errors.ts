import { AsyncLocalStorage } from "node:async_hooks";

const sink = new AsyncLocalStorage<(line: string) => void>();
let installed = false;

/**
 * Runs work of `@supabase/lite`, which prints database errors with all their parameters, and those
 * contain keys and personal data. Reports one line with the message instead.
 */
export function withApiErrors<T>(report: (line: string) => void, work: () => T): T {
  if (!installed) {
    installed = true;
    const print = console.error;
    console.error = (...values: unknown[]): void => {
      const take = sink.getStore();
      if (take === undefined) print(...values);
      else take(summary(values));
    };
  }
  return sink.run(report, work);
}

function summary(values: readonly unknown[]): string {
  const error = values.find((value) => value instanceof Error);
  if (error === undefined) return String(values[0]).split("\n", 1)[0] ?? "";
  const code = "code" in error && typeof error.code === "string" ? ` (${error.code})` : "";
  return `${error.message.split("\n", 1)[0]}${code}`;
}
