import type { Snapshot } from "../booking/snapshot.ts";

/** What one transaction takes, in rows of ours and in bookings. */
const MAX_ROWS = 15_000;
const MAX_BOOKINGS = 500;
/** A page in parts that one transaction takes; one empty part for an empty page. */
export function splitPage(snapshots: readonly Snapshot[]): readonly (readonly Snapshot[])[] {
  const parts: Snapshot[][] = [[]];
  let rows = 0;
  for (const snapshot of snapshots) {
    const { dates, products, attachments } = snapshot;
    const size = 1 + [dates, products, attachments]
      .reduce((sum, list) => sum + (list?.items.length ?? 0), 0);
    const part = parts.at(-1)!;
    if (part.length > 0 && (part.length === MAX_BOOKINGS || rows + size > MAX_ROWS)) {
      parts.push([snapshot]);
      rows = size;
    } else {
      part.push(snapshot);
      rows += size;
    }
  }
  return parts;
}
