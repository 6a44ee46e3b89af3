/** The event types that EventFlow is known to send. */
const KNOWN = new Set(["created", "updated", "cancelled", "confirmed", "offer"]);
const MAX_LENGTH = 200;

/** An event type in our words. */
export interface EventType {
  /** Null if the sender named none. */
  readonly eventType: string | null;
  /** False for an unknown value, which is kept and logged, never refused. */
  readonly known: boolean;
}

/**
 * Reads `created`, `booking.created` and `booking_created` as the same type. Anything else is kept
 * verbatim, cut at 200 characters; a value that is not a string is kept as JSON. The type never
 * decides what we do: the fetched booking does.
 */
export function normalizeEventType(value: unknown): EventType {
  if (value === undefined || value === null || value === "") {
    return { eventType: null, known: true };
  }
  if (typeof value !== "string") {
    return { eventType: cutText(JSON.stringify(value), MAX_LENGTH), known: false };
  }
  const word = value.trim().toLowerCase().replace(/^booking[._]/, "");
  return KNOWN.has(word)
    ? { eventType: word, known: true }
    : { eventType: cutText(value, MAX_LENGTH), known: false };
}

/**
 * The first `length` characters of a text. It counts code points, since half of an emoji is a lone
 * surrogate, which Postgres cannot store.
 */
export function cutText(text: string, length: number): string {
  return [...text.slice(0, 2 * length)].slice(0, length).join("");
}
