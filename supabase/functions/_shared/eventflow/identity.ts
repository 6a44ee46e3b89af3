import type { JsonObject } from "../booking/snapshot.ts";
import type { InlineFiles } from "../source/inline_files.ts";
import { SourceError } from "../source/source_error.ts";

/** Which booking was asked for, and when. */
export interface SingleQuestion {
  readonly externalId: string;
  readonly organizationId: string;
  /** When the read began, ISO (rule: a fetch is dated when it was read). */
  readonly fetchedAt: string;
  /** The files that the answer carried along. */
  readonly files?: InlineFiles;
}

/** Whether two uuids are the same, ignoring case (RFC 9562 §4). */
export function isSameUuid(a: string, b: string): boolean {
  return a === b || a.trim().toLowerCase() === b.trim().toLowerCase();
}

/** Whether an id in an answer is the one that was asked for; uuids ignore case. */
export function isSameId(a: string, b: string): boolean {
  return a === b || (isUuid(a) && isUuid(b) && isSameUuid(a, b));
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text);
}

/**
 * Checks that an object's `booking_id` and `organization_id` are the ones that were asked for.
 * Throws a permanent `source_contradiction` if not. A field that is absent or null passes unless
 * `required`.
 */
export function assertNamed(
  object: JsonObject,
  asked: Pick<SingleQuestion, "externalId" | "organizationId">,
  options: { readonly required?: boolean } = {},
): void {
  const check = (field: string, code: string, same: (named: string) => boolean): void => {
    const named = object[field];
    if ((named === undefined || named === null) && !options.required) return;
    const known = typeof named === "string" || typeof named === "number";
    if (known && same(String(named))) return;
    throw contradiction(code, field, `${field} is not the one that was asked for`);
  };
  check("booking_id", "other_booking", (named) => isSameId(named, asked.externalId));
  check(
    "organization_id",
    "other_organization",
    (named) => isSameUuid(named, asked.organizationId),
  );
}

/** The permanent error for an answer that contradicts itself or the question. */
export function contradiction(code: string, field: string, message: string): SourceError {
  return new SourceError("source_contradiction", `EventFlow contradicts itself: ${message}`, {
    details: [{ code, field, message }],
  });
}
