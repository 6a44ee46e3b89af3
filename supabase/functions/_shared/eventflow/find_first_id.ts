import { SNAPSHOT_LIMITS } from "../booking/snapshot.ts";

/**
 * The `id` of the first booking of a list answer that breaks off: of `{ "data": [{ … ` or `[{ … `.
 * `undefined` if it has not come yet.
 */
export function findFirstId(json: string): string | undefined {
  const depthOfRows = json.trimStart().startsWith("[") ? 2 : 3;
  const token = /"((?:[^"\\]|\\.)*)"\s*(:)?|[{}[\]]|-?\d+/g;
  let depth = 0;
  let named = false;
  for (const [found, text, colon] of json.matchAll(token)) {
    if (named && depth === depthOfRows) {
      const id = text ?? found;
      return /^[^{}[\]]/.test(id) && id.length <= SNAPSHOT_LIMITS.externalId ? id : undefined;
    }
    if (found === "{" || found === "[") depth++;
    else if (found === "}" || found === "]") depth--;
    named = text === "id" && colon !== undefined;
  }
  return undefined;
}
