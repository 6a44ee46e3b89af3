import type { Reading } from "../booking/reading.ts";
import { isJsonObject, type JsonObject } from "../booking/snapshot.ts";

/**
 * Whether the source says in words that a collection is whole: one of `names` is `true` in the
 * booking, its `meta`, the answer's root or the root's `meta`, and none is `false`. Only a real
 * boolean counts; anything else is no statement (invariant 6).
 */
export function isComplete(
  reading: Reading,
  frame: JsonObject,
  names: readonly string[],
): boolean {
  const { source, used } = reading;
  for (const name of names) used.add(name).add(`meta.${name}`);
  const flags = [source, source["meta"], frame, frame["meta"]]
    .filter(isJsonObject)
    .flatMap((place) => names.map((name) => place[name]));
  return flags.includes(true) && !flags.includes(false);
}
