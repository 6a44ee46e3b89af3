import { type Reading, warn } from "../source/reading.ts";
import type { SnapshotProduct } from "../booking/snapshot.ts";

/**
 * Takes the parent from a row that would be its own ancestor: quantities are multiplied along
 * parents, which must end. Warns of it, and of parents that the list does not hold.
 */
export function breakCycles(items: ReadonlyMap<string, SnapshotProduct>, reading: Reading): void {
  const done = new Set<string>();
  for (const item of items.values()) {
    const path = new Set<string>();
    let row: SnapshotProduct | undefined = item;
    while (row !== undefined && !done.has(row.external_id)) {
      path.add(row.external_id);
      const parent: string | null | undefined = row.parent_external_id;
      if (!parent) break;
      if (path.has(parent)) {
        row.parent_external_id = null;
        note(reading, "parent_cycle", "A row is its own ancestor; its parent was not taken");
        break;
      }
      if (!items.has(parent)) {
        note(reading, "unknown_parent", "A row names a parent that the list does not hold");
      }
      row = items.get(parent);
    }
    for (const id of path) done.add(id);
  }
}

function note(reading: Reading, code: string, message: string): void {
  warn(reading, "products", code, message);
}
