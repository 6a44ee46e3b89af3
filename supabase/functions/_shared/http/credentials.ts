import { createHash, timingSafeEqual } from "node:crypto";

/** What a caller's credential turned out to be: three outcomes in the log, two for the caller. */
export type CredentialOutcome = "absent" | "wrong" | "right";

/**
 * Compares what was presented with every accepted secret, in constant time whichever of them
 * matches and however long they are (invariant 18). No secret accepted means that none is right.
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
 * The token of `Authorization: Bearer`, undefined without the header. Another scheme or an empty
 * token gives `-`, which is presented and matches nothing.
 */
export function readBearer(headers: Headers): string | undefined {
  const value = headers.get("authorization");
  if (value === null || value.trim() === "") return undefined;
  return /^Bearer +(\S+)$/i.exec(value.trim())?.[1] ?? "-";
}

/** One right credential is enough; else a wrong one counts before none at all. */
export function combineOutcomes(outcomes: readonly CredentialOutcome[]): CredentialOutcome {
  if (outcomes.includes("right")) return "right";
  return outcomes.includes("wrong") ? "wrong" : "absent";
}

function digestOf(text: string): Uint8Array {
  return createHash("sha256").update(text, "utf8").digest();
}
