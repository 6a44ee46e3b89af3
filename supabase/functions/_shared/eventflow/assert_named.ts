import type { JsonObject } from "../booking/snapshot.ts";
import { contradiction } from "./contradiction.ts";
import { isSameId, isSameUuid } from "./identity.ts";

/**
 * An object's `booking_id` and `organization_id` are the ones that were asked for. Throws a
 * permanent `source_contradiction` otherwise; a field that is absent or null passes unless
 * `required`.
 */
export function assertNamed(
  object: JsonObject,
  asked: { readonly externalId: string; readonly organizationId: string },
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
