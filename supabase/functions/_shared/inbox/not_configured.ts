import { AnswerError } from "../errors.ts";

/** Why none of our connections takes a delivery. */
export type NotConfiguredReason = "malformed" | "unnamed" | "unknown";

const DETAILS = {
  malformed: { code: "invalid", message: "Expected a uuid as organization_id in the URL." },
  unnamed: {
    code: "required",
    message: "No organization is named, and there is not exactly one with an enabled connection.",
  },
  unknown: {
    code: "unknown_organization",
    message: "Expected an organization that exists and has a connection to this source.",
  },
} as const;

/**
 * 503 `not_configured` with the reason as its one detail: none of our connections takes the
 * delivery. We have to fix that, so the sender should try again; after a 4xx it would not.
 */
export function notConfigured(reason: NotConfiguredReason): AnswerError {
  return new AnswerError(
    503,
    "not_configured",
    "Cannot accept the delivery: no enabled connection takes it.",
    { retryAfterSeconds: 60, details: [{ field: "organization_id", ...DETAILS[reason] }] },
  );
}
