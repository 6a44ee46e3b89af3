import { createHash, timingSafeEqual } from "node:crypto";
import { AnswerError } from "../errors.ts";

/**
 * The outcome of checking a credential: three in the log, but the caller only learns right or not.
 */
export type CredentialOutcome = "absent" | "wrong" | "right";

/**
 * Compares the presented secret with every accepted one, in a time that does not depend on which
 * one matches or how long they are (rule: every function checks its caller). Without accepted
 * secrets none is right.
 */
export function checkSecret(
  presented: string | null | undefined,
  accepted: readonly string[],
): CredentialOutcome {
  if (presented === null || presented === undefined || presented === "") return "absent";
  const digest = digestOf(presented);
  let matches = 0;
  for (const secret of accepted) matches += timingSafeEqual(digest, digestOf(secret)) ? 1 : 0;
  return matches > 0 ? "right" : "wrong";
}

/**
 * The token of `Authorization: Bearer`; undefined without the header. Another scheme or an empty
 * token gives `-`, which counts as presented and matches nothing.
 */
export function readBearer(headers: Headers): string | undefined {
  const value = headers.get("authorization");
  if (value === null || value.trim() === "") return undefined;
  return /^Bearer +(\S+)$/i.exec(value.trim())?.[1] ?? "-";
}

/**
 * The possible meanings of `?key=`, since people paste a key into a URL both encoded and as it is:
 * decoded as a form (`+` is a space), verbatim, and decoded with `+` kept. Empty without a `key`.
 */
export function readUrlKey(url: URL): readonly string[] {
  const decoded = url.searchParams.get("key");
  if (decoded === null) return [];
  const raw = url.search.slice(1).split("&").find((pair) => pair.startsWith("key="))?.slice(4);
  if (raw === undefined) return [decoded];
  const plus = new URLSearchParams(`key=${raw.replaceAll("+", "%2B")}`).get("key");
  return [...new Set([decoded, raw, plus ?? raw])];
}

/** One right credential is enough; otherwise a wrong one counts more than an absent one. */
export function combineOutcomes(outcomes: readonly CredentialOutcome[]): CredentialOutcome {
  if (outcomes.includes("right")) return "right";
  return outcomes.includes("wrong") ? "wrong" : "absent";
}

/** Throws 401 `unauthorized` unless the credential is right; it does not say whether one was sent. */
export function requireRight(outcome: CredentialOutcome): void {
  if (outcome === "right") return;
  throw new AnswerError(401, "unauthorized", "Cannot answer: no valid credential was sent.", {
    headers: { "www-authenticate": "Bearer" },
  });
}

function digestOf(text: string): Uint8Array {
  return createHash("sha256").update(text, "utf8").digest();
}
