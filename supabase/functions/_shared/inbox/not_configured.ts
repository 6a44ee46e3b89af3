import { AnswerError } from "../errors.ts";

/** Why no connection of ours takes a delivery. */
export type NotConfiguredReason = "malformed" | "unnamed" | "unknown";

const DETAILS = {
  malformed: { code: "invalid", message: "Expected a uuid as organization_id in the URL." },
  unnamed: {
    code: "required",
    message:
      "None is named, and there is not exactly one organization whose connection is enabled.",
  },
  unknown: {
    code: "unknown_organization",
    message: "Expected an organization that exists and has a connection to this source.",
  },
} as const;

/**
 * 503 `not_configured`: no connection of ours takes the delivery, with the reason as its one detail.
 * It is ours to mend, so the sender is to try again, and a 4xx would be for ever.
 */
export function notConfigured(reason: NotConfiguredReason): AnswerError {
  return new AnswerError(
    503,
    "not_configured",
    "Cannot accept the delivery: no enabled connection takes it.",
    { retryAfterSeconds: 60, details: [{ field: "organization_id", ...DETAILS[reason] }] },
  );
}
