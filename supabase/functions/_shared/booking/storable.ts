import { BookingRefusal } from "./refusal.ts";
import { SNAPSHOT_LIMITS } from "./snapshot.ts";

/**
 * Throws a `BookingRefusal` for the first value in `value` that Postgres cannot store unchanged:
 * text with NUL or half a surrogate pair (`unstorable_text`), text over 1,000,000 characters
 * (`text_too_long`), a number that JSON cannot carry (`unstorable_number`) or nesting over 64
 * levels (`too_deep`). Cutting or dropping it would change what the source said.
 */
export function assertStorable(value: unknown, path = ""): void {
  // Nearly every value can be stored, so paths are only built for one that cannot.
  if (!isStorable(value)) refuse(value, path, 0);
}

function refuse(value: unknown, path: string, depth: number): void {
  if (typeof value === "string") return assertStorableText(value, path);
  if (typeof value === "number") {
    if (Number.isFinite(value)) return;
    throw new BookingRefusal("unstorable_number", path, "The number does not fit into JSON");
  }
  if (typeof value !== "object" || value === null) return;
  if (depth >= SNAPSHOT_LIMITS.depth) {
    throw new BookingRefusal("too_deep", path, `Nested over ${SNAPSHOT_LIMITS.depth} levels`);
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      refuse(value[index], `${path}[${index}]`, depth + 1);
    }
    return;
  }
  for (const key of Object.keys(value)) {
    const field = path === "" ? key : `${path}.${key}`;
    assertStorableText(key, path === "" ? "a field's name" : path);
    refuse((value as Record<string, unknown>)[key], field, depth + 1);
  }
}

/** Whether Postgres can store a value unchanged; see `assertStorable`. */
export function isStorable(value: unknown, depth = 0): boolean {
  if (typeof value === "string") return isStorableText(value);
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return true;
  if (depth >= SNAPSHOT_LIMITS.depth) return false;
  if (Array.isArray(value)) return value.every((member) => isStorable(member, depth + 1));
  for (const key of Object.keys(value)) {
    if (!isStorableText(key)) return false;
    if (!isStorable((value as Record<string, unknown>)[key], depth + 1)) return false;
  }
  return true;
}

function isStorableText(text: string): boolean {
  return text.length <= SNAPSHOT_LIMITS.text && !text.includes("\0") && text.isWellFormed();
}

function assertStorableText(text: string, path: string): void {
  if (text.length > SNAPSHOT_LIMITS.text) {
    throw new BookingRefusal(
      "text_too_long",
      path,
      `The text is longer than ${SNAPSHOT_LIMITS.text} characters`,
    );
  }
  if (text.includes("\0")) {
    throw new BookingRefusal("unstorable_text", path, "The text contains a NUL character");
  }
  if (!text.isWellFormed()) {
    throw new BookingRefusal("unstorable_text", path, "The text contains half a surrogate pair");
  }
}
