import { BookingRefusal } from "./refusal.ts";
import { SNAPSHOT_LIMITS } from "./snapshot.ts";

/**
 * Throws a `BookingRefusal` naming the first value within `value` that Postgres cannot keep as it
 * is: text with NUL or half a surrogate pair (`unstorable_text`), text over 1,000,000 characters
 * (`text_too_long`), a number that JSON cannot carry (`unstorable_number`) or nesting over 64
 * levels (`too_deep`). Cutting or dropping it would change what the source said.
 */
export function assertStorable(value: unknown, path = "", depth = 0): void {
  if (typeof value === "string") return assertStorableText(value, path);
  if (typeof value === "number") {
    if (Number.isFinite(value)) return;
    throw new BookingRefusal("unstorable_number", path, "The number is beyond what JSON can carry");
  }
  if (typeof value !== "object" || value === null) return;
  if (depth >= SNAPSHOT_LIMITS.depth) {
    throw new BookingRefusal("too_deep", path, `Nested over ${SNAPSHOT_LIMITS.depth} levels`);
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      assertStorable(value[index], `${path}[${index}]`, depth + 1);
    }
    return;
  }
  for (const key of Object.keys(value)) {
    const field = path === "" ? key : `${path}.${key}`;
    assertStorableText(key, path === "" ? "a field's name" : path);
    assertStorable((value as Record<string, unknown>)[key], field, depth + 1);
  }
}

/** Whether Postgres can keep a value as it is; see `assertStorable`. */
export function isStorable(value: unknown): boolean {
  try {
    assertStorable(value);
    return true;
  } catch (error) {
    if (error instanceof BookingRefusal) return false;
    throw error;
  }
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
