import type { Page } from "../booking/source.ts";

/** A page of which is known what it weighed. */
export type MeasuredPage = Page & { readonly bytes: number; readonly busyMs: number };

/** A page with the rows right before it: their ids in `overlap`, what is not on the page beside it. */
export function addOverlap(page: MeasuredPage, before: MeasuredPage): Page {
  const ids = new Set(page.ids);
  return {
    ...page,
    snapshots: [
      ...before.snapshots.filter(({ external_id }) => !ids.has(external_id)),
      ...page.snapshots,
    ],
    invalid: [
      ...before.invalid.filter(({ external_id }) =>
        external_id !== undefined && !ids.has(external_id)
      ),
      ...page.invalid,
    ],
    overlap: before.ids,
    bytes: page.bytes + before.bytes,
    busyMs: page.busyMs + before.busyMs,
  };
}
