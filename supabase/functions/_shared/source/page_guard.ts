import type { Page } from "./booking_source.ts";

/** Whether a run reads on after a page, and if not, why; `fresh` are the ids not seen before. */
export type PageVerdict =
  | { readonly proceed: true; readonly next: number; readonly fresh: readonly string[] }
  | {
    readonly proceed: false;
    readonly reason: "last_page" | "empty_page" | "nothing_new";
    readonly fresh: readonly string[];
  };

/**
 * Decides after each page whether to read the next: stop at a short page, at an empty one and at a
 * page whose ids were all seen before, since a server that ignores `page` must not loop us for
 * ever (domain/eventflow.md). Pure: the caller adds `fresh` to `seen`. A page without one readable
 * id brings nothing new.
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
