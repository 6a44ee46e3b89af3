import { SourceError } from "../source/source_error.ts";
import type { JsonObject } from "../booking/snapshot.ts";

const MAJOR = "1";

/**
 * Accepts every minor version of contract 1, and a legacy answer without a version (incident: minor
 * version refused). Throws a permanent `source_contradiction` for another major version.
 */
export function assertContractVersion(frame: JsonObject): void {
  for (const name of ["contract_version", "contractVersion"]) assertMajor(frame[name], name);
}

function assertMajor(version: unknown, name: string): void {
  if (version === undefined || version === null) return;
  const text = typeof version === "number" ? String(version) : version;
  const major = typeof text === "string" ? /^v?(\d+)(?:\.|$)/.exec(text.trim())?.[1] : undefined;
  if (major === MAJOR) return;
  const message = "EventFlow's contract has an unknown major version";
  throw new SourceError("source_contradiction", message, {
    retryable: false,
    details: [{ code: "unknown_contract_major", field: name, message }],
  });
}

/** Throws a retryable `source_unavailable` if the answer says that it failed. */
export function assertSuccess(frame: JsonObject): void {
  const { success } = frame;
  if (success === undefined || success === null || success === true) return;
  const message = "EventFlow says that it could not answer (success: false)";
  throw new SourceError("source_unavailable", message, {
    details: [{ code: "success_false", field: "success", message }],
  });
}
