import { AnswerError } from "../errors.ts";
import type { CredentialOutcome } from "./credentials.ts";

/** Lets a right credential on; anything else is 401, and the answer does not say which it was. */
export function requireRight(outcome: CredentialOutcome): void {
  if (outcome === "right") return;
  throw new AnswerError(401, "unauthorized", "Cannot answer: no valid credential was sent.", {
    headers: { "www-authenticate": "Bearer" },
  });
}

/** 429 `rate_limited`: this process has as many requests in hand as it can bound. */
export function rateLimited(): AnswerError {
  return new AnswerError(429, "rate_limited", "Cannot answer now: too many requests at once.", {
    retryAfterSeconds: 1,
  });
}
