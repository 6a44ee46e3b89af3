import type { Page } from "./booking_source.ts";

/**
 * Whether a run continues after a page, and if not, why. `fresh` are the ids that were not seen
 * before.
 */
export type PageVerdict =
  | { readonly proceed: true; readonly next: number; readonly fresh: readonly string[] }
  | {
    readonly proceed: false;
    readonly reason: "last_page" | "empty_page" | "nothing_new";
    readonly fresh: readonly string[];
  };

/**
 * Decides after each page whether to read the next. It stops at a short page, at an empty one, and
 * at one whose ids have all been seen, since a server may ignore the page number and send the same
 * page for ever. A page without readable ids brings nothing new. The caller adds `fresh` to `seen`.
 *
 * @example
 * ```ts
 * const verdict = guardPage(seen, page);
 * for (const id of verdict.fresh) seen.add(id);
 * if (verdict.proceed) cursor = verdict.next;
 * ```
 */
export function guardPage(seen: { has(id: string): boolean }, page: Page): PageVerdict {
  const fresh = page.ids.filter((id) => !seen.has(id));
  if (page.ids.length === 0 && page.snapshots.length === 0 && page.invalid.length === 0) {
    return { proceed: false, reason: "empty_page", fresh };
  }
  if (page.last || page.next === undefined) return { proceed: false, reason: "last_page", fresh };
  if (fresh.length === 0) return { proceed: false, reason: "nothing_new", fresh };
  return { proceed: true, next: page.next, fresh };
}
