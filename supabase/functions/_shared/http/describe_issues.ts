import type { z } from "zod";
import type { ErrorDetail } from "../errors.ts";

/** Zod's issues with a body as `error.details`: one per bad field, never with its value. */
export function describeIssues(error: z.ZodError, body: unknown): readonly ErrorDetail[] {
  return error.issues.map((issue) => ({
    field: issue.path.map(String).join(".") || "body",
    code: valueAt(body, issue.path) === undefined ? "required" : "invalid",
    message: issue.message,
  }));
}

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  let value = body;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}
